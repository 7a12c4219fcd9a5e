"""Steps down the gradient, over flat arrays."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, load, real, splat, store, vec

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    CHUNK = 8192  # entries that one thread takes at a time


cdef class SgdStep(Kernel):
    """v <- momentum v + g + decay w;   w <- w - lr v

    With `nesterov`, w <- w - lr (momentum v + g + decay w), v the new one. Without
    momentum v is None. `lr` and `decay` have one entry each, which is read at each run.
    Only entries from start to stop are touched.
    """

    cdef real* w
    cdef const real* g
    cdef real* v
    cdef const double* lr
    cdef const double* decay
    cdef double momentum
    cdef bint nesterov
    cdef Py_ssize_t start, stop

    def __init__(
        self, w, g, v, lr, decay, Py_ssize_t start, Py_ssize_t stop, double momentum,
        bint nesterov,
    ):
        if not 0 <= start <= stop <= w.size:
            raise ValueError(f"SgdStep: {start} to {stop} of {w.size} entries")
        self.w = <real*>self.write(w, KIND)
        self.g = <const real*>self.read(g, KIND, w.size)
        self.v = <real*>self.write(v, KIND, w.size)
        self.lr = <const double*>self.read(lr, "d", 1)
        self.decay = <const double*>self.read(decay, "d", 1)
        self.momentum, self.nesterov = momentum, nesterov
        self.start, self.stop = start, stop

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t size = self.stop - self.start
        self.share((size + CHUNK - 1) // CHUNK, size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = self.start + item * CHUNK, stop = min(self.stop, i + CHUNK)
        cdef real lr = self.lr[0], decay = self.decay[0], momentum = self.momentum
        cdef vec rate = splat(lr), share = splat(decay), keep = splat(momentum), p, q, u
        cdef real* w = self.w
        cdef const real* g = self.g
        cdef real* v = self.v
        cdef bint ahead = self.nesterov
        cdef real a, b
        while i + LANES <= stop:
            u = load(w + i)
            p = load(g + i) + share * u
            if v != NULL:
                q = keep * load(v + i) + p
                store(v + i, q)
                p = keep * q + p if ahead else q
            store(w + i, u - rate * p)
            i += LANES
        while i < stop:
            a = g[i] + decay * w[i]
            if v != NULL:
                b = momentum * v[i] + a
                v[i] = b
                a = momentum * b + a if ahead else b
            w[i] -= lr * a
            i += 1
