"""What the weights get: sums over the positions of a Grid.

    Correlate      g = im2col(z)^T epsilon, im2col never stored
    CorrelateFew   the same, of few positions
    SumRows        g = sum of epsilon
"""

from libc.string cimport memcpy, memset

from minidl._ext.grid cimport (
    NEAR, Grid, Spot, go_on, grid_of, last_tap, numbers, point, spot_of, target_of,
    zero,
)
from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.simd cimport CHUNK, LANES, MR, NR, load_part, real, store
from minidl._ext.tile cimport adjoint_by_rows, adjoint_by_stride

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    SHARES = 16  # items of few positions


cdef class _Sums(Kernel):
    """What both ways read and write: g[offset_t + l down + f], for filters f."""

    cdef Grid grid
    cdef const real* z
    cdef const real* zeros
    cdef const real* epsilon
    cdef real* g
    cdef char* slots  # scratch
    cdef Py_ssize_t filters, total, down
    cdef Py_ssize_t* offsets

    cdef int bind(self, z, epsilon, g, about, scratch) except -1:
        self.grid = grid_of(self, about)
        self.filters = about.filters
        self.offsets = numbers(self, about.offsets)
        self.down = self.grid.x_c // <Py_ssize_t>about.beside
        self.z = <const real*>self.read(z, KIND) + <Py_ssize_t>about.channel
        self.epsilon = <const real*>self.read(epsilon, KIND) + <Py_ssize_t>about.into
        self.g = <real*>self.write(g, KIND)
        self.zeros = zero(self, self.grid.run)
        self.slots = <char*>self.write(scratch, "B")
        self.total = self.grid.n * self.grid.rows * self.grid.cols
        return 0


