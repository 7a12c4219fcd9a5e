"""Interpolation by tables of weights; bilinear by a whole factor, and its adjoint.

Pixel i of x stands at (i + 1/2) / factor - 1/2 of z, or at the edge where that lies
outside. A pixel p of z has the weight max(0, 1 - |distance|) in it, in each axis.
"""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef inline double place(
    Py_ssize_t i, Py_ssize_t factor, Py_ssize_t size,
) noexcept nogil:
    """Where pixel i of x stands on z"""
    cdef double at = (i + 0.5) / factor - 0.5
    return min(max(at, 0.0), size - 1.0)


cdef inline real tent(double distance) noexcept nogil:
    return <real>max(0.0, 1 - (-distance if distance < 0 else distance))


cdef class Bilinear(Kernel):
    """x = z between its pixels"""

    cdef const real* z
    cdef real* x
    cdef Py_ssize_t n, h, w, c, fh, fw

    def __init__(self, z, x, h, w, fh, fw):
        self.n, *_, self.c = z.shape
        self.h, self.w = h, w
        self.fh, self.fw = fh, fw
        self.z = <const real*>self.read(z, KIND, self.n * h * w * self.c)
        self.x = <real*>self.write(x, KIND, z.size * fh * fw)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t rows = self.n * self.h * self.fh
        self.share(rows, rows * self.w * self.fw * self.c)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t p, q, j, k, c = self.c
        cdef double y = place(row % (self.h * self.fh), self.fh, self.h), at
        cdef real t, u
        cdef const real* upper
        cdef const real* lower
        cdef const real* a
        cdef const real* b
        cdef real* x = self.x + row * self.w * self.fw * c
        p = <Py_ssize_t>y
        t = <real>(y - p)
        upper = self.z + (row // (self.h * self.fh) * self.h + p) * self.w * c
        lower = upper + (self.w * c if p + 1 < self.h else 0)
        for j in range(self.w * self.fw):
            at = place(j, self.fw, self.w)
            q = <Py_ssize_t>at
            u = <real>(at - q)
            a, b = upper + q * c, lower + q * c
            q = c if q + 1 < self.w else 0
            for k in range(c):
                x[j * c + k] = ((1 - t) * ((1 - u) * a[k] + u * a[k + q])
                                + t * ((1 - u) * b[k] + u * b[k + q]))


cdef class BilinearAdjoint(Kernel):
    """delta = the sum of epsilon by the weights that z has in x"""

    cdef const real* epsilon
    cdef real* delta
    cdef Py_ssize_t n, h, w, c, fh, fw

    def __init__(self, epsilon, delta, h, w, fh, fw):
        self.n, *_, self.c = delta.shape
        self.h, self.w = h, w
        self.fh, self.fw = fh, fw
        self.epsilon = <const real*>self.read(epsilon, KIND, delta.size * fh * fw)
        self.delta = <real*>self.write(delta, KIND, self.n * h * w * self.c)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t rows = self.n * self.h
        self.share(rows, rows * self.fh * self.w * self.fw * self.c)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t p = row % self.h, q, i, j, k, c = self.c
        cdef Py_ssize_t oh = self.h * self.fh, ow = self.w * self.fw
        cdef real t, u
        cdef const real* epsilon
        cdef real* delta
        for q in range(self.w):
            delta = self.delta + (row * self.w + q) * c
            for k in range(c):
                delta[k] = 0
            for i in range(max(0, (p - 1) * self.fh), min(oh, (p + 2) * self.fh)):
                t = tent(place(i, self.fh, self.h) - p)
                for j in range(max(0, (q - 1) * self.fw), min(ow, (q + 2) * self.fw)):
                    u = t * tent(place(j, self.fw, self.w) - q)
                    if u == 0:
                        continue
                    epsilon = self.epsilon + ((row // self.h * oh + i) * ow + j) * c
                    for k in range(c):
                        delta[k] += u * epsilon[k]


cdef class Resample(Kernel):
    """x[i, j] = the sum of h[i, a] w[j, b] z[at_h[i, a], at_w[j, b]]

    A weight of 0 fills a row of the table: what stands there is not read.
    """

    cdef const real* z
    cdef real* x
    cdef const long long* at_h
    cdef const long long* at_w
    cdef const real* h
    cdef const real* w
    cdef Py_ssize_t n, rows, columns, c, oh, ow, kh, kw

    def __init__(self, z, x, at_h, h, at_w, w):
        self.n, *_, self.c = z.shape
        self.columns = z.shape[z.ndim - 2]
        self.rows = z.size // max(1, self.n * self.columns * self.c)
        self.oh, self.kh = h.shape
        self.ow, self.kw = w.shape
        if at_h.min() < 0 or at_h.max() >= self.rows:
            raise ValueError("Resample: a row that is not there")
        if at_w.min() < 0 or at_w.max() >= self.columns:
            raise ValueError("Resample: a column that is not there")
        self.at_h = <const long long*>self.read(at_h, "q", h.size)
        self.at_w = <const long long*>self.read(at_w, "q", w.size)
        self.h = <const real*>self.read(h, KIND)
        self.w = <const real*>self.read(w, KIND)
        self.z = <const real*>self.read(z, KIND)
        self.x = <real*>self.write(x, KIND, self.n * self.oh * self.ow * self.c)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t rows = self.n * self.oh
        self.share(rows, rows * self.ow * self.c * self.kh * self.kw)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i = row % self.oh, j, a, b, k, c = self.c
        cdef real t, u
        cdef const real* line
        cdef const real* pixel
        cdef real* x = self.x + row * self.ow * c
        for k in range(self.ow * c):
            x[k] = 0
        for a in range(self.kh):
            t = self.h[i * self.kh + a]
            if t == 0:
                continue
            line = self.z + c * self.columns * (
                row // self.oh * self.rows + self.at_h[i * self.kh + a])
            for j in range(self.ow):
                for b in range(self.kw):
                    u = t * self.w[j * self.kw + b]
                    if u == 0:
                        continue
                    pixel = line + self.at_w[j * self.kw + b] * c
                    for k in range(c):
                        x[j * c + k] += u * pixel[k]
