"""Batch normalisation: all arrays are rows of c channels.

Sums over rows are taken in blocks, in `real`; blocks are added up in double for each
of a fixed number of parts, and parts in their order. So nothing depends on the number
of threads, and the mean may be large against the deviation.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from minidl._ext.finish cimport finish_of
from minidl._ext.kernel cimport Kernel, parts, pitch
from minidl._ext.math cimport NONE, RELU
from minidl._ext.rows cimport (
    Back, Norm, deltas, deviation_rows, normalise, product_rows,
)
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    BLOCK = 64  # rows whose sums are in `real`
    CHUNK = 8192  # entries that one thread normalises at a time


cdef class _Rows(Kernel):
    """Sums over rows, then rows from rows: `run` says when."""

    cdef Py_ssize_t rows, c, parts, chunk, chunks
    cdef bint spreading
    cdef double* sums  # per part: two rows
    cdef real* block  # per part: two rows
    cdef real* row  # three rows

    cdef int split(self, z, scratch) except -1:
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
        """Write all rows."""
        self.spreading = True
        self.share(self.chunks, self.rows * self.c)

    cdef void part(self, Py_ssize_t i, int slot) noexcept nogil:
        if self.spreading:
            self.write_rows(i * self.chunk, min(self.rows, (i + 1) * self.chunk))
        else:
            self.sum(i, self.rows * i // self.parts, self.rows * (i + 1) // self.parts)

    cdef void sum(
        self, Py_ssize_t index, Py_ssize_t start, Py_ssize_t stop
    ) noexcept nogil:
        pass

    cdef void write_rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        pass


cdef class BatchNorm(_Rows):
    """x = act(gamma (z - m) / sqrt(v + tiny) + beta + add), m and v of the batch"""

    cdef Norm norm
    cdef const real* gamma
    cdef real* mean
    cdef real* var
    cdef real* batch_mean
    cdef real* inverse
    cdef double momentum, tiny, over

    def __init__(
        self, z, gamma, beta, mean, var, m, inverse, x, scratch,
        double momentum, double tiny, bint unbiased, tail=None,
    ):
        self.split(z, scratch)
        self.gamma = <const real*>self.read(gamma, KIND, self.c)
        self.mean = <real*>self.write(mean, KIND, self.c)
        self.var = <real*>self.write(var, KIND, self.c)
        self.batch_mean = <real*>self.write(m, KIND, self.c)
        self.inverse = <real*>self.write(inverse, KIND, self.c)
        self.norm.c = self.c
        self.norm.z = <const real*>self.read_slice(z, KIND)
        self.norm.apart = pitch(z)
        self.norm.m, self.norm.a = self.batch_mean, self.row
        self.norm.b = <const real*>self.read(beta, KIND, self.c)
        self.norm.end = finish_of(self, KIND, None, tail, 0)
        self.norm.x = <real*>self.write(x, KIND, z.size)
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
            z = self.norm.z + i * self.norm.apart
            memset(s1, 0, 2 * c * sizeof(real))
            deviation_rows(z, n, c, self.norm.apart, s1, s2)
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
        cdef Py_ssize_t c = self.c, j, p, before, behind
        cdef double* mean = self.sums
        cdef double* m2 = mean + c
        cdef double* other = mean
        cdef double step, weight, square, keep = self.momentum
        for p in range(1, self.parts):
            other += 2 * c
            before = self.rows * p // self.parts
            behind = self.rows * (p + 1) // self.parts
            weight = <double>(behind - before) / behind
            for j in range(c):
                step = other[j] - mean[j]
                mean[j] += step * weight
                m2[j] += other[c + j] + step * step * weight * before
        for j in range(c):
            square = 0 if m2[j] < 0 else m2[j]
            self.batch_mean[j] = mean[j]
            self.inverse[j] = 1 / sqrt(square / self.rows + self.tiny)
            self.row[j] = self.gamma[j] * self.inverse[j]
            self.mean[j] = keep * self.mean[j] + (1 - keep) * mean[j]
            self.var[j] = keep * self.var[j] + (1 - keep) * (square / self.over)

    cdef void write_rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        normalise(&self.norm, start, stop)

    cdef void run(self) noexcept nogil:
        self.add()
        self.statistics()
        self.spread()


cdef class BatchNormAdjoint(_Rows):
    """delta = gamma / std (e - mean(e) - zhat mean(e zhat)), e = epsilon act'(x)

    g.gamma = sum e zhat, g.beta = sum e, zhat = (z - m) / std. Where x is None it is
    computed again, as gamma zhat + beta; e is the delta of what was added, tail.add.
    """

    cdef Back back
    cdef const real* gamma
    cdef const real* inverse
    cdef real* g_gamma
    cdef real* g_beta

    def __init__(
        self, epsilon, z, gamma, beta, m, inverse, delta, g_gamma, g_beta, scratch,
        tail=None, x=None,
    ):
        self.split(z, scratch)
        self.gamma = <const real*>self.read(gamma, KIND, self.c)
        self.inverse = <const real*>self.read(inverse, KIND, self.c)
        self.g_gamma = <real*>self.write(g_gamma, KIND, self.c)
        self.g_beta = <real*>self.write(g_beta, KIND, self.c)
        self.back.norm.c = self.c
        self.back.norm.z = <const real*>self.read_slice(z, KIND)
        self.back.norm.apart = pitch(z)
        self.back.norm.m = <const real*>self.read(m, KIND, self.c)
        self.back.norm.a = self.back.r2 = self.row + 2 * self.c
        self.back.norm.b = <const real*>self.read(beta, KIND, self.c)
        self.back.norm.end = finish_of(self, KIND, None, tail, 0)
        self.back.e = <const real*>self.read(epsilon, KIND, z.size)
        self.back.x = <const real*>self.read(x, KIND, z.size)
        self.back.r0, self.back.r1 = self.row, self.row + self.c
        self.back.delta = <real*>self.write(delta, KIND, z.size)
        if tail is not None:
            self.back.passed = <real*>self.write(tail.add, KIND, z.size)

    cdef void sum(
        self, Py_ssize_t index, Py_ssize_t start, Py_ssize_t stop
    ) noexcept nogil:
        """The sums of e and e (z - m) over one part."""
        cdef Py_ssize_t c = self.c, i = start, j, n
        cdef double* sums = self.sums + 2 * index * c
        cdef real* both = self.block + 2 * index * c
        cdef int act = self.back.norm.end.act
        memset(sums, 0, 2 * c * sizeof(double))
        while i < stop:
            n = min(<Py_ssize_t>BLOCK, stop - i)
            memset(both, 0, 2 * c * sizeof(real))
            if act == NONE:
                product_rows(&self.back, NONE, i, i + n, both, both + c)
            elif act == RELU:
                product_rows(&self.back, RELU, i, i + n, both, both + c)
            else:
                product_rows(&self.back, act, i, i + n, both, both + c)
            for j in range(2 * c):
                sums[j] += both[j]
            i += n

    cdef void write_rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        cdef int act = self.back.norm.end.act
        cdef Back back = self.back
        if back.passed != NULL:  # which has seen the activation
            back.e, act = back.passed, NONE
        if act == NONE:
            deltas(&back, NONE, start, stop)
        elif act == RELU:
            deltas(&back, RELU, start, stop)
        else:
            deltas(&back, act, start, stop)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t j, p, c = self.c
        cdef double* sums = self.sums
        cdef double s1, s2, inverse, scale
        for j in range(c):
            self.row[2 * c + j] = self.gamma[j] * self.inverse[j]
        self.add()
        for p in range(1, self.parts):
            for j in range(2 * c):
                sums[j] += sums[2 * p * c + j]
        for j in range(c):
            s1, s2, inverse = sums[j], sums[c + j], self.inverse[j]
            scale = self.gamma[j] * inverse
            self.row[j] = -scale * inverse * inverse * s2 / self.rows
            self.row[c + j] = -scale * s1 / self.rows
            if self.g_gamma != NULL:
                self.g_gamma[j] = s2 * inverse
            if self.g_beta != NULL:
                self.g_beta[j] = s1
        if self.back.delta != NULL:
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
    """x = act(z scale + shift + add) for each channel; no shift where it is None"""

    cdef Norm norm

    def __init__(self, z, scale, shift, x, tail=None):
        self.split(z, None)
        self.norm.c = self.c
        self.norm.z = <const real*>self.read_slice(z, KIND)
        self.norm.apart = pitch(z)
        self.norm.a = <const real*>self.read(scale, KIND, self.c)
        self.norm.b = <const real*>self.read(shift, KIND, self.c)
        self.norm.end = finish_of(self, KIND, None, tail, 0)
        self.norm.x = <real*>self.write(x, KIND, z.size)

    cdef void write_rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        normalise(&self.norm, start, stop)

    cdef void run(self) noexcept nogil:
        self.spread()
