"""The largest of neighbouring channels, and its adjoint: groups in one flat array."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    CHUNK = 4096  # groups that one thread takes at a time


cdef class Maxout(Kernel):
    """x = the largest of each group, at = which one, if there is an array for it"""

    cdef const real* z
    cdef real* x
    cdef unsigned char* seat
    cdef Py_ssize_t size, pieces

    def __init__(self, z, x, at, pieces):
        self.size, self.pieces = x.size, pieces
        self.z = <const real*>self.read(z, KIND, x.size * pieces)
        self.x = <real*>self.write(x, KIND)
        self.seat = <unsigned char*>self.write(at, "B", x.size)

    cdef void run(self) noexcept nogil:
        self.share((self.size + CHUNK - 1) // CHUNK, self.size * self.pieces)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = item * CHUNK, n = min(CHUNK, self.size - i)
        cdef unsigned char* seat = NULL if self.seat == NULL else self.seat + i
        cdef const real* z = self.z + i * self.pieces
        if self.pieces == 2:
            largest(z, self.x + i, seat, n, 2)
        elif self.pieces == 3:
            largest(z, self.x + i, seat, n, 3)
        elif self.pieces == 4:
            largest(z, self.x + i, seat, n, 4)
        else:
            largest(z, self.x + i, seat, n, self.pieces)


cdef inline void largest(
    const real* z, real* x, unsigned char* seat, Py_ssize_t n, Py_ssize_t pieces,
) noexcept nogil:
    """Backwards, so that of equal ones the first stays, and NaN does too"""
    cdef Py_ssize_t i, p
    cdef real v, best
    cdef int at, won
    for i in range(n):
        at = <int>pieces - 1
        best = z[i * pieces + at]
        for p in range(pieces - 2, -1, -1):
            v = z[i * pieces + p]
            won = (v >= best) | (v != v)
            best = v if won else best
            at = <int>p if won else at
        x[i] = best
        if seat != NULL:
            seat[i] = <unsigned char>at


cdef class MaxoutAdjoint(Kernel):
    """delta = epsilon for the largest of its group, else 0"""

    cdef const real* epsilon
    cdef const unsigned char* seat
    cdef real* delta
    cdef Py_ssize_t size, pieces

    def __init__(self, epsilon, at, delta, pieces):
        self.size, self.pieces = epsilon.size, pieces
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.seat = <const unsigned char*>self.read(at, "B", self.size)
        self.delta = <real*>self.write(delta, KIND, self.size * pieces)

    cdef void run(self) noexcept nogil:
        self.share((self.size + CHUNK - 1) // CHUNK, self.size * self.pieces)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = item * CHUNK, n = min(CHUNK, self.size - i)
        cdef const unsigned char* seat = self.seat + i
        cdef real* delta = self.delta + i * self.pieces
        if self.pieces == 2:
            place(self.epsilon + i, seat, delta, n, 2)
        elif self.pieces == 3:
            place(self.epsilon + i, seat, delta, n, 3)
        elif self.pieces == 4:
            place(self.epsilon + i, seat, delta, n, 4)
        else:
            place(self.epsilon + i, seat, delta, n, self.pieces)


cdef inline void place(
    const real* epsilon, const unsigned char* seat, real* delta, Py_ssize_t n,
    Py_ssize_t pieces,
) noexcept nogil:
    cdef Py_ssize_t i, p
    for i in range(n):
        for p in range(pieces):
            delta[i * pieces + p] = epsilon[i] if seat[i] == p else 0
