"""The dense layer: products in which w is read once, where it lies, at memory speed.

    Dense           x = act(scale * (z w + b) + shift + add), z [n, i], w [i, o]
    DenseDelta      delta = epsilon w^T
    DenseWeights    g = z^T epsilon
"""

from libc.string cimport memcpy, memset

from minidl._ext.finish cimport Finish, ended, factor_of, finish_of, offset_of
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport (
    DOT_COLUMNS, DOT_ROWS, LANES, MR, NR, VECTOR_BYTES, W_ROWS, load, load_part,
    prefetch, real, splat, store, store_part, stream, total, vec,
)
from minidl._ext.tile cimport adjoint_by_stride

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    DEEP = 8  # rows of w read side by side
    HIGH = 32  # rows of z at a time
    PARTS = 16  # parts that a sum is split into at most
    FEW = 65_536  # entries of w that a part has at least
    LONG = 992  # entries of a row of g that an optimiser takes: a multiple of NR, and
    # not of a page, so that MR rows of them do not fall on the same places of a cache
    AHEAD = 128  # how far ahead of its use w is asked for, in entries


cdef class Dense(Kernel):
    """x = act(scale * (z w + b) + shift + add)

    An item is a part of the rows of w for a block of rows of z, with sums of its own,
    which are added in order."""

    cdef const real* z
    cdef const real* w
    cdef real* x
    cdef real* sums  # [parts][n][wide]
    cdef real* turned  # z of each item as [rows of w][rows of z]
    cdef Finish end
    cdef Py_ssize_t n, i, o, wide, parts, blocks
    cdef bint adding

    def __init__(self, z, w, b, x, scratch, tail=None):
        self.n = z.shape[0]
        self.i, self.o = w.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.w = <const real*>self.read(w, KIND)
        self.x = <real*>self.write(x, KIND, self.n * self.o)
        self.wide = (self.o + NR - 1) // NR * NR
        self.blocks = (self.n + HIGH - 1) // HIGH
        self.parts = Dense.split(self.n, self.i, self.o)
        self.sums = <real*>self.write(scratch, "B", Dense.scratch(self.n, *w.shape))
        self.turned = self.sums + self.parts * self.n * self.wide
        self.end = finish_of(self, KIND, b, tail, 0)

    @staticmethod
    def split(n, i, o):
        """In how many parts the sum is split: enough items for some threads."""
        blocks = (n + HIGH - 1) // HIGH
        return max(1, min(PARTS // blocks, i * o // FEW, i))

    @staticmethod
    def scratch(n, i, o):
        """Bytes of sums and of z turned."""
        wide = (o + NR - 1) // NR * NR
        return (Dense.split(n, i, o) * wide + i) * n * sizeof(real)

    cdef void run(self) noexcept nogil:
        self.adding = False
        self.share(self.parts * self.blocks, self.n * self.i * self.o)
        self.adding = True
        self.share(self.n, self.parts * self.n * self.o)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t m = item // self.parts * HIGH, p = item % self.parts
        cdef Py_ssize_t k = self.i * p // self.parts, deep, q, r
        cdef Py_ssize_t stop = self.i * (p + 1) // self.parts
        cdef Py_ssize_t high = min(<Py_ssize_t>HIGH, self.n - m)
        cdef real* sums = self.sums + (p * self.n + m) * self.wide
        cdef real* z = self.turned + m * self.i + k * high
        if self.adding:
            self.add(item)
            return
        for q in range(stop - k):
            for r in range(high):
                z[q * high + r] = self.z[(m + r) * self.i + k + q]
        memset(sums, 0, high * self.wide * sizeof(real))
        while k < stop:
            deep = min(<Py_ssize_t>DEEP, stop - k)
            rows_of_w(z, self.w + k * self.o, high, deep, self.o, sums)
            z += deep * high
            k += deep

    cdef void add(self, Py_ssize_t m) noexcept nogil:
        """A row of x: the sums of the parts, finished"""
        cdef Py_ssize_t f = 0, width, p, block = m // HIGH * HIGH
        cdef Py_ssize_t high = min(<Py_ssize_t>HIGH, self.n - block)
        cdef const real* sums
        cdef vec v
        while f < self.o:
            width = min(<Py_ssize_t>LANES, self.o - f)
            sums = self.sums + block * self.wide + f // NR * NR * high
            sums += (m - block) * NR + f % NR
            v = load(sums)
            for p in range(1, self.parts):
                v = v + load(sums + p * self.n * self.wide)
            v = ended(&self.end, v, factor_of(&self.end, f, width),
                      offset_of(&self.end, f, width), m * self.o + f, width)
            store_part(self.x + m * self.o + f, v, width)
            f += LANES


cdef inline void rows_of_w(
    const real* z, const real* w, Py_ssize_t high, Py_ssize_t deep, Py_ssize_t o,
    real* sums
) noexcept nogil:
    """sums += z^T w for `deep` rows of w; sums: [panels of NR columns][high][NR]"""
    cdef Py_ssize_t f = 0, k
    while f < o:
        k = 0
        while k + W_ROWS <= deep:
            few_rows(W_ROWS, z + k * high, w + k * o + f, high, o, o - f, sums)
            k += W_ROWS
        while k < deep:
            few_rows(1, z + k * high, w + k * o + f, high, o, o - f, sums)
            k += 1
        sums += high * NR
        f += NR


cdef inline void few_rows(
    const int count, const real* z, const real* w, Py_ssize_t high, Py_ssize_t o,
    Py_ssize_t left, real* sums
) noexcept nogil:
    """The same for `count` rows and a panel, of whose columns `left` are there"""
    cdef vec first[W_ROWS]
    cdef vec second[W_ROWS]
    cdef vec u, v, s
    cdef Py_ssize_t m
    cdef int q
    for q in range(count):
        if left >= NR:
            first[q], second[q] = load(w + q * o), load(w + q * o + LANES)
            prefetch(w + q * o + AHEAD)
            prefetch(w + q * o + AHEAD + LANES)
        else:
            first[q] = load_part(w + q * o, left)
            second[q] = load_part(w + q * o + LANES, max(<Py_ssize_t>0, left - LANES))
    for m in range(high):
        s = splat(z[m])
        u, v = s * first[0], s * second[0]
        for q in range(1, count):
            s = splat(z[q * high + m])
            u = u + s * first[q]
            v = v + s * second[q]
        store(sums + m * NR, load(sums + m * NR) + u)
        store(sums + m * NR + LANES, load(sums + m * NR + LANES) + v)


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
        cdef Py_ssize_t i = item * DOT_ROWS, n = 0, q, m, shift = 0, next
        cdef const real* w[DOT_ROWS]
        cdef const real* e[DOT_COLUMNS]
        cdef real dots[DOT_ROWS * DOT_COLUMNS]
        for q in range(DOT_ROWS):
            w[q] = self.w + min(i + q, self.i - 1) * self.o
        # each of the passes over these rows asks for its share of the next rows
        while (DOT_COLUMNS << shift) < self.n:
            shift += 1
        while n < self.n:
            next = DOT_ROWS * self.o + (n // DOT_COLUMNS * self.o >> shift)
            for m in range(DOT_COLUMNS):
                e[m] = self.epsilon + min(n + m, self.n - 1) * self.o
            dot(w, e, self.o, next, shift, dots)
            for q in range(min(<Py_ssize_t>DOT_ROWS, self.i - i)):
                for m in range(min(<Py_ssize_t>DOT_COLUMNS, self.n - n)):
                    self.delta[(n + m) * self.i + i + q] = dots[q * DOT_COLUMNS + m]
            n += DOT_COLUMNS


cdef inline void dot(
    const real** w, const real** e, Py_ssize_t size, Py_ssize_t next, Py_ssize_t shift,
    real* dots
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
            prefetch(w[q] + next + (f >> shift))
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
    """g[i, o] = sum over n of z[n, i] epsilon[n, o]

    g may be an optimiser's step for w: it takes the gradient as it is made, so that w
    and its state pass through memory once, and g not at all."""

    cdef const real* z
    cdef const real* epsilon
    cdef real* g
    cdef Kernel step
    cdef real* packed  # epsilon by panels
    cdef real* rows  # of each thread: a piece of MR rows of g
    cdef bint far
    cdef Py_ssize_t n, i, o

    def __init__(self, z, epsilon, g, scratch, w):
        self.n = z.shape[0]
        self.i, self.o = w.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.i)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.n * self.o)
        self.packed = <real*>self.write(scratch, "B")
        self.rows = self.packed + self.n * ((self.o + NR - 1) // NR) * NR
        if isinstance(g, Kernel):
            self.step = g
            return
        self.g = <real*>self.write(g, KIND, self.i * self.o)
        # a g that no cache holds is written past them
        self.far = (
            g.nbytes > 16_000_000 and self.o % LANES == 0
            and <size_t>self.g % VECTOR_BYTES == 0)

    @staticmethod
    def scratch(n, o, threads):
        """Bytes of packed epsilon, and of pieces of g."""
        return (n * ((o + NR - 1) // NR) * NR + threads * MR * LONG) * sizeof(real)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        for p in range((self.o + NR - 1) // NR):
            self.pack(p)
        self.share((self.i + MR - 1) // MR, self.n * self.i * self.o // 8)

    cdef void pack(self, Py_ssize_t p) noexcept nogil:
        cdef Py_ssize_t width = min(<Py_ssize_t>NR, self.o - p * NR), m
        cdef Py_ssize_t wide = LANES if width <= LANES else NR
        cdef real* into = self.packed + p * self.n * NR
        if width < wide:
            memset(into, 0, self.n * wide * sizeof(real))
        for m in range(self.n):
            memcpy(into + m * wide, self.epsilon + m * self.o + p * NR,
                   width * sizeof(real))

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """MR rows of g, a piece of them at a time where the step takes them."""
        cdef Py_ssize_t i = item * MR, f = 0, width, q
        cdef Py_ssize_t height = min(<Py_ssize_t>MR, self.i - i)
        cdef real* rows = self.rows + slot * MR * LONG
        if self.step is None:
            self.piece(i, height, 0, self.o, self.g + i * self.o, self.o)
            return
        while f < self.o:
            width = min(<Py_ssize_t>LONG, self.o - f)
            self.piece(i, height, f, width, rows, LONG)
            for q in range(height):
                self.step.follow((i + q) * self.o + f, width, rows + q * LONG)
            f += LONG

    cdef void piece(
        self, Py_ssize_t i, Py_ssize_t height, Py_ssize_t f, Py_ssize_t width, real* g,
        Py_ssize_t row
    ) noexcept nogil:
        """Columns f to f + width of rows i to i + height; g's rows lie `row` apart."""
        cdef Py_ssize_t at = 0, q, part
        cdef real tile[MR * NR]
        cdef real* into
        cdef bint narrow
        while at < width:
            part = min(<Py_ssize_t>NR, width - at)
            narrow = part <= LANES
            adjoint_by_stride(
                height, narrow, self.n, self.z + i, self.i,
                self.packed + (f + at) * self.n, LANES if narrow else NR, self.packed,
                0, tile, NR, False)
            for q in range(height):
                into = g + q * row + at
                if part < NR:
                    memcpy(into, tile + q * NR, part * sizeof(real))
                elif self.far:
                    stream(into, load(tile + q * NR))
                    stream(into + LANES, load(tile + q * NR + LANES))
                else:
                    store(into, load(tile + q * NR))
                    store(into + LANES, load(tile + q * NR + LANES))
            at += NR
