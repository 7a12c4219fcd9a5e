"""Filters that differ from place to place: locally connected and tiled convolution.

The filters of position (i, j) are w[i % th, j % tw]. Each weight is used for a few
positions only, so these are loops over filters, not products.
"""

from libc.string cimport memcpy, memset

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef class LocalKernel(Kernel):
    """z [n, h, w, c], x or epsilon [n, rows, cols, f], w [th, tw, kh, kw, c, f]"""

    cdef Py_ssize_t n, h, wide, c, rows, cols, f, th, tw, kh, kw
    cdef Py_ssize_t sh, sw, dh, dw, top, left

    cdef void measure(self, z, x, w, op) except *:
        self.n, self.h, self.wide, self.c = z.shape
        _, self.rows, self.cols, self.f = x.shape
        self.th, self.tw, self.kh, self.kw = w.shape[:4]
        self.sh, self.sw = op.stride
        self.dh, self.dw = op.dilation
        self.top, self.left = op.pad[0][0], op.pad[1][0]

    cdef Py_ssize_t work(self) noexcept nogil:
        return self.n * self.rows * self.cols * self.kh * self.kw * self.c * self.f

    cdef Py_ssize_t source(
        self, Py_ssize_t i, Py_ssize_t j, Py_ssize_t r, Py_ssize_t s
    ) noexcept nogil:
        """The entry of image 0 that tap (r, s) of position (i, j) reads, or -1."""
        cdef Py_ssize_t y = i * self.sh + r * self.dh - self.top
        cdef Py_ssize_t x = j * self.sw + s * self.dw - self.left
        if y < 0 or y >= self.h or x < 0 or x >= self.wide:
            return -1
        return (y * self.wide + x) * self.c

    cdef Py_ssize_t filters(
        self, Py_ssize_t i, Py_ssize_t j, Py_ssize_t r, Py_ssize_t s
    ) noexcept nogil:
        """The entry of w where the filters of a tap of position (i, j) begin."""
        return ((((i % self.th) * self.tw + j % self.tw) * self.kh + r) * self.kw
                + s) * self.c * self.f


cdef class Local(LocalKernel):
    """x[n, i, j] = sum_r,s z[n, i sh + r, j sw + s] w[i % th, j % tw, r, s] + b"""

    cdef const real* z
    cdef const real* w
    cdef const real* b
    cdef real* x

    def __init__(self, z, w, b, x, op):
        self.measure(z, x, w, op)
        self.z = <const real*>self.read(z, KIND)
        self.w = <const real*>self.read(w, KIND)
        self.b = <const real*>self.read(b, KIND, self.th * self.tw * self.f)
        self.x = <real*>self.write(x, KIND)

    cdef void run(self) noexcept nogil:
        self.share(self.rows * self.cols, self.work())

    cdef void part(self, Py_ssize_t p, int slot) noexcept nogil:
        cdef Py_ssize_t i = p // self.cols, j = p % self.cols
        cdef Py_ssize_t size = self.h * self.wide * self.c, f = self.f, r, s, k, n, q
        cdef Py_ssize_t area = self.rows * self.cols * f, at
        cdef real* x = self.x + (i * self.cols + j) * f
        cdef const real* w
        cdef real a
        for n in range(self.n):
            if self.b == NULL:
                memset(x + n * area, 0, f * sizeof(real))
            else:
                memcpy(x + n * area,
                       self.b + ((i % self.th) * self.tw + j % self.tw) * f,
                       f * sizeof(real))
        for r in range(self.kh):
            for s in range(self.kw):
                at = self.source(i, j, r, s)
                if at < 0:
                    continue
                w = self.w + self.filters(i, j, r, s)
                for k in range(self.c):
                    for n in range(self.n):
                        a = self.z[n * size + at + k]
                        for q in range(f):
                            x[n * area + q] += a * w[k * f + q]


