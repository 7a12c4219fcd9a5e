"""Local response normalisation across channels, and its adjoint.

A row of channels is worked on in a buffer of [c + size - 1 | c] numbers, one buffer per
part of the rows: the first piece holds what the window sums, zeros at both ends.
"""

from libc.math cimport pow as pow_double, sqrt as sqrt_double

from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.simd cimport real

cdef extern from "math.h" nogil:
    real sqrtf(real)
    real powf(real, real)

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef inline real root(real v) noexcept nogil:
    return sqrtf(v) if sizeof(real) == 4 else sqrt_double(v)


cdef inline void scale(
    const real* base, real* x, Py_ssize_t c, real beta,
) noexcept nogil:
    """x *= base^-beta, by square roots for the usual beta"""
    cdef Py_ssize_t k
    cdef real r
    if beta == <real>0.75:
        for k in range(c):
            r = root(base[k])
            x[k] /= r * root(r)
    elif sizeof(real) == 4:
        for k in range(c):
            x[k] *= powf(base[k], -beta)
    else:
        for k in range(c):
            x[k] *= pow_double(base[k], -beta)


cdef inline void slide(
    const real* q, real* total, Py_ssize_t c, Py_ssize_t size,
) noexcept nogil:
    """total[k] = q[k] + ... + q[k + size - 1]"""
    cdef Py_ssize_t k, d
    if size == 5:  # the usual one, in one pass
        for k in range(c):
            total[k] = q[k] + q[k + 1] + q[k + 2] + q[k + 3] + q[k + 4]
        return
    for k in range(c):
        total[k] = q[k]
    for d in range(1, size):
        for k in range(c):
            total[k] += q[k + d]


cdef class Normalising(Kernel):
    """Parts of the rows, each with a buffer of its own."""

    cdef const real* z
    cdef real* scratch
    cdef Py_ssize_t rows, c, size, before, parts, width
    cdef real alpha, beta, k

    cdef int measure(self, z, scratch, settings, bint adjoint) except -1:
        self.size, self.alpha, self.beta, self.k = settings
        *_, self.c = z.shape
        self.rows = z.size // self.c
        self.parts = parts(self.rows, z.size)
        self.width = 2 * self.c + self.size - 1
        self.before = self.size // 2
        if adjoint:
            self.before = self.size - 1 - self.before
        self.z = <const real*>self.read(z, KIND)
        self.scratch = <real*>self.write(scratch, KIND, self.parts * self.width)
        return 0

    cdef void run(self) noexcept nogil:
        self.share(self.parts, self.rows * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t row, k
        cdef real* q = self.scratch + item * self.width
        for k in range(self.width):
            q[k] = 0
        for row in range(item * self.rows // self.parts,
                         (item + 1) * self.rows // self.parts):
            self.row(row * self.c, q + self.before, q, q + self.c + self.size - 1)

    cdef void row(
        self, Py_ssize_t at, real* q, real* window, real* total,
    ) noexcept nogil:
        pass


cdef class Lrn(Normalising):
    """x = z base^-beta, base = k + alpha sum z^2; base is kept if there is an array"""

    cdef real* x
    cdef real* base

    def __init__(self, z, x, base, scratch, settings):
        self.measure(z, scratch, settings, False)
        self.x = <real*>self.write(x, KIND, z.size)
        self.base = <real*>self.write(base, KIND, z.size)

    cdef void row(
        self, Py_ssize_t at, real* q, real* window, real* total,
    ) noexcept nogil:
        cdef Py_ssize_t k, c = self.c
        cdef real alpha = self.alpha, one = self.k
        cdef const real* z = self.z + at
        cdef real* x = self.x + at
        cdef real* base = total if self.base == NULL else self.base + at
        for k in range(c):
            x[k] = z[k]
            q[k] = z[k] * z[k]
        slide(window, base, c, self.size)
        for k in range(c):
            base[k] = one + alpha * base[k]
        scale(base, x, c, self.beta)


cdef class LrnAdjoint(Normalising):
    """delta = epsilon base^-beta - 2 alpha beta z sum(epsilon z base^(-beta - 1))"""

    cdef const real* epsilon
    cdef const real* base
    cdef real* delta

    def __init__(self, epsilon, z, base, delta, scratch, settings):
        self.measure(z, scratch, settings, True)
        self.epsilon = <const real*>self.read(epsilon, KIND, z.size)
        self.base = <const real*>self.read(base, KIND, z.size)
        self.delta = <real*>self.write(delta, KIND, z.size)

    cdef void row(
        self, Py_ssize_t at, real* q, real* window, real* total,
    ) noexcept nogil:
        cdef Py_ssize_t k, c = self.c
        cdef real factor = 2 * self.alpha * self.beta
        cdef const real* epsilon = self.epsilon + at
        cdef const real* z = self.z + at
        cdef const real* base = self.base + at
        cdef real* delta = self.delta + at
        for k in range(c):
            delta[k] = epsilon[k]
        scale(base, delta, c, self.beta)
        for k in range(c):
            q[k] = delta[k] * z[k] / base[k]
        slide(window, total, c, self.size)
        for k in range(c):
            delta[k] -= factor * z[k] * total[k]
