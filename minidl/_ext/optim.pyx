"""Steps down the gradient, over flat arrays: one pass over all parameters.

The entries are cut into pieces, each with a weight decay of its own; what no piece
covers is left alone. ``now`` holds what may change from run to run: the learning rate,
the factor of g, and Adam's two corrections.
"""

from libc.math cimport sqrt

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport (
    LANES, first, load_part, real, splat, square_root, store_part, total, vec,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef class _Pieces(Kernel):
    """The frame: pieces from begin to end, shared out"""

    cdef const long long* begin
    cdef const long long* end
    cdef Py_ssize_t count, size

    cdef int cut(self, begin, end, Py_ssize_t size) except -1:
        cdef Py_ssize_t i
        self.count = begin.size
        self.begin = <const long long*>self.read(begin, "q")
        self.end = <const long long*>self.read(end, "q", self.count)
        self.size = 0
        for i in range(self.count):
            if not 0 <= self.begin[i] <= self.end[i] <= size:
                raise ValueError(
                    f"{type(self).__name__}: piece {self.begin[i]} to {self.end[i]} of "
                    f"{size} entries")
            self.size += self.end[i] - self.begin[i]
        return 0

    cdef void run(self) noexcept nogil:
        self.share(self.count, self.size)


cdef class _Step(_Pieces):
    """w and g, what an optimiser remembers in u and v, and the numbers of now

    g ends with the last piece or later. It is None for a kernel of one piece that
    never runs, but follows the gradient as it is made (`follow`).
    """

    cdef real* w
    cdef const real* g
    cdef real* u
    cdef real* v
    cdef const double* decay
    cdef const double* now

    cdef int bind(self, w, g, u, v, now, begin, end, decay) except -1:
        self.w = <real*>self.write(w, KIND)
        self.g = <const real*>self.read(g, KIND)
        self.u = <real*>self.write(u, KIND, w.size)
        self.v = <real*>self.write(v, KIND, w.size)
        self.now = <const double*>self.read(now, "d", 4)
        self.cut(begin, end, w.size if g is None else min(w.size, g.size))
        self.decay = <const double*>self.read(decay, "d", self.count)
        return 0

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = self.begin[item]
        self.step(i, self.end[item] - i, self.g + i, self.decay[item])

    cdef void follow(
        self, Py_ssize_t at, Py_ssize_t n, const void* gradient
    ) noexcept nogil:
        self.step(self.begin[0] + at, n, <const real*>gradient, self.decay[0])

    cdef void step(
        self, Py_ssize_t at, Py_ssize_t n, const real* g, double decay
    ) noexcept nogil:
        """A step for n entries from `at` on, along g"""


cdef class SgdStep(_Step):
    """v <- momentum v + g + decay w;   w <- w - lr v

    With `nesterov`, w <- w - lr (momentum v + g + decay w), v the new one. Without
    momentum v is None.
    """

    cdef real momentum
    cdef bint nesterov

    def __init__(
        self, w, g, v, now, begin, end, decay, double momentum, bint nesterov
    ):
        self.bind(w, g, None, v, now, begin, end, decay)
        self.momentum, self.nesterov = momentum, nesterov

    cdef void step(
        self, Py_ssize_t at, Py_ssize_t n, const real* g, double decay
    ) noexcept nogil:
        cdef Py_ssize_t i = 0, width
        cdef real* w = self.w + at
        cdef real* v = NULL if self.v == NULL else self.v + at
        cdef vec rate = splat(self.now[0]), scale = splat(self.now[1])
        cdef vec share = splat(decay), keep = splat(self.momentum), p, q, old
        cdef bint ahead = self.nesterov
        while i < n:
            width = min(<Py_ssize_t>LANES, n - i)
            old = load_part(w + i, width)
            p = scale * load_part(g + i, width) + share * old
            if v != NULL:
                q = keep * load_part(v + i, width) + p
                store_part(v + i, q, width)
                p = keep * q + p if ahead else q
            store_part(w + i, old - rate * p, width)
            i += LANES


cdef class AdamStep(_Step):
    """u <- a u + (1 - a) g;   v <- b v + (1 - b) g^2

    w <- w - lr (u / (1 - a^t)) / (sqrt(v / (1 - b^t)) + tiny), where the decay joins g,
    or with `apart` (AdamW) takes lr decay w from w first.
    """

    cdef real a, b, tiny
    cdef bint apart

    def __init__(
        self, w, g, u, v, now, begin, end, decay, double a, double b, double tiny,
        bint apart,
    ):
        self.bind(w, g, u, v, now, begin, end, decay)
        self.a, self.b, self.tiny, self.apart = a, b, tiny, apart

    cdef void step(
        self, Py_ssize_t at, Py_ssize_t n, const real* g, double decay
    ) noexcept nogil:
        cdef Py_ssize_t i = 0, width
        cdef real* w = self.w + at
        cdef real* mean = self.u + at
        cdef real* square = self.v + at
        cdef double lost = self.now[0] * decay if self.apart else 0
        cdef vec share = splat(0 if self.apart else decay), left = splat(1 - lost)
        cdef vec scale = splat(self.now[1]), flat = splat(self.now[3])
        cdef vec rate = splat(self.now[0] * self.now[2]), tiny = splat(self.tiny)
        cdef vec a = splat(self.a), b = splat(self.b), p, u, v, old
        cdef vec rest_a = splat(1 - self.a), rest_b = splat(1 - self.b)
        while i < n:
            width = min(<Py_ssize_t>LANES, n - i)
            old = load_part(w + i, width)
            p = scale * load_part(g + i, width) + share * old
            u = a * load_part(mean + i, width) + rest_a * p
            v = b * load_part(square + i, width) + rest_b * p * p
            store_part(mean + i, u, width)
            store_part(square + i, v, width)
            p = rate * u / (square_root(flat * v) + tiny)
            store_part(w + i, left * old - p, width)
            i += LANES


cdef class RmsStep(_Step):
    """v <- a v + (1 - a) (g + decay w)^2;   u <- momentum u + (g + decay w) / s

    w <- w - lr u, where s = sqrt(v) + tiny. Without momentum u is None.
    """

    cdef real a, momentum, tiny

    def __init__(
        self, w, g, u, v, now, begin, end, decay, double a, double momentum,
        double tiny,
    ):
        self.bind(w, g, u, v, now, begin, end, decay)
        self.a, self.momentum, self.tiny = a, momentum, tiny

    cdef void step(
        self, Py_ssize_t at, Py_ssize_t n, const real* g, double decay
    ) noexcept nogil:
        cdef Py_ssize_t i = 0, width
        cdef real* w = self.w + at
        cdef real* u = NULL if self.u == NULL else self.u + at
        cdef real* square = self.v + at
        cdef vec rate = splat(self.now[0]), scale = splat(self.now[1])
        cdef vec share = splat(decay), tiny = splat(self.tiny)
        cdef vec a = splat(self.a), rest = splat(1 - self.a), p, v, old
        cdef vec keep = splat(self.momentum)
        while i < n:
            width = min(<Py_ssize_t>LANES, n - i)
            old = load_part(w + i, width)
            p = scale * load_part(g + i, width) + share * old
            v = a * load_part(square + i, width) + rest * p * p
            store_part(square + i, v, width)
            p = p / (square_root(v) + tiny)
            if u != NULL:
                p = keep * load_part(u + i, width) + p
                store_part(u + i, p, width)
            store_part(w + i, old - rate * p, width)
            i += LANES


cdef class Clip(_Pieces):
    """now[1] = min(1, limit / |g|), |g| the norm over all pieces; `norm` holds it

    `sums` has an entry for each piece, so the order of the sum is always the same.
    """

    cdef const real* g
    cdef double* sums
    cdef double* now
    cdef double* norm
    cdef double limit

    def __init__(self, g, sums, now, norm, begin, end, double limit):
        self.cut(begin, end, g.size)
        self.g = <const real*>self.read(g, KIND)
        self.sums = <double*>self.write(sums, "d", self.count)
        self.now = <double*>self.write(now, "d", 4)
        self.norm = <double*>self.write(norm, "d", 1)
        self.limit = limit

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t i
        cdef double sum = 0
        self.share(self.count, self.size)
        for i in range(self.count):
            sum += self.sums[i]
        sum = sqrt(sum)
        self.norm[0] = sum
        self.now[1] = self.limit / sum if sum > self.limit else 1

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = self.begin[item], n
        cdef vec p, sum = splat(0)
        while i < self.end[item]:
            n = self.end[item] - i
            p = first(load_part(self.g + i, n), n)
            sum = sum + p * p
            i += LANES
        self.sums[item] = total(sum)


cdef class Follow(_Pieces):
    """average <- average + share (w - average), a moving average; share is read"""

    cdef real* average
    cdef const real* w
    cdef const double* parts

    def __init__(self, average, w, share, begin, end):
        self.cut(begin, end, w.size)
        self.average = <real*>self.write(average, KIND, w.size)
        self.w = <const real*>self.read(w, KIND)
        self.parts = <const double*>self.read(share, "d", 1)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = self.begin[item], n
        cdef vec share = splat(self.parts[0]), old
        while i < self.end[item]:
            n = self.end[item] - i
            old = load_part(self.average + i, n)
            store_part(
                self.average + i, old + share * (load_part(self.w + i, n) - old), n)
            i += LANES
