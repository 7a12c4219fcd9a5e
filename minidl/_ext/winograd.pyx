"""Winograd's convolutions F(4x4, 3x3) and F(2x2, 5x5): 36 products, not 144 or 100.

    forward   Y = A^T [sum_c (G w G^T) * (B^T d B)] A     d a 6x6 tile of z, Y of x
    adjoint   g = G^T [sum_tiles (B^T d B) * (A e A^T)] G     e a tile of epsilon

Both evaluate at the points 0, 1, -1, 2, -2 and infinity, so B is the same; A has the
powers of the points, and G too, over 4, -6, -6, 24, 24 and 1. Y and e have `side`
numbers a row: 4 where the kernel has 3 taps, 2 where it has 5.

The star multiplies entry by entry, so for each of the 36 entries there is one matrix
product over channels (forward) or over tiles (adjoint). The input adjoint is a forward
pass with turned, transposed filters. A. Lavin, S. Gray, "Fast algorithms for
convolutional neural networks", 2016, has the matrices.
"""

from minidl._ext.finish cimport (
    ADDED, ADDED_BEHIND, ANY, BEHIND, PLAIN, RECTIFIED, Finish, ended_by, factor_of,
    finish_of, offset_of,
)
from minidl._ext.kernel cimport Kernel, pitch
from minidl._ext.simd cimport (
    LANES, MR, NR, VECTOR_BYTES, load, load_part, real, splat, store, store_part,
    stream, transpose, vec,
)
from minidl._ext.tile cimport adjoint_by_stride, point_tile

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    POINTS = 36
    WIDEST = 16  # lanes of the widest vector
    MOST = 25  # taps
    FEW = 8  # blocks


