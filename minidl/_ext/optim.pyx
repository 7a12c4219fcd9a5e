"""Steps down the gradient, over flat arrays."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, load_part, real, splat, store_part, vec

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    CHUNK = 8192  # entries that one thread takes at a time


cdef class _Step(Kernel):
    """A step for the entries from start to stop of w, all at once or piece by piece."""

    cdef real* w
    cdef const real* g
    cdef const double* lr
    cdef const double* decay
    cdef Py_ssize_t size

    cdef int bind(
        self, w, g, lr, decay, Py_ssize_t start, Py_ssize_t stop
    ) except -1:
        if not 0 <= start <= stop <= w.size:
            raise ValueError(f"{type(self).__name__}: {start} to {stop} of {w.size}")
        if g is not None and g.size < stop:
            raise ValueError(f"{type(self).__name__}: {g.size} gradients of {stop}")
        self.size = stop - start
        self.w = <real*>self.write(w, KIND) + start
        if g is not None:
            self.g = <const real*>self.read(g, KIND) + start
        self.lr = <const double*>self.read(lr, "d", 1)
        self.decay = <const double*>self.read(decay, "d", 1)
        return 0

    cdef void run(self) noexcept nogil:
        self.share((self.size + CHUNK - 1) // CHUNK, self.size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t at = item * CHUNK
        self.follow(at, min(CHUNK, self.size - at), self.g + at)


cdef class SgdStep(_Step):
    """v <- momentum v + g + decay w;   w <- w - lr v

    With `nesterov`, w <- w - lr (momentum v + g + decay w), v the new one. Without
    momentum v is None. `lr` and `decay` have one entry each, which is read at each run.
    Only entries from start to stop are touched. Without `run` g may be None.
    """

    cdef real* v
    cdef double momentum
    cdef bint nesterov

    def __init__(
        self, w, g, v, lr, decay, Py_ssize_t start, Py_ssize_t stop, double momentum,
        bint nesterov,
    ):
        self.bind(w, g, lr, decay, start, stop)
        if v is not None:
            self.v = <real*>self.write(v, KIND, w.size) + start
        self.momentum, self.nesterov = momentum, nesterov

    cdef void follow(
        self, Py_ssize_t at, Py_ssize_t n, const void* gradient
    ) noexcept nogil:
        cdef const real* g = <const real*>gradient
        cdef real* w = self.w + at
        cdef real* v = NULL if self.v == NULL else self.v + at
        cdef real momentum = self.momentum, lr = self.lr[0], decay = self.decay[0]
        cdef vec rate = splat(lr), share = splat(decay), keep = splat(momentum), p, q, u
        cdef bint ahead = self.nesterov
        cdef Py_ssize_t i = 0, width
        while i < n:
            width = min(<Py_ssize_t>LANES, n - i)
            u = load_part(w + i, width)
            p = load_part(g + i, width) + share * u
            if v != NULL:
                q = keep * load_part(v + i, width) + p
                store_part(v + i, q, width)
                p = keep * q + p if ahead else q
            store_part(w + i, u - rate * p, width)
            i += LANES
