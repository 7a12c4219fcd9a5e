"""Winograd's weight adjoint: the points and what they are for are in winograd.pyx."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport (
    LANES, MR, NR, load, load_part, real, splat, store, store_part, vec,
)
from minidl._ext.tile cimport adjoint_by_stride
from minidl._ext.tiles cimport (
    MOST, POINTS, Spot, Tiles, odd, spot_of, tiles_of, transform,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"


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


cdef class WinogradWeights(Kernel):
    """g[r, s, c, f] = sum over positions of z[. + r, . + s, c] epsilon[., f]

    Where the 36 sums are small, tiles are split into `parts` with sums of their own,
    added in order. Else there is one part: its tiles are transformed in blocks, by
    all threads, and each entry of the sums belongs to one of them. Either way the same
    bits come out for any number of threads."""

    cdef Tiles tiles
    cdef const real* epsilon
    cdef real* g
    cdef real* sums  # per part u [POINTS][panels][c][NR]
    cdef real* slots  # per thread v [POINTS][block][wide], then
    # e [POINTS][panels][block][NR]
    cdef Py_ssize_t v_apart, e_apart, u_apart  # from one point to the next
    cdef Py_ssize_t c, f, block, parts, panels, high, height, first, count
    cdef int phase
    cdef bint turned

    def __init__(self, z, epsilon, g, pad, turned, scratch):
        self.tiles = tiles_of(self, KIND, z, epsilon, pad, g.shape[0])
        _, _, self.c, self.f = g.shape
        self.turned = turned
        self.panels = (self.f + NR - 1) // NR
        self.high = (self.c + MR - 1) // MR
        self.height = (self.c + self.high - 1) // self.high
        self.parts, self.block = WinogradWeights.layout(
            self.tiles.count, self.c, self.f)
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.g = <real*>self.write(g, KIND)
        self.sums = <real*>self.write(scratch, "B")
        self.v_apart = odd(self.block * self.tiles.wide)
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
            self.share(self.parts, self.tiles.count * work)
        self.first = 0
        while self.parts == 1 and self.first < self.tiles.count:
            self.count = min(self.block, self.tiles.count - self.first)
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
        cdef Py_ssize_t begin = self.tiles.count * part // self.parts, first = begin, k
        cdef Py_ssize_t stop = self.tiles.count * (part + 1) // self.parts, count
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
        transform(&self.tiles, tile, v + k * self.tiles.wide, self.v_apart, LANES)
        self.spread(tile, k, v + POINTS * self.v_apart)

    cdef void spread(self, Py_ssize_t tile, Py_ssize_t k, real* into) noexcept nogil:
        """A e A^T of one tile of epsilon, panel by panel; a narrow one has LANES"""
        cdef Spot spot = spot_of(&self.tiles, tile)
        cdef Py_ssize_t line = self.tiles.cols * self.f, f = 0, n, row
        cdef const real* e = self.epsilon + spot.at * self.f
        while f < self.f:
            n = min(<Py_ssize_t>LANES, self.f - f)
            row = LANES if self.f - f // NR * NR <= LANES else NR
            row = f // NR * self.block * NR + k * row + f % NR
            if self.tiles.side == 4:
                epsilon_tile(4, e + f, line, self.f, n, spot.tall, spot.wide,
                             into + row, self.e_apart)
            else:
                epsilon_tile(2, e + f, line, self.f, n, spot.tall, spot.wide,
                             into + row, self.e_apart)
            f += LANES

    cdef void correlate(
        self, Py_ssize_t item, bint first, Py_ssize_t count, const real* v, real* u
    ) noexcept nogil:
        """Some channels of one point and panel: the sum over this block."""
        cdef Py_ssize_t pair = item // self.high, c = item % self.high * self.height
        cdef Py_ssize_t point = pair // self.panels, panel = pair % self.panels
        cdef Py_ssize_t height = min(self.height, self.c - c)
        cdef bint narrow = self.f - panel * NR <= LANES
        cdef const real* e = (
            v + POINTS * self.v_apart + point * self.e_apart + panel * self.block * NR)
        u += point * self.u_apart + (panel * self.c + c) * NR
        adjoint_by_stride(
            height, narrow, count, v + point * self.v_apart + c, self.tiles.wide, e,
            LANES if narrow else NR, e, 0, u, NR, not first)

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
            if self.tiles.side == 4:
                gradient(3, d, self.turned, min(<Py_ssize_t>LANES, self.f - f), g,
                         self.c * self.f)
            else:
                gradient(5, d, self.turned, min(<Py_ssize_t>LANES, self.f - f), g,
                         self.c * self.f)
            f += LANES