cdef inline Py_ssize_t odd(Py_ssize_t size) noexcept nogil:
    """At least `size`, an odd number of vectors: what lies so far apart does not meet
    in one set of a cache."""
    return (((size + LANES - 1) // LANES) | 1) * LANES


cdef inline void point_input(
    const vec* d, Py_ssize_t s, vec* o, Py_ssize_t t
) noexcept nogil:
    """o = B^T d, from six vectors s apart to six t apart"""
    cdef vec a = d[4 * s] - splat(4) * d[2 * s]
    cdef vec b = d[3 * s] - splat(4) * d[s]
    cdef vec c = d[4 * s] - d[2 * s]
    cdef vec e = splat(2) * (d[3 * s] - d[s])
    o[0] = splat(4) * d[0] - splat(5) * d[2 * s] + d[4 * s]
    o[t] = a + b
    o[2 * t] = a - b
    o[3 * t] = c + e
    o[4 * t] = c - e
    o[5 * t] = splat(4) * d[s] - splat(5) * d[3 * s] + d[5 * s]


cdef inline void point_output(
    const int side, const vec* m, Py_ssize_t s, vec* o, Py_ssize_t t
) noexcept nogil:
    """o = A^T m, from six vectors s apart to `side` t apart"""
    cdef vec a = m[s] + m[2 * s]
    cdef vec b = m[s] - m[2 * s]
    cdef vec c = m[3 * s] + m[4 * s]
    cdef vec d = m[3 * s] - m[4 * s]
    o[0] = m[0] + a + c
    if side == 2:
        o[t] = b + splat(2) * d + m[5 * s]
        return
    o[t] = b + splat(2) * d
    o[2 * t] = a + splat(4) * c
    o[3 * t] = b + splat(8) * d + m[5 * s]


cdef inline void point_epsilon(
    const int side, const vec* e, Py_ssize_t s, vec* o, Py_ssize_t t
) noexcept nogil:
    """o = A e, from `side` vectors s apart to six t apart"""
    cdef vec a = e[0]
    cdef vec b = e[s]
    cdef vec c = e[0]
    cdef vec d = splat(2) * e[s]
    if side == 4:
        a, c = a + e[2 * s], c + splat(4) * e[2 * s]
        b, d = b + e[3 * s], d + splat(8) * e[3 * s]
    o[0] = e[0]
    o[t] = a + b
    o[2 * t] = a - b
    o[3 * t] = c + d
    o[4 * t] = c - d
    o[5 * t] = e[(side - 1) * s]


cdef inline void point_weights(
    const int taps, const vec* w, Py_ssize_t s, vec* o, Py_ssize_t t
) noexcept nogil:
    """o = G w, from `taps` vectors s apart to six t apart"""
    cdef vec a = w[0] + w[2 * s]
    cdef vec b = w[s]
    cdef vec c = w[0] + splat(4) * w[2 * s]
    cdef vec d = splat(2) * w[s]
    if taps == 5:
        a, c = a + w[4 * s], c + splat(16) * w[4 * s]
        b, d = b + w[3 * s], d + splat(8) * w[3 * s]
    o[0] = splat(<real>0.25) * w[0]
    o[t] = splat(<real>(-1.0 / 6)) * (a + b)
    o[2 * t] = splat(<real>(-1.0 / 6)) * (a - b)
    o[3 * t] = splat(<real>(1.0 / 24)) * (c + d)
    o[4 * t] = splat(<real>(1.0 / 24)) * (c - d)
    o[5 * t] = w[(taps - 1) * s]


cdef inline void point_gradient(
    const int taps, const vec* u, Py_ssize_t s, vec* o, Py_ssize_t t
) noexcept nogil:
    """o = G^T u, from six vectors s apart to `taps` t apart"""
    cdef vec a = splat(<real>(-1.0 / 6)) * (u[s] + u[2 * s])
    cdef vec b = splat(<real>(-1.0 / 6)) * (u[s] - u[2 * s])
    cdef vec c = splat(<real>(1.0 / 24)) * (u[3 * s] + u[4 * s])
    cdef vec d = splat(<real>(1.0 / 12)) * (u[3 * s] - u[4 * s])
    o[0] = splat(<real>0.25) * u[0] + a + c
    o[t] = b + d
    o[2 * t] = a + splat(4) * c
    if taps == 5:
        o[3 * t] = b + splat(4) * d
        o[4 * t] = a + splat(16) * c
    o[(taps - 1) * t] = o[(taps - 1) * t] + u[5 * s]


cdef inline void turn(
    const real* w, Py_ssize_t across, Py_ssize_t n, Py_ssize_t q, real* o,
    Py_ssize_t apart
) noexcept nogil:
    """o[l apart + j] = w[j across + l], l to n; zeros for j from q on"""
    cdef vec rows[WIDEST]
    cdef Py_ssize_t j, l
    for j in range(LANES):
        rows[j] = load_part(w + j * across, n if j < q else 0)
    transpose(rows)
    for l in range(n):
        store(o + l * apart, rows[l])


cdef inline void filters(
    const int taps, const real* w, real* u, Py_ssize_t apart, bint far
) noexcept nogil:
    """u[point apart] = G w G^T, LANES filters at once; `far` beyond the caches"""
    cdef vec d[MOST]
    cdef vec t[30]
    cdef vec o[POINTS]
    cdef int r
    for r in range(taps * taps):
        d[r] = load(w + r * LANES)
    for r in range(taps):
        point_weights(taps, d + r, taps, t + r, taps)
    for r in range(6):
        point_weights(taps, t + taps * r, 1, o + 6 * r, 1)
    for r in range(POINTS):
        if far:
            stream(u + r * apart, o[r])
        else:
            store(u + r * apart, o[r])


cdef class WinogradPack(Kernel):
    """u[point][panel][c][:] = (G w_c G^T)[point], panels of NR filters

    `turned`: for the input adjoint, with w[-1 - r, -1 - s] and c, f exchanged."""

    cdef const real* w
    cdef real* u
    cdef Py_ssize_t c, f  # of the product: rows and columns
    cdef Py_ssize_t down, across, tap
    cdef int taps  # of an axis
    cdef bint turned, far

    def __init__(self, w, u, turned, transposed):
        self.taps, _, c, f = w.shape
        self.tap = c * f
        self.down, self.across = (1, f) if transposed else (f, 1)
        self.c, self.f = (f, c) if transposed else (c, f)
        self.turned = turned
        self.w = <const real*>self.read(w, KIND)
        self.u = <real*>self.write(u, KIND, WinogradPack.size(self.c, self.f))
        # written past the caches where no L2 holds it: 2.5 times faster at 37 MB, and
        # the product no slower (Xeon, 2 MB of L2)
        self.far = u.nbytes > 4_000_000 and <size_t>self.u % VECTOR_BYTES == 0

    @staticmethod
    def size(c, f):
        """Entries of u."""
        return POINTS * odd(c * ((f + NR - 1) // NR) * NR)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t panels = (self.f + NR - 1) // NR
        cdef Py_ssize_t deep = (self.c + LANES - 1) // LANES
        self.share(panels * deep, POINTS * panels * self.c * NR)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """Up to LANES rows of a panel; those of a transposed w are turned first."""
        cdef Py_ssize_t panels = (self.f + NR - 1) // NR, f, q, n, l
        cdef Py_ssize_t deep = (self.c + LANES - 1) // LANES
        cdef Py_ssize_t panel = item // deep, c = item % deep * LANES
        cdef Py_ssize_t wide = NR if self.f - panel * NR > LANES else LANES
        cdef Py_ssize_t apart = odd(panels * self.c * NR)
        cdef const real* w
        cdef real* u = self.u + panel * self.c * NR + c * wide
        cdef int r, taps = self.taps * self.taps
        cdef real turned[MOST * LANES * LANES]
        n = min(<Py_ssize_t>LANES, self.c - c)
        f = panel * NR
        while f < min(panel * NR + wide, self.f):
            q = min(<Py_ssize_t>LANES, self.f - f)
            for r in range(taps):
                w = self.w + (taps - 1 - r if self.turned else r) * self.tap
                if self.across == 1:
                    for l in range(n):
                        store(turned + (l * taps + r) * LANES, load_part(
                            w + (c + l) * self.down + f, q))
                else:
                    turn(w + f * self.across + c, self.across, n, q,
                         turned + r * LANES, taps * LANES)
            for l in range(n):
                w = turned + l * taps * LANES
                if self.taps == 3:
                    filters(3, w, u + l * wide + f % NR, apart, self.far)
                else:
                    filters(5, w, u + l * wide + f % NR, apart, self.far)
            f += LANES


cdef inline void output_by(
    const int side, Finish* end, const int kind, const real* m, Py_ssize_t height,
    Py_ssize_t row, Py_ssize_t tall, Py_ssize_t wide, Py_ssize_t f, Py_ssize_t stop,
    Py_ssize_t filters, Py_ssize_t at, Py_ssize_t line, Py_ssize_t step, real* x
) noexcept nogil:
    """`output_tile`, the kind of the tail known before."""
    cdef const real* source
    cdef Py_ssize_t apart = height * NR, n, to
    cdef vec factor, offset
    cdef vec d[6]
    cdef vec t[24]
    cdef vec o[16]
    cdef int i, j
    while f < stop:
        n = LANES if filters - f // NR * NR <= LANES else NR  # of a row of m
        source = m + f // NR * POINTS * apart + row * n + f % NR
        n = min(<Py_ssize_t>LANES, stop - f)
        factor, offset = factor_of(end, f, n), offset_of(end, f, n)
        for j in range(6):
            for i in range(6):
                d[i] = load(source + (6 * i + j) * apart)
            point_output(side, d, 1, t + j, 6)
        for i in range(side):
            point_output(side, t + 6 * i, 1, o + side * i, 1)
            to = at + i * line + f
            if tall == side and wide == side and n == LANES:
                for j in range(side):
                    store(x + to, ended_by(
                        end, kind, o[side * i + j], factor, offset, to, LANES))
                    to += step
            elif i < tall:
                for j in range(side):
                    if j < wide:
                        store_part(x + to, ended_by(
                            end, kind, o[side * i + j], factor, offset, to, n), n)
                    to += step
        f += LANES


cdef inline void output_tile(
    const int side, Finish* end, const real* m, Py_ssize_t height, Py_ssize_t row,
    Py_ssize_t tall, Py_ssize_t wide, Py_ssize_t f, Py_ssize_t stop,
    Py_ssize_t filters, Py_ssize_t at, Py_ssize_t line, Py_ssize_t step, real* x
) noexcept nogil:
    """Y = A^T m A for filters f to stop, finished: the first tall x wide of it to x,
    lines `line` and pixels `step` apart, from `at` on. m [panel][point][height][NR], of
    which one row."""
    if end.kind == PLAIN:
        output_by(side, end, PLAIN, m, height, row, tall, wide, f, stop, filters, at,
                  line, step, x)
    elif end.kind == RECTIFIED:
        output_by(side, end, RECTIFIED, m, height, row, tall, wide, f, stop, filters,
                  at, line, step, x)
    elif end.kind == ADDED:
        output_by(side, end, ADDED, m, height, row, tall, wide, f, stop, filters, at,
                  line, step, x)
    elif end.kind == BEHIND:
        output_by(side, end, BEHIND, m, height, row, tall, wide, f, stop, filters, at,
                  line, step, x)
    elif end.kind == ADDED_BEHIND:
        output_by(side, end, ADDED_BEHIND, m, height, row, tall, wide, f, stop,
                  filters, at, line, step, x)
    else:
        output_by(side, end, ANY, m, height, row, tall, wide, f, stop, filters, at,
                  line, step, x)


cdef inline void input_tile(
    const real* z, const bint inside, Py_ssize_t line, Py_ssize_t step, Py_ssize_t n,
    Py_ssize_t y, Py_ssize_t x, Py_ssize_t h, Py_ssize_t w, real* v, Py_ssize_t apart
) noexcept nogil:
    """v[point apart] = B^T d B of n channels of the tile at (y, x) of h x w pixels:
    row by row, then down. Pixels outside are zeros, and not read."""
    cdef vec d[6]
    cdef vec t[POINTS]
    cdef vec o[6]
    cdef int i, j
    for i in range(6):
        if inside or 0 <= y + i < h:
            for j in range(6):
                if inside:
                    d[j] = load(z + i * line + j * step)
                else:
                    d[j] = load_part(
                        z + i * line + j * step, n if 0 <= x + j < w else 0)
            point_input(d, 1, t + 6 * i, 1)
        else:
            for j in range(6):
                t[6 * i + j] = splat(0)
    for j in range(6):
        point_input(t + j, 6, o, 1)
        for i in range(6):
            store(v + (6 * i + j) * apart, o[i])


cdef class WinogradGrid(Kernel):
    """The tiles of n images h x w x c whose outputs, side x side, cover rows x cols."""

    cdef Py_ssize_t n, h, w, c, rows, cols, f, top, left
    cdef Py_ssize_t down, right, tiles  # tiles per column, per row, in all
    cdef Py_ssize_t wide  # c as whole vectors
    cdef Py_ssize_t side
    cdef const real* z

    cdef void measure(self, z, x, pad, taps) except *:
        self.side = 7 - taps
        self.n, self.h, self.w, self.c = z.shape
        _, self.rows, self.cols, self.f = x.shape
        self.top, self.left = pad[0][0], pad[1][0]
        self.down = (self.rows + self.side - 1) // self.side
        self.right = (self.cols + self.side - 1) // self.side
        self.tiles = self.n * self.down * self.right
        self.wide = (self.c + LANES - 1) // LANES * LANES
        self.z = <const real*>self.read(z, KIND)

    cdef void transform(
        self, Py_ssize_t tile, real* v, Py_ssize_t apart, Py_ssize_t ahead
    ) noexcept nogil:
        """v[point apart + c / LANES ahead + c % LANES] = B^T d B, one tile, all c"""
        cdef Py_ssize_t image = tile // (self.down * self.right), c = 0, n, line
        cdef Py_ssize_t at = tile % (self.down * self.right)
        cdef Py_ssize_t y = at // self.right * self.side - self.top
        cdef Py_ssize_t x = at % self.right * self.side - self.left
        cdef bint inside = (y >= 0 and x >= 0 and y + 6 <= self.h and x + 6 <= self.w)
        cdef const real* z = self.z + ((image * self.h + y) * self.w + x) * self.c
        line = self.w * self.c
        while c < self.c:
            n = min(<Py_ssize_t>LANES, self.c - c)
            if inside and n == LANES:
                input_tile(
                    z + c, True, line, self.c, n, y, x, self.h, self.w, v, apart)
            else:
                input_tile(
                    z + c, False, line, self.c, n, y, x, self.h, self.w, v, apart)
            v += ahead
            c += LANES


cdef class Winograd(WinogradGrid):
    """x = act(scale * (z * w + b) + shift + add), w packed by WinogradPack

    A block of tiles is `groups` groups of `height`: those of a register tile."""

    cdef const real* u
    cdef real* x
    cdef real* slots  # per buffer v [group][point][c / LANES][height][LANES]
    cdef Finish end  # and per thread m [group][panel][point][height][NR]
    cdef Py_ssize_t height, groups, panels, blocks, split, apart, v_size, m_size
    cdef Py_ssize_t pitch  # of x
    cdef bint common  # shares: each block has a buffer, and all are transformed first
    cdef bint transforming

    def __init__(self, z, u, x, pad, taps, scratch, b=None, tail=None):
        self.measure(z, x, pad, taps)
        self.panels = (self.f + NR - 1) // NR
        self.u = <const real*>self.read(u, KIND, WinogradPack.size(self.c, self.f))
        self.x = <real*>self.write_slice(x, KIND)
        self.pitch = pitch(x)
        self.blocks, self.split, self.groups, self.height = Winograd.layout(
            self.tiles, self.c, self.f)
        self.apart = odd(self.height * self.wide)
        self.v_size = POINTS * self.groups * self.apart
        self.m_size = POINTS * self.groups * self.height * self.panels * NR
        self.slots = <real*>self.write(scratch, "B")
        self.common = self.split > 1
        self.end = finish_of(self, KIND, b, tail, 0)

    @staticmethod
    def layout(tiles, c, f):
        """Blocks, shares of panels, groups of a block and tiles of a group. What is
        transformed fits the L2 cache, 400 KB in float32, but there are enough tiles to
        be worth one pass over u (measured with 2 MB of L2 cache and c, f from 16 to
        512). Few tiles are cut smaller, so that there is work for four threads."""
        panels = (f + NR - 1) // NR
        most = max(98_304 // (POINTS * (c + f)), 28, min(112, c * f // 2048))
        blocks = max(1, -(-tiles // (-(-most // MR) * MR)), min(4, tiles // MR))
        blocks = max(blocks, min(4 // panels, tiles // 8))
        groups = max(1, -(-tiles // (blocks * MR)))
        split = min(panels, (FEW + blocks - 1) // blocks) if blocks < FEW else 1
        return blocks, split, groups, max(1, -(-tiles // (blocks * groups)))

    @staticmethod
    def scratch(tiles, c, f, threads):
        """Bytes of transformed tiles and of their products."""
        blocks, split, groups, height = Winograd.layout(tiles, c, f)
        wide = (c + LANES - 1) // LANES * LANES
        deep = (f + NR - 1) // NR * NR
        buffers = blocks if split > 1 else threads
        return POINTS * groups * sizeof(real) * (
            buffers * odd(height * wide) + threads * height * deep)

    cdef void run(self) noexcept nogil:
        if self.common:
            self.transforming = True
            self.share(self.blocks * self.groups * self.height,
                       self.tiles * POINTS * self.c)
        self.transforming = False
        self.share(self.blocks * self.split,
                   self.tiles * POINTS * self.c * self.f // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t k, first, count
        cdef Py_ssize_t each = (
            self.groups * self.height if self.transforming else self.split)
        cdef Py_ssize_t block = item // each, share = item % each
        cdef Py_ssize_t panel = share * self.panels // self.split
        cdef Py_ssize_t stop = (share + 1) * self.panels // self.split
        cdef real* v = self.slots + block * self.v_size
        cdef real* m = self.slots + self.blocks * self.v_size + slot * self.m_size
        first = self.tiles * block // self.blocks
        count = self.tiles * (block + 1) // self.blocks - first
        if self.transforming:
            if share < count:
                self.place(first + share, share, v)
            return
        if not self.common:
            v = self.slots + slot * (self.v_size + self.m_size)
            m = v + self.v_size
            for k in range(count):
                self.place(first + k, k, v)
        self.multiply(v, m, (count + self.height - 1) // self.height, panel, stop)
        for k in range(count):
            self.collect(
                first + k, m + k // self.height * self.panels * POINTS * self.height
                * NR, k % self.height, panel * NR, min(stop * NR, self.f))

    cdef void place(self, Py_ssize_t tile, Py_ssize_t k, real* v) noexcept nogil:
        """Transform a tile to where the k-th of a block belongs."""
        self.transform(
            tile, v + k // self.height * POINTS * self.apart + k % self.height * LANES,
            self.apart, self.height * LANES)

    cdef void multiply(
        self, const real* v, real* m, Py_ssize_t groups, Py_ssize_t panel,
        Py_ssize_t stop
    ) noexcept nogil:
        """The products of a block, point by point."""
        cdef Py_ssize_t h = self.height, size = self.c * NR, point, p
        cdef Py_ssize_t apart = odd(self.panels * size)
        cdef const real* u
        for point in range(POINTS):
            for p in range(panel, stop):
                u = self.u + point * apart
                point_tile(
                    h, self.f - p * NR <= LANES, groups, self.c,
                    v + point * self.apart, POINTS * self.apart, u + p * size,
                    u + ((p + 1) * size if p + 1 < stop else apart + panel * size),
                    m + (p * POINTS + point) * h * NR, self.panels * POINTS * h * NR)

    cdef void collect(
        self, Py_ssize_t tile, const real* m, Py_ssize_t row, Py_ssize_t f,
        Py_ssize_t stop
    ) noexcept nogil:
        """Y = A^T m A of filters f to stop, finished, to where the tile lies in x"""
        cdef Py_ssize_t image = tile // (self.down * self.right)
        cdef Py_ssize_t spot = tile % (self.down * self.right)
        cdef Py_ssize_t y = spot // self.right * self.side
        cdef Py_ssize_t x = spot % self.right * self.side
        cdef Py_ssize_t tall = min(self.side, self.rows - y)
        cdef Py_ssize_t wide = min(self.side, self.cols - x)
        cdef Py_ssize_t step = self.pitch, line = self.cols * step
        cdef Py_ssize_t at = ((image * self.rows + y) * self.cols + x) * step
        if self.side == 4:
            output_tile(4, &self.end, m, self.height, row, tall, wide, f, stop, self.f,
                        at, line, step, self.x)
        else:
            output_tile(2, &self.end, m, self.height, row, tall, wide, f, stop, self.f,
                        at, line, step, self.x)


cdef inline void gradient(
    const int taps, const vec* u, bint turned, Py_ssize_t n, real* g, Py_ssize_t apart
) noexcept nogil:
    """g[tap apart] = G^T u G of n filters"""
    cdef vec t[30]
    cdef vec w[MOST]
    cdef int i, last = taps * taps - 1
    for i in range(6):
        point_gradient(taps, u + i, 6, t + i, 6)
    for i in range(taps):
        point_gradient(taps, t + 6 * i, 1, w + taps * i, 1)
    for i in range(taps * taps):
        store_part(g + (last - i if turned else i) * apart, w[i], n)


cdef inline void epsilon_tile(
    const int side, const real* epsilon, Py_ssize_t line, Py_ssize_t step,
    Py_ssize_t n, Py_ssize_t tall, Py_ssize_t wide, real* into, Py_ssize_t apart
) noexcept nogil:
    """into[point apart] = A e A^T of n filters of a tile with tall x wide pixels"""
    cdef vec e[16]
    cdef vec t[24]
    cdef vec d[6]
    cdef int i, j
    for i in range(side):
        for j in range(side):
            if tall >= side and wide >= side and n == LANES:
                e[side * i + j] = load(epsilon + i * line + j * step)
            elif i < tall and j < wide:
                e[side * i + j] = load_part(epsilon + i * line + j * step, n)
            else:
                e[side * i + j] = splat(0)
    for j in range(side):
        point_epsilon(side, e + j, side, t + j, side)
    for i in range(6):
        point_epsilon(side, t + side * i, 1, d, 1)
        for j in range(6):
            store(into + (6 * i + j) * apart, d[j])


cdef class WinogradWeights(WinogradGrid):
    """g[r, s, c, f] = sum over positions of z[. + r, . + s, c] epsilon[., f]

    Where the 36 sums are small, tiles are split into `parts` with sums of their own,
    added in order. Else there is one part: its tiles are transformed in blocks, by
    all threads, and each entry of the sums belongs to one of them. Either way the same
    bits come out for any number of threads."""

    cdef const real* epsilon
    cdef real* g
    cdef real* sums  # per part u [POINTS][panels][c][NR]
    cdef real* slots  # per thread v [POINTS][block][wide], then
    # e [POINTS][panels][block][NR]
    cdef Py_ssize_t v_apart, e_apart, u_apart  # from one point to the next
    cdef Py_ssize_t block, parts, panels, high, height, first, count
    cdef int phase
    cdef bint turned

    def __init__(self, z, epsilon, g, pad, turned, scratch):
        self.measure(z, epsilon, pad, g.shape[0])
        self.turned = turned
        self.panels = (self.f + NR - 1) // NR
        self.high = (self.c + MR - 1) // MR
        self.height = (self.c + self.high - 1) // self.high
        self.parts, self.block = WinogradWeights.layout(self.tiles, self.c, self.f)
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.g = <real*>self.write(g, KIND)
        self.sums = <real*>self.write(scratch, "B")
        self.v_apart = odd(self.block * self.wide)
        self.e_apart = odd(self.block * self.panels * NR)
        self.u_apart = odd(self.c * self.panels * NR)
        self.slots = self.sums + self.parts * POINTS * self.u_apart

    @staticmethod
    def layout(tiles, c, f):
        """Parts, and tiles of a block: of each part as large as the L2 cache; of all
        as is worth one pass over the sums, but 16 MB at most (float32)."""
        size = POINTS * odd(c * ((f + NR - 1) // NR) * NR)
        parts = max(1, min(8, 600_000 // size, tiles // 64))
        numbers = 200_000 if parts > 1 else min(4_000_000, max(200_000, 4 * size))
        block = max(64 if parts == 1 else 16, numbers // (POINTS * (c + f)))
        return parts, max(1, min(-(-tiles // parts), block))

    @staticmethod
    def scratch(tiles, c, f, threads):
        """Bytes of transformed tiles of z and epsilon, and of the 36 sums."""
        wide = (c + LANES - 1) // LANES * LANES
        deep = (f + NR - 1) // NR * NR
        parts, block = WinogradWeights.layout(tiles, c, f)
        buffers = threads if parts > 1 else 1
        size = buffers * (odd(block * wide) + odd(block * deep)) + parts * odd(c * deep)
        return POINTS * size * sizeof(real)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t work = POINTS * self.c * self.f // 8
        if self.parts > 1:
            self.phase = 0
            self.share(self.parts, self.tiles * work)
        self.first = 0
        while self.parts == 1 and self.first < self.tiles:
            self.count = min(self.block, self.tiles - self.first)
            self.phase = 1
            self.share(self.count, self.count * POINTS * (self.c + self.f))
            self.phase = 2
            self.share(POINTS * self.panels * self.high, self.count * work)
            self.first += self.block
        self.phase = 3
        self.share(self.c, self.parts * POINTS * self.c * self.f)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef real* v = self.slots
        if self.phase == 0:
            v += slot * POINTS * (self.v_apart + self.e_apart)
            self.whole(item, v)
        elif self.phase == 1:
            self.place(self.first + item, item, v)
        elif self.phase == 2:
            self.correlate(item, self.first == 0, self.count, v, self.sums)
        else:
            self.gather(item)

    cdef void whole(self, Py_ssize_t part, real* v) noexcept nogil:
        """The sums of one part."""
        cdef Py_ssize_t begin = self.tiles * part // self.parts, first = begin, k
        cdef Py_ssize_t stop = self.tiles * (part + 1) // self.parts, count
        cdef real* u = self.sums + part * POINTS * self.u_apart
        while first < stop:
            count = min(self.block, stop - first)
            for k in range(count):
                self.place(first + k, k, v)
            for k in range(POINTS * self.panels * self.high):
                self.correlate(k, first == begin, count, v, u)
            first += count

    cdef void place(self, Py_ssize_t tile, Py_ssize_t k, real* v) noexcept nogil:
        """Transform the k-th tile of a block."""
        self.transform(tile, v + k * self.wide, self.v_apart, LANES)
        self.spread(tile, k, v + POINTS * self.v_apart)

    cdef void spread(self, Py_ssize_t tile, Py_ssize_t k, real* into) noexcept nogil:
        """A e A^T of one tile of epsilon, panel by panel; a narrow one has LANES"""
        cdef Py_ssize_t image = tile // (self.down * self.right), f = 0, n, row
        cdef Py_ssize_t spot = tile % (self.down * self.right)
        cdef Py_ssize_t y = spot // self.right * self.side
        cdef Py_ssize_t x = spot % self.right * self.side
        cdef const real* e = self.epsilon + (
            (image * self.rows + y) * self.cols + x) * self.f
        cdef Py_ssize_t line = self.cols * self.f, tall = self.rows - y
        cdef Py_ssize_t wide = self.cols - x
        while f < self.f:
            n = min(<Py_ssize_t>LANES, self.f - f)
            row = LANES if self.f - f // NR * NR <= LANES else NR
            row = f // NR * self.block * NR + k * row + f % NR
            if self.side == 4:
                epsilon_tile(4, e + f, line, self.f, n, tall, wide, into + row,
                             self.e_apart)
            else:
                epsilon_tile(2, e + f, line, self.f, n, tall, wide, into + row,
                             self.e_apart)
            f += LANES

    cdef void correlate(
        self, Py_ssize_t item, bint first, Py_ssize_t count, const real* v, real* u
    ) noexcept nogil:
        """Some channels of one point and panel: the sum over this block."""
        cdef Py_ssize_t pair = item // self.high, c = item % self.high * self.height
        cdef Py_ssize_t point = pair // self.panels, panel = pair % self.panels
        cdef Py_ssize_t height = min(self.height, self.c - c)
        cdef const real* e = (
            v + POINTS * self.v_apart + point * self.e_apart + panel * self.block * NR)
        u += point * self.u_apart + (panel * self.c + c) * NR
        adjoint_by_stride(
            height, self.f - panel * NR <= LANES, count, v + point * self.v_apart + c,
            self.wide, e, e, 0, u, NR, not first)

    cdef void gather(self, Py_ssize_t c) noexcept nogil:
        """g = G^T u G of one channel, all filters; u of the parts in order"""
        cdef Py_ssize_t f = 0, _part
        cdef const real* source
        cdef real* g
        cdef vec d[POINTS]
        cdef int i
        while f < self.f:
            source = self.sums + (f // NR * self.c + c) * NR + f % NR
            for i in range(POINTS):
                d[i] = load(source + i * self.u_apart)
            for _part in range(1, self.parts):
                source += POINTS * self.u_apart
                for i in range(POINTS):
                    d[i] = d[i] + load(source + i * self.u_apart)
            g = self.g + c * self.f + f
            if self.side == 4:
                gradient(3, d, self.turned, min(<Py_ssize_t>LANES, self.f - f), g,
                         self.c * self.f)
            else:
                gradient(5, d, self.turned, min(<Py_ssize_t>LANES, self.f - f), g,
                         self.c * self.f)
            f += LANES
