"""Batch normalisation: all arrays are rows of c channels.

Sums over rows are taken in blocks, in `real`; blocks are added up in double for each
of a fixed number of parts, and parts in their order. So nothing depends on the number
of threads, and the mean may be large against the deviation.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.rows cimport affine, deviations, products
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    BLOCK = 64  # rows whose sums are in `real`
    CHUNK = 8192  # entries that one thread normalises at a time


cdef class _Rows(Kernel):
    """x = (z - m) a + b + e s, with one m, a, b, s for each channel (NULL: none)"""

    cdef const real* z
    cdef const real* m
    cdef const real* a
    cdef const real* b
    cdef const real* e
    cdef const real* s
    cdef real* x
    cdef Py_ssize_t rows, c, parts, chunk, chunks
    cdef bint spreading
    cdef double* sums  # per part: two rows
    cdef real* block  # per part: two rows
    cdef real* row  # three rows

    cdef int split(self, z, x, scratch) except -1:
        self.z = <const real*>self.read(z, KIND)
        self.x = <real*>self.write(x, KIND, z.size)
        self.c = z.shape[z.ndim - 1]
        self.rows = z.size // self.c
        self.parts = parts(self.rows, self.rows * self.c)
        self.chunk = max(1, CHUNK // self.c)
        self.chunks = (self.rows + self.chunk - 1) // self.chunk
        size = 2 * self.parts * (sizeof(double) + sizeof(real)) + 3 * sizeof(real)
        if scratch is not None:
            self.sums = <double*>self.write(scratch, "B", self.c * size)
            self.block = <real*>(self.sums + 2 * self.parts * self.c)
            self.row = self.block + 2 * self.parts * self.c
        return 0

    cdef void add(self) noexcept nogil:
        """Both rows of `sums` for each part."""
        self.spreading = False
        self.share(self.parts, self.rows * self.c)

    cdef void spread(self) noexcept nogil:
        """Write x."""
        self.spreading = True
        self.share(self.chunks, self.rows * self.c)

    cdef void part(self, Py_ssize_t i, int slot) noexcept nogil:
        if self.spreading:
            affine(
                self.z, self.m, self.a, self.b, self.e, self.s, self.x,
                i * self.chunk, min(self.rows, (i + 1) * self.chunk), self.c)
        else:
            self.sum(i, self.rows * i // self.parts, self.rows * (i + 1) // self.parts)

    cdef void sum(
        self, Py_ssize_t index, Py_ssize_t start, Py_ssize_t stop
    ) noexcept nogil:
        pass


cdef class BatchNorm(_Rows):
    """x = gamma (z - m) / sqrt(v + tiny) + beta, m and v those of the batch"""

    cdef const real* gamma
    cdef const real* beta
    cdef real* mean
    cdef real* var
    cdef real* batch_mean
    cdef real* inverse
    cdef double momentum, tiny, over

    def __init__(
        self, z, gamma, beta, mean, var, m, inverse, x, scratch,
        double momentum, double tiny, bint unbiased,
    ):
        self.split(z, x, scratch)
        self.gamma = <const real*>self.read(gamma, KIND, self.c)
        self.beta = <const real*>self.read(beta, KIND, self.c)
        self.mean = <real*>self.write(mean, KIND, self.c)
        self.var = <real*>self.write(var, KIND, self.c)
        self.batch_mean = <real*>self.write(m, KIND, self.c)
        self.inverse = <real*>self.write(inverse, KIND, self.c)
        self.m, self.a, self.b = self.batch_mean, self.row, self.beta
        self.momentum, self.tiny = momentum, tiny
        self.over = max(1, self.rows - 1 if unbiased else self.rows)

    cdef void sum(
        self, Py_ssize_t index, Py_ssize_t start, Py_ssize_t stop
    ) noexcept nogil:
        """The mean and the squared deviations of one part."""
        cdef Py_ssize_t c = self.c, i = start, j, n
        cdef double* mean = self.sums + 2 * index * c
        cdef double* m2 = mean + c
        cdef real* s1 = self.block + 2 * index * c
        cdef real* s2 = s1 + c
        cdef const real* z
        cdef double step, whole, weight
        memset(mean, 0, 2 * c * sizeof(double))
        while i < stop:
            n = min(<Py_ssize_t>BLOCK, stop - i)
            z = self.z + i * c
            deviations(z, n, c, s1, s2)
            whole = <double>1 / n
            weight = <double>n / (i - start + n)
            for j in range(c):
                step = z[j] + s1[j] * whole - mean[j]
                mean[j] += step * weight
                m2[j] += s2[j] - s1[j] * whole * s1[j]
                m2[j] += step * step * weight * (i - start)
            i += n

    cdef void statistics(self) noexcept nogil:
        """Merge the parts; leave gamma / sqrt(v + tiny) in `row`."""
        cdef Py_ssize_t c = self.c, j, p, before, n
        cdef double mean, m2, step, keep = self.momentum
        for j in range(c):
            mean, m2 = self.sums[j], self.sums[c + j]
            for p in range(1, self.parts):
                before = self.rows * p // self.parts
                n = self.rows * (p + 1) // self.parts - before
                step = self.sums[2 * p * c + j] - mean
                mean += step * n / (before + n)
                m2 += self.sums[(2 * p + 1) * c + j]
                m2 += step * step * before * n / (before + n)
            m2 = 0 if m2 < 0 else m2
            self.batch_mean[j] = mean
            self.inverse[j] = 1 / sqrt(m2 / self.rows + self.tiny)
            self.row[j] = self.gamma[j] * self.inverse[j]
            self.mean[j] = keep * self.mean[j] + (1 - keep) * mean
            self.var[j] = keep * self.var[j] + (1 - keep) * (m2 / self.over)

    cdef void run(self) noexcept nogil:
        self.add()
        self.statistics()
        self.spread()


cdef class BatchNormAdjoint(_Rows):
    """delta = gamma / std (epsilon - mean(epsilon) - zhat mean(epsilon zhat))

    g.gamma = sum epsilon zhat, g.beta = sum epsilon, zhat = (z - m) / std
    """

    cdef const real* gamma
    cdef const real* inverse
    cdef real* g_gamma
    cdef real* g_beta

    def __init__(
        self, epsilon, z, gamma, m, inverse, delta, g_gamma, g_beta, scratch
    ):
        self.split(z, delta, scratch)
        self.e = <const real*>self.read(epsilon, KIND, z.size)
        self.gamma = <const real*>self.read(gamma, KIND, self.c)
        self.m = <const real*>self.read(m, KIND, self.c)
        self.inverse = <const real*>self.read(inverse, KIND, self.c)
        self.g_gamma = <real*>self.write(g_gamma, KIND, self.c)
        self.g_beta = <real*>self.write(g_beta, KIND, self.c)
        self.a, self.b, self.s = self.row, self.row + self.c, self.row + 2 * self.c

    cdef void sum(
        self, Py_ssize_t index, Py_ssize_t start, Py_ssize_t stop
    ) noexcept nogil:
        """The sums of epsilon and epsilon (z - m) over one part."""
        cdef Py_ssize_t c = self.c, i = start, j, n
        cdef double* sums = self.sums + 2 * index * c
        cdef real* both = self.block + 2 * index * c
        memset(sums, 0, 2 * c * sizeof(double))
        while i < stop:
            n = min(<Py_ssize_t>BLOCK, stop - i)
            products(self.z, self.m, self.e, i, i + n, c, both, both + c)
            for j in range(2 * c):
                sums[j] += both[j]
            i += n

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t j, p, c = self.c
        cdef double s1, s2, inverse, scale
        self.add()
        for j in range(c):
            s1 = s2 = 0
            for p in range(self.parts):
                s1 += self.sums[2 * p * c + j]
                s2 += self.sums[(2 * p + 1) * c + j]
            inverse = self.inverse[j]
            scale = self.gamma[j] * inverse
            self.row[j] = -scale * inverse * inverse * s2 / self.rows
            self.row[c + j] = -scale * s1 / self.rows
            self.row[2 * c + j] = scale
            if self.g_gamma != NULL:
                self.g_gamma[j] = s2 * inverse
            if self.g_beta != NULL:
                self.g_beta[j] = s1
        if self.x != NULL:
            self.spread()


cdef class BatchNormFold(Kernel):
    """inverse = 1 / sqrt(var + tiny), scale = gamma inverse, shift = beta - mean scale
    """

    cdef const real* gamma
    cdef const real* beta
    cdef const real* mean
    cdef const real* var
    cdef real* inverse
    cdef real* scale
    cdef real* shift
    cdef Py_ssize_t c
    cdef double tiny

    def __init__(self, gamma, beta, mean, var, inverse, scale, shift, double tiny):
        self.c, self.tiny = gamma.size, tiny
        self.gamma = <const real*>self.read(gamma, KIND)
        self.beta = <const real*>self.read(beta, KIND, self.c)
        self.mean = <const real*>self.read(mean, KIND, self.c)
        self.var = <const real*>self.read(var, KIND, self.c)
        self.inverse = <real*>self.write(inverse, KIND, self.c)
        self.scale = <real*>self.write(scale, KIND, self.c)
        self.shift = <real*>self.write(shift, KIND, self.c)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t j
        cdef double inverse
        for j in range(self.c):
            inverse = 1 / sqrt(self.var[j] + self.tiny)
            self.inverse[j] = inverse
            self.scale[j] = self.gamma[j] * inverse
            self.shift[j] = self.beta[j] - self.mean[j] * self.gamma[j] * inverse


cdef class ScaleShift(_Rows):
    """x = z scale + shift for each channel; no shift where it is None"""

    def __init__(self, z, scale, shift, x):
        self.split(z, x, None)
        self.a = <const real*>self.read(scale, KIND, self.c)
        self.b = <const real*>self.read(shift, KIND, self.c)

    cdef void run(self) noexcept nogil:
        self.spread()
