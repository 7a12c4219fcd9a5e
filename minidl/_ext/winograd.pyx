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
from minidl._ext.tile cimport point_tile
from minidl._ext.tiles cimport (
    MOST, POINTS, Spot, Tiles, odd, spot_of, tiles_of, transform,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    WIDEST = 16  # lanes of the widest vector
    FEW = 8  # blocks


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


cdef struct Into:  # where outputs go
    real* x
    Py_ssize_t line, step  # from one line or pixel to the next
    Py_ssize_t filters


cdef inline void output_by(
    const int side, Finish* end, const int kind, const real* m, Py_ssize_t height,
    Py_ssize_t row, const Into* into, const Spot* spot, Py_ssize_t f, Py_ssize_t stop
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
        n = LANES if into.filters - f // NR * NR <= LANES else NR  # of a row of m
        source = m + f // NR * POINTS * apart + row * n + f % NR
        n = min(<Py_ssize_t>LANES, stop - f)
        factor, offset = factor_of(end, f, n), offset_of(end, f, n)
        for j in range(6):
            for i in range(6):
                d[i] = load(source + (6 * i + j) * apart)
            point_output(side, d, 1, t + j, 6)
        for i in range(side):
            point_output(side, t + 6 * i, 1, o + side * i, 1)
            to = spot.at * into.step + i * into.line + f
            if spot.tall == side and spot.wide == side and n == LANES:
                for j in range(side):
                    store(into.x + to, ended_by(
                        end, kind, o[side * i + j], factor, offset, to, LANES))
                    to += into.step
            elif i < spot.tall:
                for j in range(side):
                    if j < spot.wide:
                        store_part(into.x + to, ended_by(
                            end, kind, o[side * i + j], factor, offset, to, n), n)
                    to += into.step
        f += LANES


cdef inline void output_tile(
    const int side, Finish* end, const real* m, Py_ssize_t height, Py_ssize_t row,
    const Into* into, const Spot* spot, Py_ssize_t f, Py_ssize_t stop
) noexcept nogil:
    """Y = A^T m A for filters f to stop, finished: what of it lies in x, there.
    m [panel][point][height][NR], of which one row."""
    if end.kind == PLAIN:
        output_by(side, end, PLAIN, m, height, row, into, spot, f, stop)
    elif end.kind == RECTIFIED:
        output_by(side, end, RECTIFIED, m, height, row, into, spot, f, stop)
    elif end.kind == ADDED:
        output_by(side, end, ADDED, m, height, row, into, spot, f, stop)
    elif end.kind == BEHIND:
        output_by(side, end, BEHIND, m, height, row, into, spot, f, stop)
    elif end.kind == ADDED_BEHIND:
        output_by(side, end, ADDED_BEHIND, m, height, row, into, spot, f, stop)
    else:
        output_by(side, end, ANY, m, height, row, into, spot, f, stop)


cdef class Winograd(Kernel):
    """x = act(scale * (z * w + b) + shift + add), w packed by WinogradPack

    A block of tiles is `groups` groups of `height`: those of a register tile."""

    cdef Tiles tiles
    cdef Into into
    cdef const real* u
    cdef real* slots  # per buffer v [group][point][c / LANES][height][LANES]
    cdef Finish end  # and per thread m [group][panel][point][height][NR]
    cdef Py_ssize_t c, f, height, groups, panels, blocks, split, apart
    cdef Py_ssize_t v_size, m_size
    cdef bint common  # shares: each block has a buffer, and all are transformed first
    cdef bint transforming

    def __init__(self, z, u, x, pad, taps, scratch, b=None, tail=None):
        self.tiles = tiles_of(self, KIND, z, x, pad, taps)
        self.c, self.f = z.shape[3], x.shape[3]
        self.into.filters = self.f
        self.panels = (self.f + NR - 1) // NR
        self.u = <const real*>self.read(u, KIND, WinogradPack.size(self.c, self.f))
        self.into.x = <real*>self.write_slice(x, KIND)
        self.into.step = pitch(x)
        self.into.line = self.tiles.cols * self.into.step
        self.blocks, self.split, self.groups, self.height = Winograd.layout(
            self.tiles.count, self.c, self.f)
        self.apart = odd(self.height * self.tiles.wide)
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
                       self.tiles.count * POINTS * self.c)
        self.transforming = False
        self.share(self.blocks * self.split,
                   self.tiles.count * POINTS * self.c * self.f // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t k, first, count
        cdef Py_ssize_t each = (
            self.groups * self.height if self.transforming else self.split)
        cdef Py_ssize_t block = item // each, share = item % each
        cdef Py_ssize_t panel = share * self.panels // self.split
        cdef Py_ssize_t stop = (share + 1) * self.panels // self.split
        cdef real* v = self.slots + block * self.v_size
        cdef real* m = self.slots + self.blocks * self.v_size + slot * self.m_size
        first = self.tiles.count * block // self.blocks
        count = self.tiles.count * (block + 1) // self.blocks - first
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
        v += k // self.height * POINTS * self.apart + k % self.height * LANES
        transform(&self.tiles, tile, v, self.apart, self.height * LANES)

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
        cdef Spot spot = spot_of(&self.tiles, tile)
        if self.tiles.side == 4:
            output_tile(
                4, &self.end, m, self.height, row, &self.into, &spot, f, stop)
        else:
            output_tile(
                2, &self.end, m, self.height, row, &self.into, &spot, f, stop)