cdef class LocalDelta(LocalKernel):
    """delta[n, i s + r, j s + s] += w[i % th, j % tw, r, s] epsilon[n, i, j]"""

    cdef const real* epsilon
    cdef const real* w
    cdef real* delta

    def __init__(self, epsilon, w, delta, op):
        self.measure(delta, epsilon, w, op)
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.w = <const real*>self.read(w, KIND)
        self.delta = <real*>self.write(delta, KIND)

    cdef void run(self) noexcept nogil:
        self.share(self.n, self.work())

    cdef void part(self, Py_ssize_t n, int slot) noexcept nogil:
        cdef Py_ssize_t size = self.h * self.wide * self.c, f = self.f
        cdef Py_ssize_t i, j, r, s, k, q, at
        cdef real* delta = self.delta + n * size
        cdef const real* e
        cdef const real* w
        cdef real a
        memset(delta, 0, size * sizeof(real))
        for i in range(self.rows):
            for j in range(self.cols):
                e = self.epsilon + ((n * self.rows + i) * self.cols + j) * f
                for r in range(self.kh):
                    for s in range(self.kw):
                        at = self.source(i, j, r, s)
                        if at < 0:
                            continue
                        w = self.w + self.filters(i, j, r, s)
                        for k in range(self.c):
                            a = 0
                            for q in range(f):
                                a = a + w[k * f + q] * e[q]
                            delta[at + k] += a


cdef class LocalWeights(LocalKernel):
    """g[i % th, j % tw, r, s] = sum over n, i, j of z[n, i s + r, j s + s] epsilon"""

    cdef const real* z
    cdef const real* epsilon
    cdef real* g
    cdef real* g_b

    def __init__(self, z, epsilon, g, g_b, op):
        self.measure(z, epsilon, g, op)
        self.z = <const real*>self.read(z, KIND)
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.g = <real*>self.write(g, KIND)
        self.g_b = <real*>self.write(g_b, KIND, self.th * self.tw * self.f)

    cdef void run(self) noexcept nogil:
        self.share(self.th * self.tw * self.kh * self.kw, self.work())

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t taps = self.kh * self.kw
        self.tap(item // taps // self.tw, item // taps % self.tw,
                 item % taps // self.kw, item % self.kw)

    cdef void tap(
        self, Py_ssize_t ti, Py_ssize_t tj, Py_ssize_t r, Py_ssize_t s
    ) noexcept nogil:
        """One tap of the filters of one place, and its bias with the first tap."""
        cdef Py_ssize_t size = self.h * self.wide * self.c, f = self.f
        cdef Py_ssize_t i = ti, j, n, k, q, at
        cdef real* g = self.g + self.filters(ti, tj, r, s)
        cdef real* g_b = NULL
        cdef const real* e
        cdef real a
        memset(g, 0, self.c * f * sizeof(real))
        if self.g_b != NULL and r == 0 and s == 0:
            g_b = self.g_b + (ti * self.tw + tj) * f
            memset(g_b, 0, f * sizeof(real))
        while i < self.rows:
            j = tj
            while j < self.cols:
                at = self.source(i, j, r, s)
                for n in range(self.n):
                    e = self.epsilon + ((n * self.rows + i) * self.cols + j) * f
                    if g_b != NULL:
                        for q in range(f):
                            g_b[q] += e[q]
                    if at < 0:
                        continue
                    for k in range(self.c):
                        a = self.z[n * size + at + k]
                        for q in range(f):
                            g[k * f + q] += a * e[q]
                j += self.tw
            i += self.th


cdef class Scatter(Kernel):
    """x[at[k]] = z[k], all else 0"""

    cdef const real* z
    cdef real* x
    cdef const long long* at_
    cdef Py_ssize_t count, size

    def __init__(self, z, x, at):
        self.count, self.size = at.size, x.size
        self.z = <const real*>self.read(z, KIND, self.count)
        self.x = <real*>self.write(x, KIND)
        self.at_ = <const long long*>self.read(at, "q")

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t k
        memset(self.x, 0, self.size * sizeof(real))
        for k in range(self.count):
            self.x[self.at_[k]] = self.z[k]


cdef class Gather(Kernel):
    """x[k] = z[at[k]]"""

    cdef const real* z
    cdef real* x
    cdef const long long* at_
    cdef Py_ssize_t count

    def __init__(self, z, x, at):
        self.count = at.size
        self.z = <const real*>self.read(z, KIND)
        self.x = <real*>self.write(x, KIND, self.count)
        self.at_ = <const long long*>self.read(at, "q")

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t k
        for k in range(self.count):
            self.x[k] = self.z[self.at_[k]]
