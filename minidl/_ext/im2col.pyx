"""Windows laid out as rows of a matrix, and rows added up to an image again."""

from libc.string cimport memcpy, memset

from minidl._ext.finish cimport Finish, ended, finish_of
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, real, splat, vec
from minidl._ext.window cimport Frame, Run, covering, follow, give, take, taps

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef class Im2col(Kernel):
    """x[n, i, j, r, s] = z[n, i sh + r dh - top, j sw + s dw - left], 0 outside"""

    cdef const real* z
    cdef real* x
    cdef Frame f
    cdef Py_ssize_t size

    def __init__(self, z, x, frame):
        cdef Frame f = frame
        self.f = f
        self.size = f.n * f.h.count * f.w.count * f.h.kernel * f.w.kernel * f.c
        self.z = <const real*>self.read(z, KIND, f.n * f.h.size * f.w.size * f.c)
        self.x = <real*>self.write(x, KIND, self.size)

    cdef void run(self) noexcept nogil:
        self.share(self.f.n * self.f.h.count, self.size)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t i = row % f.h.count, j, a, b, wide = f.w.kernel * f.c
        cdef Run r = taps(&f.h, i), s
        cdef real* x = self.x + row * f.w.count * f.h.kernel * wide
        cdef const real* z
        cdef const real* line
        z = self.z + f.w.size * f.c * (
            row // f.h.count * f.h.size + i * f.h.stride - f.h.before)
        for j in range(f.w.count):
            s = taps(&f.w, j)
            for a in range(f.h.kernel):
                if a < r.first or a >= r.end or s.first >= s.end:
                    memset(x, 0, wide * sizeof(real))
                    x += wide
                    continue
                line = z + (
                    a * f.h.dilation * f.w.size + j * f.w.stride - f.w.before) * f.c
                memset(x, 0, s.first * f.c * sizeof(real))
                if f.w.dilation == 1:
                    memcpy(x + s.first * f.c, line + s.first * f.c,
                           (s.end - s.first) * f.c * sizeof(real))
                else:
                    for b in range(s.first, s.end):
                        memcpy(x + b * f.c, line + b * f.w.dilation * f.c,
                               f.c * sizeof(real))
                memset(x + s.end * f.c, 0, (f.w.kernel - s.end) * f.c * sizeof(real))
                x += wide


cdef class Col2im(Kernel):
    """x = the sum of the entries of z that Im2col takes from here, and a tail"""

    cdef const real* z
    cdef real* x
    cdef Finish end
    cdef Frame f
    cdef Py_ssize_t size

    def __init__(self, z, x, frame, tail=None):
        cdef Frame f = frame
        self.f = f
        self.size = f.n * f.h.count * f.w.count * f.h.kernel * f.w.kernel * f.c
        self.z = <const real*>self.read(z, KIND, self.size)
        self.x = <real*>self.write(x, KIND, f.n * f.h.size * f.w.size * f.c)
        self.end = finish_of(self, KIND, None, tail, 0)

    cdef void run(self) noexcept nogil:
        self.share(self.f.n * self.f.h.size, self.size)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t p = row % f.h.size, q, c, n, i, j, a, b, at
        cdef Run y = covering(&f.h, p), x = covering(&f.w, 0)
        cdef vec total
        cdef const real* z = self.z + f.c * f.h.kernel * f.w.kernel * (
            row // f.h.size * f.h.count * f.w.count)
        for q in range(f.w.size):
            follow(&f.w, q, &x)
            for c in range((f.c + LANES - 1) // LANES):
                c = c * LANES
                n = min(LANES, f.c - c)
                total = splat(0)
                for i in range(y.first, y.end):
                    a = p + f.h.before - i * f.h.stride
                    if f.h.dilation > 1:
                        if a % f.h.dilation:
                            continue
                        a = a // f.h.dilation
                    for j in range(x.first, x.end):
                        b = q + f.w.before - j * f.w.stride
                        if f.w.dilation > 1:
                            if b % f.w.dilation:
                                continue
                            b = b // f.w.dilation
                        b = ((i * f.w.count + j) * f.h.kernel + a) * f.w.kernel + b
                        total = total + take(z + b * f.c + c, n)
                at = (row * f.w.size + q) * f.c + c
                total = ended(&self.end, total, splat(1), splat(0), at, n)
                give(self.x + at, total, n)
