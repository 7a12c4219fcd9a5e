"""The dense layer: products in which w is read once, where it lies, at memory speed.

    Dense         x = act(scale * (z w + b) + shift + add)     z [n, i], w [i, o]
    DenseDelta    delta = epsilon w^T
    DenseWeights  g = z^T epsilon
"""

from libc.string cimport memcpy, memset

from minidl._ext.kernel cimport Kernel
from minidl._ext.math cimport NONE, activate, activation
from minidl._ext.simd cimport (
    DOT_COLUMNS, DOT_ROWS, LANES, MR, NR, load, real, splat, store, total, vec,
)
from minidl._ext.tile cimport adjoint_by_stride, forward_tile

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    DEEP = 128  # rows of w packed at a time
    WIDE = 8  # panels packed at a time: DEEP x WIDE x NR stays in the L2 cache


cdef class Dense(Kernel):
    """x = act(scale * (z w + b) + shift + add)"""

    cdef const real* z
    cdef const real* w
    cdef const real* b
    cdef const real* scale
    cdef const real* shift
    cdef const real* add
    cdef real* x
    cdef char* slots  # per thread: a packed block of w, then a row of zeros
    cdef Py_ssize_t n, i, o
    cdef int act
    cdef real slope

    def __init__(self, z, w, b, x, scratch, tail=None):
        self.n = z.shape[0]
        self.i, self.o = w.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.w = <const real*>self.read(w, KIND)
        self.b = <const real*>self.read(b, KIND, self.o)
        self.x = <real*>self.write(x, KIND, self.n * self.o)
        self.slots = <char*>self.write(scratch, "B")
        self.act = NONE
        if tail is not None:
            self.act, self.slope = activation(tail.act), tail.slope
            self.scale = <const real*>self.read(tail.scale, KIND, self.o)
            self.shift = <const real*>self.read(tail.shift, KIND, self.o)
            self.add = <const real*>self.read(tail.add, KIND, self.n * self.o)

    @staticmethod
    def scratch(threads):
        """Bytes of packed blocks."""
        return threads * DEEP * WIDE * NR * sizeof(real)

    cdef void run(self) noexcept nogil:
        self.share((self.o + WIDE * NR - 1) // (WIDE * NR),
                   self.n * self.i * self.o // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """All rows, WIDE panels of columns."""
        cdef real* packed = <real*>self.slots + slot * DEEP * WIDE * NR
        cdef Py_ssize_t f = item * WIDE * NR, k, r, q, p, deep, height
        cdef Py_ssize_t wide = min(<Py_ssize_t>(WIDE * NR), self.o - f)
        cdef Py_ssize_t panels = (wide + NR - 1) // NR
        cdef const real* rows[MR]
        cdef real tile[MR * NR]
        k = 0
        while k < self.i:
            deep = min(<Py_ssize_t>DEEP, self.i - k)
            self.pack(k, deep, f, wide, packed)
            r = 0
            while r < self.n:
                height = min(<Py_ssize_t>MR, self.n - r)
                for q in range(MR):
                    rows[q] = self.z + min(r + q, self.n - 1) * self.i + k
                for p in range(panels):
                    if height == 1:
                        single(deep, rows[0], packed + p * deep * NR, tile)
                    else:
                        forward_tile(1, deep, rows, packed + p * deep * NR, tile)
                    self.collect(tile, r, height, f + p * NR, k == 0,
                                 k + deep == self.i)
                r += MR
            k += DEEP

    cdef void pack(
        self, Py_ssize_t k, Py_ssize_t deep, Py_ssize_t f, Py_ssize_t wide, real* packed
    ) noexcept nogil:
        """Rows k to k + deep of columns f to f + wide, panel by panel."""
        cdef Py_ssize_t r, p, whole = wide // NR, rest = wide % NR
        cdef const real* w
        cdef real* into
        for r in range(deep):
            w = self.w + (k + r) * self.o + f
            for p in range(whole):
                into = packed + (p * deep + r) * NR
                store(into, load(w + p * NR))
                store(into + LANES, load(w + p * NR + LANES))
            if rest:
                into = packed + (whole * deep + r) * NR
                memset(into, 0, NR * sizeof(real))
                memcpy(into, w + whole * NR, rest * sizeof(real))

    cdef void collect(
        self, real* tile, Py_ssize_t r, Py_ssize_t height, Py_ssize_t f, bint first,
        bint last
    ) noexcept nogil:
        """Add a tile to what the rows of w before it gave; finish after the last."""
        cdef Py_ssize_t width = min(<Py_ssize_t>NR, self.o - f), q, at, column
        for q in range(height):
            at = (r + q) * self.o + f
            if not first:
                for column in range(width):
                    tile[q * NR + column] += self.x[at + column]
            if last:
                self.finish(tile + q * NR, at, f, width)
            memcpy(self.x + at, tile + q * NR, width * sizeof(real))

    cdef void finish(
        self, real* row, Py_ssize_t at, Py_ssize_t f, Py_ssize_t width
    ) noexcept nogil:
        """Bias and tail of one row of a tile."""
        cdef Py_ssize_t q
        cdef vec slope = splat(self.slope)
        for q in range(width):
            if self.b != NULL:
                row[q] += self.b[f + q]
            if self.scale != NULL:
                row[q] = row[q] * self.scale[f + q] + self.shift[f + q]
            if self.add != NULL:
                row[q] += self.add[at + q]
        if self.act != NONE:
            store(row, activate(load(row), self.act, slope))
            store(row + LANES, activate(load(row + LANES), self.act, slope))


cdef inline void single(
    Py_ssize_t deep, const real* a, const real* b, real* x
) noexcept nogil:
    """One row of a tile; four sums hide the latency of the multiply-add."""
    cdef vec c[8]
    cdef vec v
    cdef Py_ssize_t k = 0
    cdef int q
    for q in range(8):
        c[q] = splat(0)
    while k + 4 <= deep:
        for q in range(4):
            v = splat(a[k + q])
            c[2 * q] = c[2 * q] + v * load(b)
            c[2 * q + 1] = c[2 * q + 1] + v * load(b + LANES)
            b += NR
        k += 4
    while k < deep:
        v = splat(a[k])
        c[0] = c[0] + v * load(b)
        c[1] = c[1] + v * load(b + LANES)
        b += NR
        k += 1
    store(x, (c[0] + c[2]) + (c[4] + c[6]))
    store(x + LANES, (c[1] + c[3]) + (c[5] + c[7]))


cdef class DenseDelta(Kernel):
    """delta[n, i] = sum over o of epsilon[n, o] w[i, o]"""

    cdef const real* epsilon
    cdef const real* w
    cdef real* delta
    cdef Py_ssize_t n, i, o

    def __init__(self, epsilon, w, delta):
        self.n = epsilon.shape[0]
        self.i, self.o = w.shape
        self.epsilon = <const real*>self.read(epsilon, KIND, self.n * self.o)
        self.w = <const real*>self.read(w, KIND)
        self.delta = <real*>self.write(delta, KIND, self.n * self.i)

    cdef void run(self) noexcept nogil:
        self.share((self.i + DOT_ROWS - 1) // DOT_ROWS, self.n * self.i * self.o // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """DOT_ROWS rows of w, all of epsilon."""
        cdef Py_ssize_t i = item * DOT_ROWS, n = 0, q, m
        cdef const real* w[DOT_ROWS]
        cdef const real* e[DOT_COLUMNS]
        cdef real dots[DOT_ROWS * DOT_COLUMNS]
        for q in range(DOT_ROWS):
            w[q] = self.w + min(i + q, self.i - 1) * self.o
        while n < self.n:
            for m in range(DOT_COLUMNS):
                e[m] = self.epsilon + min(n + m, self.n - 1) * self.o
            dot(w, e, self.o, dots)
            for q in range(min(<Py_ssize_t>DOT_ROWS, self.i - i)):
                for m in range(min(<Py_ssize_t>DOT_COLUMNS, self.n - n)):
                    self.delta[(n + m) * self.i + i + q] = dots[q * DOT_COLUMNS + m]
            n += DOT_COLUMNS


cdef inline void dot(
    const real** w, const real** e, Py_ssize_t size, real* dots
) noexcept nogil:
    """dots[q, m] = <w_q, e_m>"""
    cdef vec c[DOT_ROWS][DOT_COLUMNS]
    cdef vec v
    cdef Py_ssize_t f = 0
    cdef int q, m
    for q in range(DOT_ROWS):
        for m in range(DOT_COLUMNS):
            c[q][m] = splat(0)
    while f + LANES <= size:
        for q in range(DOT_ROWS):
            v = load(w[q] + f)
            for m in range(DOT_COLUMNS):
                c[q][m] = c[q][m] + v * load(e[m] + f)
        f += LANES
    for q in range(DOT_ROWS):
        for m in range(DOT_COLUMNS):
            dots[q * DOT_COLUMNS + m] = total(c[q][m])
    while f < size:
        for q in range(DOT_ROWS):
            for m in range(DOT_COLUMNS):
                dots[q * DOT_COLUMNS + m] += w[q][f] * e[m][f]
        f += 1


cdef class DenseWeights(Kernel):
    """g[i, o] = sum over n of z[n, i] epsilon[n, o]"""

    cdef const real* z
    cdef const real* epsilon
    cdef real* g
    cdef real* packed  # epsilon by panels
    cdef Py_ssize_t n, i, o

    def __init__(self, z, epsilon, g, scratch):
        self.n = z.shape[0]
        self.i, self.o = g.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.n * self.o)
        self.g = <real*>self.write(g, KIND)
        self.packed = <real*>self.write(scratch, "B")

    @staticmethod
    def scratch(n, o):
        """Bytes of packed epsilon."""
        return n * ((o + NR - 1) // NR) * NR * sizeof(real)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        for p in range((self.o + NR - 1) // NR):
            self.pack(p)
        self.share((self.i + MR - 1) // MR, self.n * self.i * self.o // 8)

    cdef void pack(self, Py_ssize_t p) noexcept nogil:
        cdef Py_ssize_t width = min(<Py_ssize_t>NR, self.o - p * NR), m
        cdef real* into = self.packed + p * self.n * NR
        if width < NR:
            memset(into, 0, self.n * NR * sizeof(real))
        for m in range(self.n):
            memcpy(into + m * NR, self.epsilon + m * self.o + p * NR,
                   width * sizeof(real))

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """MR rows of g."""
        cdef Py_ssize_t i = item * MR, panels = (self.o + NR - 1) // NR
        cdef Py_ssize_t p, q, width, height = min(<Py_ssize_t>MR, self.i - i)
        cdef real tile[MR * NR]
        for p in range(panels):
            adjoint_by_stride(
                height, self.o - p * NR <= LANES, self.n, self.z + i, self.i,
                self.packed + p * self.n * NR, tile)
            width = min(<Py_ssize_t>NR, self.o - p * NR)
            for q in range(height):
                memcpy(self.g + (i + q) * self.o + p * NR, tile + q * NR,
                       width * sizeof(real))