cdef class Correlate(_Sums):
    """g[offset_t + l down + f] = sum over positions m of z_t[m, l] epsilon[m, f]

    The positions are split into `parts`, each with a sum of its own, added in order:
    the same bits for any number of threads."""

    cdef real* sums  # [parts][panels][taps run][NR]; then `slots`, per thread:
    # pointers [taps][CHUNK] and a packed panel
    cdef Py_ssize_t parts, groups, taps, each
    cdef bint gathering
    cdef bint direct  # one sum is g itself

    def __init__(self, z, epsilon, g, about, scratch):
        self.bind(z, epsilon, g, about, scratch)
        self.taps = len(about.offsets) // about.beside
        self.each = self.filters // about.beside
        self.groups, self.parts = Correlate.shares(about)
        self.direct = (
            self.parts == 1 and about.beside == 1
            and self.filters % NR == 0 and self.taps == self.grid.taps)
        panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t size = self.parts * panels * NR * sizeof(real)
        size *= self.grid.taps * self.grid.run
        self.sums = <real*>self.slots
        self.slots += size

    @staticmethod
    def shares(about):
        """In how many groups the panels are split, and in how many parts the positions.

        Each group reads all of z, and each part has sums of its own: of the splits that
        make work for 16, the one that reads and writes least."""
        panels, inner, best = -(-about.filters // NR), about.inner, None
        total = about.source[0] * about.positions[0] * about.positions[1]
        new = min(inner, about.step[0] * about.step[1] * about.source[3])
        for groups in range(1, panels + 1):
            cuts = max(1, min(-(-16 // groups), total // CHUNK))
            sums = -(-panels // groups) * inner * NR
            cost = total * new * groups
            cost += inner * about.filters * (1 if cuts == 1 else 2 * cuts + 1)
            rank = sums * sizeof(real) > NEAR, groups * cuts < 16, cost
            best = min(best or (rank, groups, cuts), (rank, groups, cuts))
        return best[1:]

    @staticmethod
    def scratch(about, threads):
        """Bytes of sums, pointers and packed panels."""
        panels = -(-about.filters // NR)
        taps = len(about.taps)
        sums = Correlate.shares(about)[1] * panels * taps * about.run * NR
        sums += threads * CHUNK * NR
        return sums * sizeof(real) + threads * CHUNK * taps * sizeof(void*)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t inner = self.grid.taps * self.grid.run
        self.gathering = False
        self.share(self.parts * self.groups, self.total * inner * self.filters // 8)
        if self.direct:
            return
        self.gathering = True
        self.share(inner // self.taps, inner * self.filters * self.parts)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t size = CHUNK * self.grid.taps * sizeof(void*)
        size += CHUNK * NR * sizeof(real)
        if self.gathering:
            self.gather(item, panels)
        else:
            self.sum(item // self.groups, item % self.groups, self.slots + slot * size)

    cdef void sum(
        self, Py_ssize_t part, Py_ssize_t group, char* slot
    ) noexcept nogil:
        """The sum over one part of the positions, for one group of panels.

        It goes chunk by chunk. The first tiles of a chunk ask for epsilon of the next,
        those after them for its z: a column of cache lines each."""
        cdef Py_ssize_t taps = self.grid.taps, run = self.grid.run
        cdef Py_ssize_t panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t m = self.total * part // self.parts
        cdef Py_ssize_t stop = self.total * (part + 1) // self.parts
        cdef Py_ssize_t count, t, l, height, heights = (run + MR - 1) // MR
        cdef Py_ssize_t even = (run + heights - 1) // heights  # of about equal height
        cdef Py_ssize_t panel = group * panels // self.groups, size = taps * run * NR
        cdef Py_ssize_t end = (group + 1) * panels // self.groups, p
        cdef bint narrow
        cdef real* sums = self.sums + (part * panels + panel) * size
        cdef real* to
        cdef const real* e_next
        cdef const real* z_next
        cdef const real* ask
        cdef Py_ssize_t asked, by, lines = (end - panel) * (NR // LANES)
        cdef Py_ssize_t chunks = (stop - m + CHUNK - 1) // CHUNK
        cdef const real** rows = <const real**>slot
        cdef const real** taken
        cdef Py_ssize_t jump
        cdef real* e = <real*>(slot + CHUNK * taps * sizeof(void*))
        cdef Py_ssize_t apart = self.down if self.direct else NR
        cdef bint add = False
        while m < stop:
            count = (stop - m + chunks - 1) // chunks
            chunks -= 1
            point(&self.grid, self.z, self.zeros, m, stop, count, CHUNK, rows)
            e_next = self.epsilon + (m + count) * self.grid.x_c + panel * NR
            z_next = last_tap(&self.grid, self.z, m + count)
            asked = 0
            for p in range(panel, end):
                self.pack(m, count, p, e)
                narrow = self.filters - p * NR <= LANES
                for t in range(taps):
                    to = sums + (p - panel) * size + t * run * NR
                    taken = rows if self.grid.whole else rows + t * CHUNK
                    jump = self.grid.jump[t] if self.grid.whole else 0
                    if self.direct:
                        to = self.g + self.offsets[t] + p * NR
                    for l in range(heights):
                        height = min(even, run - l * even)
                        ask, by = e, 0
                        if asked < lines:
                            ask, by = e_next + asked * LANES, self.grid.x_c
                        elif (asked - lines) * LANES < run:
                            ask = z_next + (asked - lines) * LANES
                            by = self.grid.step_w * self.grid.c
                        asked += 1
                        adjoint_by_rows(
                            height, narrow, count, taken, jump + l * even, e,
                            ask, by, to, apart, add)
                        to += height * apart
            m += count
            add = True

    cdef void pack(
        self, Py_ssize_t m, Py_ssize_t count, Py_ssize_t panel, real* e
    ) noexcept nogil:
        """Columns of epsilon at positions m on, side by side."""
        cdef Py_ssize_t width = min(<Py_ssize_t>NR, self.filters - panel * NR)
        cdef Py_ssize_t wide = LANES if width <= LANES else NR
        cdef const real* epsilon = self.epsilon + panel * NR
        cdef Spot at = spot_of(&self.grid, m)
        cdef Py_ssize_t k
        if width < wide:
            memset(e, 0, count * wide * sizeof(real))
        for k in range(count):
            memcpy(e + k * wide, epsilon + target_of(&self.grid, &at),
                   width * sizeof(real))
            go_on(&self.grid, &at)

    cdef void gather(self, Py_ssize_t l, Py_ssize_t panels) noexcept nogil:
        """Entry l of each tap of g: the parts in order. The first of the positions
        beside each other comes to a tap before the others."""
        cdef Py_ssize_t inner = self.grid.taps * self.grid.run, part, panel, q, width
        cdef Py_ssize_t beside = self.filters // self.each, t, p, column
        cdef real total[NR]
        cdef real* one
        cdef real* g
        for t in range(self.taps):
            for panel in range(panels):
                memset(total, 0, NR * sizeof(real))
                for part in range(self.parts):
                    one = self.sums + NR * (
                        (part * panels + panel) * inner + t * (inner // self.taps) + l)
                    for q in range(NR):
                        total[q] += one[q]
                width = min(<Py_ssize_t>NR, self.filters - panel * NR)
                if beside == 1:
                    g = self.g + self.offsets[t] + l * self.down
                    for q in range(width):
                        g[panel * NR + q] = total[q]
                    continue
                for q in range(width):
                    p = (panel * NR + q) // self.each
                    column = (panel * NR + q) % self.each
                    if self.offsets[t * beside + p] >= 0:
                        g = self.g + self.offsets[t * beside + p]
                        g += l * self.down + column
                        g[0] = total[q] if p == 0 else g[0] + total[q]


cdef class CorrelateFew(_Sums):
    """The same where positions are few and g is large: each tile of it is written once.
    The columns of z for a tile are stacked; epsilon is read as it lies."""

    cdef Py_ssize_t tiles, heights, even
    cdef Py_ssize_t slot  # bytes of a thread: pointers [taps][positions], then a stack

    def __init__(self, z, epsilon, g, about, scratch):
        self.bind(z, epsilon, g, about, scratch)
        self.heights = (self.grid.run + MR - 1) // MR  # tiles of a tap
        self.even = (self.grid.run + self.heights - 1) // self.heights
        self.tiles = self.grid.taps * self.heights
        self.slot = CorrelateFew.scratch(about, 1)

    @staticmethod
    def suits(about):
        """Whether g is beyond the L2 cache, epsilon within, and a stack read often
        enough; a column of rows longer than 2 KiB is not fetched ahead by a CPU."""
        total = about.source[0] * about.positions[0] * about.positions[1]
        row = about.target[3] * sizeof(real)
        large = about.inner * about.filters * sizeof(real) > NEAR >= total * row
        often = about.filters % NR == 0 and about.filters >= 8 * NR
        return large and often and row <= 2048 and about.beside == 1

    @staticmethod
    def scratch(about, threads):
        """Bytes of pointers and stacks."""
        total = about.source[0] * about.positions[0] * about.positions[1]
        size = total * len(about.taps) * sizeof(void*)
        size += (total * MR + LANES) * sizeof(real)
        return threads * ((size + 63) // 64 * 64)

    cdef void run(self) noexcept nogil:
        self.share(min(self.tiles, <Py_ssize_t>SHARES),
                   self.total * self.grid.taps * self.grid.run * self.filters // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t shares = min(self.tiles, <Py_ssize_t>SHARES), tile
        cdef const real** rows = <const real**>(self.slots + slot * self.slot)
        point(&self.grid, self.z, self.zeros, 0, self.total, self.total, self.total,
              rows)
        for tile in range(self.tiles * item // shares,
                          self.tiles * (item + 1) // shares):
            self.tile(tile, rows)

    cdef void tile(self, Py_ssize_t tile, const real** rows) noexcept nogil:
        """One tile of g, for all filters. The first of its panels asks for what the
        next stack will hold."""
        cdef Py_ssize_t t = tile // self.heights, l = tile % self.heights * self.even
        cdef Py_ssize_t height = min(self.even, self.grid.run - l), f = 0, k, at
        cdef Py_ssize_t jump = self.grid.jump[t] if self.grid.whole else 0
        cdef Py_ssize_t apart = self.down, by = self.grid.step_w * self.grid.c
        cdef real* stack = <real*>(rows + self.total * self.grid.taps)
        cdef real* g = self.g + self.offsets[t] + l * apart
        cdef const real* z
        if not self.grid.whole:
            rows += t * self.total
        cdef const real* ask = rows[0] + jump + l + 2 * self.even - 1
        for k in range(self.total):
            z = rows[k] + jump + l
            at = 0
            while at < height:  # a vector runs over into the next row's place
                store(stack + k * height + at,
                      load_part(z + at, min(<Py_ssize_t>LANES, height - at)))
                at += LANES
        while f < self.filters:
            adjoint_by_stride(
                height, False, self.total, stack, height, self.epsilon + f, apart,
                ask, by, g + f, apart, False)
            f += NR
            ask, by = stack, 0


cdef class SumRows(Kernel):
    """g[f] = sum over m of epsilon[m, f], in `parts` that do not depend on threads"""

    cdef const real* epsilon
    cdef real* g
    cdef real* sums
    cdef Py_ssize_t rows, f, parts

    def __init__(self, epsilon, g, scratch):
        self.f = g.size
        self.rows = epsilon.size // self.f
        self.parts = parts(self.rows, epsilon.size)
        self.epsilon = <const real*>self.read(epsilon, KIND)
        self.g = <real*>self.write(g, KIND)
        self.sums = <real*>self.write(scratch, "B")

    @staticmethod
    def scratch(rows, f):
        """Bytes of partial sums."""
        return parts(rows, rows * f) * f * sizeof(real)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t k, q
        self.share(self.parts, self.rows * self.f)
        for q in range(self.f):
            self.g[q] = 0
        for k in range(self.parts):
            for q in range(self.f):
                self.g[q] += self.sums[k * self.f + q]

    cdef void part(self, Py_ssize_t k, int slot) noexcept nogil:
        cdef Py_ssize_t f = self.f, m, q
        cdef real* sums = self.sums + k * f
        cdef const real* e
        memset(sums, 0, f * sizeof(real))
        for m in range(self.rows * k // self.parts, self.rows * (k + 1) // self.parts):
            e = self.epsilon + m * f
            for q in range(f):
                sums[q] += e[q]
