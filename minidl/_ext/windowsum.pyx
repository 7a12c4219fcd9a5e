"""Sums over windows: average and sum pooling, decimation, replication.

WindowSum and WindowSpread are each other's adjoint.
"""

from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.simd cimport LANES, real, splat, vec
from minidl._ext.window cimport (
    Axis, Frame, Run, covering, cuts, follow, give, stands, take, tap, taps, upto,
    vectors,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    ROWS = 64  # rows of maps that a thread takes at a time


cdef class Summing(Kernel):
    """Rows of x, or of z in an adjoint, each cut into `cuts` runs of vectors."""

    cdef Frame f
    cdef Py_ssize_t rows, cuts, work, inputs, outputs
    cdef const real* weights  # [kh, kw], or NULL where all are 1

    cdef int measure(self, frame, weights, bint adjoint) except -1:
        self.f = frame
        self.rows = self.f.n * (self.f.h.size if adjoint else self.f.h.count)
        self.cuts = cuts(self.rows, self.f.c)
        self.inputs = self.f.n * self.f.h.size * self.f.w.size * self.f.c
        self.outputs = self.f.n * self.f.h.count * self.f.w.count * self.f.c
        self.work = self.inputs + self.outputs
        self.weights = <const real*>self.read(
            weights, KIND, self.f.h.kernel * self.f.w.kernel)
        return 0

    cdef void run(self) noexcept nogil:
        self.share(self.rows * self.cuts, self.work)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        self.row(item // self.cuts, vectors(item % self.cuts, self.cuts, self.f.c))

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        pass


cdef class WindowSum(Summing):
    """x = the sum of weights * z over the window, / divisor

    The rows of a window are summed one by one, then added: large windows lose less.
    """

    cdef const real* z
    cdef real* x
    cdef real divisor

    def __init__(self, z, weights, x, divisor, frame):
        self.measure(frame, weights, False)
        self.z = <const real*>self.read(z, KIND, self.inputs)
        self.x = <real*>self.write(x, KIND, self.outputs)
        self.divisor = divisor

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t i = row % f.h.count, j, c, n, a, b
        cdef Run r = taps(&f.h, i), s
        cdef vec total, line, v, divisor = splat(self.divisor)
        cdef real* x = self.x
        cdef const real* weights = self.weights
        cdef const real* z = self.z + f.w.size * f.c * (
            row // f.h.count * f.h.size + i * f.h.stride - f.h.before)
        for j in range(f.w.count):
            s = taps(&f.w, j)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                total = splat(0)
                for a in range(r.first, r.end):
                    line = splat(0)
                    for b in range(s.first, s.end):
                        i = stands(&f, a, b) + j * f.w.stride - f.w.before
                        v = take(z + i * f.c + c, n)
                        if weights != NULL:
                            v = v * splat(weights[a * f.w.kernel + b])
                        line = line + v
                    total = total + line
                give(x + (row * f.w.count + j) * f.c + c, total / divisor, n)


cdef class WindowSpread(Summing):
    """delta = the sum of weights * epsilon over the windows that cover it, / divisor"""

    cdef const real* epsilon
    cdef real* delta
    cdef real divisor

    def __init__(self, epsilon, weights, delta, divisor, frame):
        self.measure(frame, weights, True)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.outputs)
        self.delta = <real*>self.write(delta, KIND, self.inputs)
        self.divisor = divisor

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t p = row % f.h.size, q, c, n, i, j, a, b
        cdef Run y = covering(&f.h, p), x = covering(&f.w, 0)
        cdef vec total, v, divisor = splat(self.divisor)
        cdef real* delta = self.delta
        cdef const real* weights = self.weights
        cdef const real* epsilon = self.epsilon + (
            row // f.h.size * f.h.count * f.w.count * f.c)
        for q in range(f.w.size):
            follow(&f.w, q, &x)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                total = splat(0)
                for i in range(y.first, y.end):
                    a = tap(&f.h, p, i)
                    for j in range(x.first, x.end):
                        b = tap(&f.w, q, j)
                        if a < 0 or b < 0:
                            continue
                        v = take(epsilon + (i * f.w.count + j) * f.c + c, n)
                        if weights != NULL:
                            v = v * splat(weights[a * f.w.kernel + b])
                        total = total + v
                give(delta + (row * f.w.size + q) * f.c + c, total / divisor, n)


cdef inline Run counted(const Axis* a, Py_ssize_t i, bint pads) noexcept nogil:
    """The taps of window i that stand on data or, if it counts, on padding"""
    cdef Run r = taps(a, i)
    if pads:
        r.first = 0
        r.end = min(
            a.kernel, upto(a.size + a.after + a.before - i * a.stride, a.dilation))
    return r


cdef class WindowNorm(Summing):
    """x = a / the weight of the taps that count; the overhang of `ceil` never does"""

    cdef const real* a
    cdef real* x
    cdef bint pads

    def __init__(self, a, weights, x, pads, frame):
        self.measure(frame, weights, False)
        self.a = <const real*>self.read(a, KIND, self.outputs)
        self.x = <real*>self.write(x, KIND, self.outputs)
        self.pads = pads

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Py_ssize_t i, j, c, o
        cdef Run r = counted(&self.f.h, row % self.f.h.count, self.pads), s
        cdef real norm
        cdef const real* a = self.a
        cdef real* x = self.x
        for j in range(self.f.w.count):
            s = counted(&self.f.w, j, self.pads)
            norm = (r.end - r.first) * (s.end - s.first)
            if self.weights != NULL:
                norm = 0
                for i in range(r.first, r.end):
                    for c in range(s.first, s.end):
                        norm = norm + self.weights[i * self.f.w.kernel + c]
            if norm == 0:  # all that weighs lies outside, and so the sum is 0
                norm = 1
            o = (row * self.f.w.count + j) * self.f.c
            for c in range(o + k.first * LANES, o + min(k.end * LANES, self.f.c)):
                x[c] = a[c] / norm


cdef class PerMap(Kernel):
    """x = w a + b, with a w and a b per map or one for all; b may be missing"""

    cdef const real* a
    cdef const real* w
    cdef const real* b
    cdef real* x
    cdef Py_ssize_t rows, c
    cdef bint one

    def __init__(self, a, w, b, x):
        *_, self.c = x.shape
        self.rows = x.size // self.c
        self.one = w.size == 1
        self.a = <const real*>self.read(a, KIND, x.size)
        self.w = <const real*>self.read(w, KIND, 1 if self.one else self.c)
        self.b = <const real*>self.read(b, KIND, 1 if self.one else self.c)
        self.x = <real*>self.write(x, KIND)

    cdef void run(self) noexcept nogil:
        self.share((self.rows + ROWS - 1) // ROWS, self.rows * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t row, k, n
        cdef vec w, b
        for k in range((self.c + LANES - 1) // LANES):
            k = k * LANES
            n = min(LANES, self.c - k)
            w, b = splat(self.w[0]) if self.one else take(self.w + k, n), splat(0)
            if self.b != NULL:
                b = splat(self.b[0]) if self.one else take(self.b + k, n)
            for row in range(item * ROWS, min(self.rows, (item + 1) * ROWS)):
                give(self.x + row * self.c + k,
                     w * take(self.a + row * self.c + k, n) + b, n)


cdef class PerMapAdjoint(Kernel):
    """g_w = sum(epsilon a), g_b = sum(epsilon), over a fixed partition of the rows"""

    cdef const real* epsilon
    cdef const real* a
    cdef real* partial  # [parts, 2, c]
    cdef real* g_w
    cdef real* g_b
    cdef Py_ssize_t rows, c, parts
    cdef bint one

    def __init__(self, epsilon, a, partial, g_w, g_b):
        *_, self.c = epsilon.shape
        self.rows = epsilon.size // self.c
        self.parts = parts(self.rows, epsilon.size)
        self.one = any(g is not None and g.size == 1 for g in (g_w, g_b))
        size = 1 if self.one else self.c
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.a = <const real*>self.read(a, KIND, epsilon.size)
        self.partial = <real*>self.write(partial, KIND, 2 * self.parts * self.c)
        self.g_w = <real*>self.write(g_w, KIND, size)
        self.g_b = <real*>self.write(g_b, KIND, size)

    cdef void run(self) noexcept nogil:
        self.share(self.parts, self.rows * self.c)
        if self.g_w != NULL:
            self.gather(self.partial, self.g_w)
        if self.g_b != NULL:
            self.gather(self.partial + self.c, self.g_b)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t row, k, n, first, end
        cdef vec w, b, e
        cdef const real* epsilon = self.epsilon
        cdef const real* a = self.a
        first = item * self.rows // self.parts
        end = (item + 1) * self.rows // self.parts
        for k in range((self.c + LANES - 1) // LANES):
            k = k * LANES
            n = min(LANES, self.c - k)
            w, b = splat(0), splat(0)
            for row in range(first, end):
                e = take(epsilon + row * self.c + k, n)
                w = w + e * take(a + row * self.c + k, n)
                b = b + e
            give(self.partial + 2 * item * self.c + k, w, n)
            give(self.partial + (2 * item + 1) * self.c + k, b, n)

    cdef void gather(self, const real* partial, real* g) noexcept nogil:
        cdef Py_ssize_t part, k
        for k in range(1 if self.one else self.c):
            g[k] = 0
        for part in range(self.parts):
            for k in range(self.c):
                g[0 if self.one else k] += partial[2 * part * self.c + k]
