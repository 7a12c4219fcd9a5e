"""One number in, one number out: activations, sums, products, and their adjoints."""

from libc.string cimport memcpy

from minidl._ext.kernel cimport Kernel
from minidl._ext.math cimport activate_adjoint_by, activate_by, activation
from minidl._ext.simd cimport LANES, load, real, splat, store, vec

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    SPAN = 8192  # numbers that a thread takes at a time: whole vectors
    WIDEST = 16  # lanes of the widest vector
    WIDTH = 64  # channels that a thread sums at a time


cdef class _Elementwise(Kernel):
    """out[i] = f(a[i], b[i]): the frame. `span` sees whole vectors only: what remains
    at the end is copied into one, so that no result depends on its place."""

    cdef const real* a
    cdef const real* b
    cdef real* out
    cdef Py_ssize_t size

    cdef int bind(self, a, b, out) except -1:
        self.size = out.size
        self.a = <const real*>self.read(a, KIND, self.size)
        self.b = <const real*>self.read(b, KIND, self.size)
        self.out = <real*>self.write(out, KIND)
        return 0

    cdef void run(self) noexcept nogil:
        self.share((self.size + SPAN - 1) // SPAN, self.size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef real a[WIDEST]
        cdef real b[WIDEST]
        cdef real out[WIDEST]
        cdef Py_ssize_t begin = item * SPAN, n = min(SPAN, self.size - begin)
        cdef Py_ssize_t rest = n % LANES, end = begin + n - rest
        self.span(self.a + begin, self.b + begin, self.out + begin, n // LANES)
        if rest:
            store(a, splat(0))
            store(b, splat(0))
            memcpy(a, self.a + end, rest * sizeof(real))
            memcpy(b, self.b + end, rest * sizeof(real))
            self.span(a, b, out, 1)
            memcpy(self.out + end, out, rest * sizeof(real))

    cdef void span(
        self, const real* a, const real* b, real* out, Py_ssize_t vectors
    ) noexcept nogil:
        pass


cdef class Activate(_Elementwise):
    """x = act(z); p, q, r are the settings of the activation, in their order"""

    cdef int act
    cdef real p, q, r

    def __init__(self, z, x, str kind, double p=0, double q=0, double r=0):
        self.bind(z, z, x)
        self.act, self.p, self.q, self.r = activation(kind), p, q, r

    cdef void span(
        self, const real* z, const real* _, real* x, Py_ssize_t vectors
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef int act = self.act
        cdef vec p = splat(self.p), q = splat(self.q), r = splat(self.r)
        for i in range(vectors):
            store(x + i * LANES, activate_by(load(z + i * LANES), act, p, q, r))


cdef class ActivateAdjoint(Activate):
    """delta = epsilon act', from x, or from z where the op keeps that"""

    def __init__(
        self, epsilon, x, delta, str kind, double p=0, double q=0, double r=0
    ):
        self.bind(epsilon, x, delta)
        self.act, self.p, self.q, self.r = activation(kind), p, q, r

    cdef void span(
        self, const real* epsilon, const real* x, real* delta, Py_ssize_t vectors
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef int act = self.act
        cdef vec e, v
        cdef vec p = splat(self.p), q = splat(self.q), r = splat(self.r)
        for i in range(vectors):
            e = load(epsilon + i * LANES)
            v = load(x + i * LANES)
            store(delta + i * LANES, activate_adjoint_by(e, v, act, p, q, r))


cdef class Linear(_Elementwise):
    """x = factor z + shift"""

    cdef real factor, shift

    def __init__(self, z, x, double factor=1, double shift=0):
        self.bind(z, z, x)
        self.factor, self.shift = factor, shift

    cdef void span(
        self, const real* z, const real* _, real* x, Py_ssize_t vectors
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef vec factor = splat(self.factor), shift = splat(self.shift)
        for i in range(vectors):
            store(x + i * LANES, factor * load(z + i * LANES) + shift)


cdef class Add(_Elementwise):
    """x = a + factor b"""

    cdef real factor

    def __init__(self, a, b, x, double factor=1):
        self.bind(a, b, x)
        self.factor = factor

    cdef void span(
        self, const real* a, const real* b, real* x, Py_ssize_t vectors
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef vec factor = splat(self.factor)
        for i in range(vectors):
            store(x + i * LANES, load(a + i * LANES) + factor * load(b + i * LANES))


cdef class Multiply(_Elementwise):
    """x = a b"""

    def __init__(self, a, b, x):
        self.bind(a, b, x)

    cdef void span(
        self, const real* a, const real* b, real* x, Py_ssize_t vectors
    ) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(vectors):
            store(x + i * LANES, load(a + i * LANES) * load(b + i * LANES))


cdef class Gate(Kernel):
    """x(j) = z(j) s for all positions j of an example: s has a factor per channel"""

    cdef const real* z
    cdef const real* s
    cdef real* x
    cdef Py_ssize_t n, positions, c

    def __init__(self, z, s, x):
        self.n, self.c = x.shape[0], x.shape[x.ndim - 1]
        self.positions = x.size // max(self.n * self.c, 1)
        self.z = <const real*>self.read(z, KIND, x.size)
        self.s = <const real*>self.read(s, KIND, self.n * self.c)
        self.x = <real*>self.write(x, KIND)

    cdef void run(self) noexcept nogil:
        self.share(self.n * self.positions, self.n * self.positions * self.c)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i = 0, c = self.c
        cdef const real* z = self.z + row * c
        cdef const real* s = self.s + row // self.positions * c
        cdef real* x = self.x + row * c
        while i + LANES <= c:
            store(x + i, load(z + i) * load(s + i))
            i += LANES
        while i < c:
            x[i] = z[i] * s[i]
            i += 1


cdef class GateAdjoint(Kernel):
    """delta_s = sum_j epsilon(j) z(j)"""

    cdef const real* epsilon
    cdef const real* z
    cdef real* delta
    cdef Py_ssize_t n, positions, c

    def __init__(self, epsilon, z, delta):
        self.n, self.c = z.shape[0], z.shape[z.ndim - 1]
        self.positions = z.size // max(self.n * self.c, 1)
        self.epsilon = <const real*>self.read(epsilon, KIND, z.size)
        self.z = <const real*>self.read(z, KIND)
        self.delta = <real*>self.write(delta, KIND, self.n * self.c)

    cdef void run(self) noexcept nogil:
        self.share(self.n * ((self.c + WIDTH - 1) // WIDTH),
                   self.n * self.positions * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """The sums of one example for a chunk of its channels"""
        cdef Py_ssize_t j, k, c = self.c, chunks = (c + WIDTH - 1) // WIDTH
        cdef Py_ssize_t n = item // chunks, begin = item % chunks * WIDTH
        cdef Py_ssize_t width = min(WIDTH, c - begin)
        cdef const real* e = self.epsilon + n * self.positions * c + begin
        cdef const real* z = self.z + n * self.positions * c + begin
        cdef real* delta = self.delta + n * c + begin
        for k in range(width):
            delta[k] = 0
        for j in range(self.positions):
            for k in range(width):
                delta[k] += e[j * c + k] * z[j * c + k]
