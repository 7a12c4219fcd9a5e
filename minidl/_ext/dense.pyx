"""The dense layer: products in which w is read once, where it lies, at memory speed.

    Dense, DenseFew     x = act(scale * (z w + b) + shift + add), z [n, i], w [i, o]
    DenseDelta          delta = epsilon w^T
    DenseWeights        g = z^T epsilon
"""

from libc.string cimport memcpy, memset

from minidl._ext.finish cimport Finish, ended, factor_of, finish_of, offset_of
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport (
    DOT_COLUMNS, DOT_ROWS, LANES, MR, NR, load, load_part, real, splat, store,
    store_part, stream, total, vec, VECTOR_BYTES,
)
from minidl._ext.tile cimport adjoint_by_stride, forward_rows

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    DEEP = 128  # rows of w packed at a time
    AT_ONCE = 8  # rows of w that go into a sum together
    WIDE = 8  # panels packed at a time: DEEP x WIDE x NR stays in the L2 cache


cdef class DenseForward(Kernel):
    """The arrays of x = act(scale * (z w + b) + shift + add)"""

    cdef const real* z
    cdef const real* w
    cdef real* x
    cdef real* slots
    cdef Finish end
    cdef Py_ssize_t n, i, o

    def __init__(self, z, w, b, x, scratch, tail=None):
        self.n = z.shape[0]
        self.i, self.o = w.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.w = <const real*>self.read(w, KIND)
        self.x = <real*>self.write(x, KIND, self.n * self.o)
        self.slots = <real*>self.write(scratch, "B")
        self.end = finish_of(self, KIND, b, tail, 0)


cdef class DenseFew(DenseForward):
    """For a few rows of z: w is read from end to end, each row of it once

    The rows of w are split into parts, each with a sum of its own, added in order."""

    cdef Py_ssize_t parts, wide
    cdef bint adding

    def __init__(self, z, w, b, x, scratch, tail=None):
        super().__init__(z, w, b, x, scratch, tail)
        self.parts = DenseFew.split(self.i, self.o)

    @staticmethod
    def split(i, o):
        """In how many parts the sum is split."""
        return max(1, min(16, i * o // 65_536))

    @staticmethod
    def scratch(n, i, o):
        """Bytes of sums: [parts][columns by LANES][n][LANES]."""
        wide = (o + LANES - 1) // LANES * LANES
        return DenseFew.split(i, o) * n * wide * sizeof(real)

    cdef void run(self) noexcept nogil:
        self.wide = (self.o + LANES - 1) // LANES
        self.adding = False
        self.share(self.parts, self.n * self.i * self.o)
        self.adding = True
        self.share(self.wide, self.parts * self.n * self.o)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t k = self.i * item // self.parts
        cdef Py_ssize_t stop = self.i * (item + 1) // self.parts
        cdef Py_ssize_t size = self.n * self.wide * LANES
        if self.adding:
            self.add(item * LANES)
            return
        memset(self.slots + item * size, 0, size * sizeof(real))
        while k + AT_ONCE <= stop:
            rows_of_w(AT_ONCE, self.z + k, self.w + k * self.o, self.n, self.i, self.o,
                      self.slots + item * size)
            k += AT_ONCE
        while k < stop:
            rows_of_w(1, self.z + k, self.w + k * self.o, self.n, self.i, self.o,
                      self.slots + item * size)
            k += 1

    cdef void add(self, Py_ssize_t f) noexcept nogil:
        """LANES columns of x: the sums of the parts, finished"""
        cdef Py_ssize_t width = min(<Py_ssize_t>LANES, self.o - f), m, p, at
        cdef Py_ssize_t size = self.n * self.wide * LANES
        cdef vec factor = factor_of(&self.end, f, width)
        cdef vec offset = offset_of(&self.end, f, width)
        cdef vec v
        for m in range(self.n):
            v = splat(0)
            for p in range(self.parts):
                v = v + load(self.slots + p * size + f * self.n + m * LANES)
            at = m * self.o + f
            v = ended(&self.end, v, factor, offset, at, width)
            store_part(self.x + at, v, width)


cdef inline void rows_of_w(
    const int count, const real* z, const real* w, Py_ssize_t n, Py_ssize_t i,
    Py_ssize_t o, real* sums
) noexcept nogil:
    """sums += z[:, :count] w[:count]"""
    cdef Py_ssize_t f = 0, m
    cdef vec row[AT_ONCE]
    cdef vec v
    cdef int q
    while f < o:
        for q in range(count):
            if f + LANES <= o:
                row[q] = load(w + q * o + f)
            else:
                row[q] = load_part(w + q * o + f, o - f)
        for m in range(n):
            v = load(sums)
            for q in range(count):
                v = v + splat(z[m * i + q]) * row[q]
            store(sums, v)
            sums += LANES
        f += LANES


cdef class Dense(DenseForward):
    """For many rows of z: blocks of w are packed and used for all of them"""

    @staticmethod
    def scratch(threads):
        """Bytes of packed blocks."""
        return threads * DEEP * WIDE * NR * sizeof(real)

    cdef void run(self) noexcept nogil:
        self.share((self.o + WIDE * NR - 1) // (WIDE * NR),
                   self.n * self.i * self.o // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """All rows, WIDE panels of columns."""
        cdef real* packed = self.slots + slot * DEEP * WIDE * NR
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
                    forward_rows(
                        height, False, 1, deep, rows, packed + p * deep * NR, tile)
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
        cdef Py_ssize_t q, at, width
        cdef int half
        cdef vec v
        for half in range(2):
            width = min(<Py_ssize_t>LANES, self.o - f)
            if width <= 0:
                return
            for q in range(height):
                at = (r + q) * self.o + f
                v = load(tile + q * NR + half * LANES)
                if not first:
                    v = v + load_part(self.x + at, width)
                if last:
                    v = ended(&self.end, v, factor_of(&self.end, f, width),
                              offset_of(&self.end, f, width), at, width)
                store_part(self.x + at, v, width)
            f += LANES


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
    cdef bint far
    cdef Py_ssize_t n, i, o

    def __init__(self, z, epsilon, g, scratch):
        self.n = z.shape[0]
        self.i, self.o = g.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.n * self.o)
        self.g = <real*>self.write(g, KIND)
        self.packed = <real*>self.write(scratch, "B")
        # a g that no cache holds is written past them
        self.far = (
            g.nbytes > 16_000_000 and self.o % LANES == 0
            and <size_t>self.g % VECTOR_BYTES == 0)

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
        cdef real* into
        for p in range(panels):
            adjoint_by_stride(
                height, self.o - p * NR <= LANES, self.n, self.z + i, self.i,
                self.packed + p * self.n * NR, tile)
            width = min(<Py_ssize_t>NR, self.o - p * NR)
            for q in range(height):
                into = self.g + (i + q) * self.o + p * NR
                if self.far and width == NR:
                    stream(into, load(tile + q * NR))
                    stream(into + LANES, load(tile + q * NR + LANES))
                else:
                    memcpy(into, tile + q * NR, width * sizeof(real))
