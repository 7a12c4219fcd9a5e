"""Convolution as a product whose rows are found by pointers: im2col, never stored.

    Product     x = act(scale * (im2col(z) w + b) + shift + add)
"""

from libc.string cimport memcpy

from minidl._ext.finish cimport (
    ADDED, PLAIN, RECTIFIED, Finish, finish_of, finish_rows,
)
from minidl._ext.grid cimport (
    NEAR, Grid, Spot, go_on, grid_of, last_tap, point, spot_of, target_of, zero,
)
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport BLOCK, LANES, MR, NR, prefetch_write, real
from minidl._ext.tile cimport Goal, forward_tile

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    DEEP = 4  # groups of rows between two visits of the tail: 7 KiB
    MANY = 32  # panels, for which a block is copied: 2048^3 87 -> 91 % of a Xeon's peak
    DEPTH = 768  # rows of w: deeper products ask for the x of some groups at once


cdef class Product(Kernel):
    """x = act(scale * (rows(z) packed + b) + shift + add), rows by a Grid"""

    cdef Grid grid
    cdef const real* z
    cdef const real* packed
    cdef const real* zeros
    cdef real* x
    cdef char* slots  # scratch per thread: places, pointers and copies of one block
    cdef Py_ssize_t slot  # bytes of it
    cdef Py_ssize_t copied  # from one copied row to the next, if any is
    cdef Finish given  # for one of the positions beside each other
    cdef Finish end  # for all of them: a factor and an offset, kept in `ends`
    cdef real* ends
    cdef Py_ssize_t filters, total, blocks, split, beside
    cdef bint far_x, far_w  # beyond the L2 cache

    def __init__(self, z, packed, x, about, scratch, b=None, tail=None):
        self.grid = grid_of(self, about)
        self.filters = about.filters
        size = (self.filters + NR - 1) // NR * NR * about.inner
        self.z = <const real*>self.read(z, KIND) + <Py_ssize_t>about.channel
        self.packed = <const real*>self.read(packed, KIND, size)
        self.x = <real*>self.write_slice(x, KIND) + <Py_ssize_t>about.into
        self.zeros = zero(self, self.grid.run)
        self.end = self.given = finish_of(self, KIND, b, tail, <Py_ssize_t>about.into)
        self.beside = about.beside
        self.ends = <real*>self.write(
            bytearray(2 * self.filters * sizeof(real)), "B")
        self.end.b, self.end.scale, self.end.shift = (
            NULL, self.ends, self.ends + self.filters)
        self.slots = <char*>self.write(scratch, "B")
        self.slot = Product.scratch(about, 1)
        self.total = self.grid.n * self.grid.rows * self.grid.cols
        self.far_x = x.nbytes > NEAR
        high, self.split, self.far_w, self.copied = Product.layout(about)
        self.blocks = (self.total + high - 1) // high

    @staticmethod
    def layout(about):
        """Rows of a block, shares of its panels, whether the weights lie beyond the L2
        cache, and the distance of copied rows, or 0.

        Rows that a multiple of 4 KiB parts meet in one set of the L1 cache, which has
        no room for MR of them: where enough panels read a block, it is copied."""
        panels, inner = (about.filters + NR - 1) // NR, about.inner
        row = about.step[1] * about.source[3]
        high, alike = BLOCK, row * sizeof(real) % 4096 == 0 and len(about.taps) == 1
        far = panels * inner * NR * sizeof(real) > NEAR
        if far:  # z has less of the cache
            deep = NEAR // 2 // (min(inner, about.step[0] * row) * MR * sizeof(real))
            high = min(high, max(DEEP, deep) * MR)
        total = about.source[0] * about.positions[0] * about.positions[1]
        blocks = max(1, (total + high - 1) // high)
        split = min(panels, max(1, 16 // blocks))  # few blocks: share out the panels
        copied = alike and panels // split >= MANY
        return high, split, far, about.run + LANES if copied else 0

    @staticmethod
    def scratch(about, threads):
        """Bytes of pointers that it needs, of places to write to, and of copies."""
        high, _, _, copied = Product.layout(about)
        size = BLOCK * (len(about.taps) + 1) * sizeof(void*)
        return threads * (size + high * copied * sizeof(real))

    cdef void run(self) noexcept nogil:
        """The factors and offsets of all columns as they are now; then all blocks."""
        cdef Py_ssize_t f, q, each = self.filters // self.beside
        cdef real b, scale, shift
        for f in range(self.filters):
            q = f if f < each else f % each  # a division is dear here
            b = 0 if self.given.b == NULL else self.given.b[q]
            scale = 1 if self.given.scale == NULL else self.given.scale[q]
            shift = 0 if self.given.scale == NULL else self.given.shift[q]
            self.ends[f], self.ends[self.filters + f] = scale, b * scale + shift
        self.share(self.blocks * self.split,
                   self.total * self.grid.taps * self.grid.run * self.filters // 8)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t block = item // self.split, split = item % self.split
        cdef Py_ssize_t after = (split + 1) % self.split  # next to come
        cdef char* own = self.slots + slot * self.slot
        self.block(
            self.total * block // self.blocks, self.total * (block + 1) // self.blocks,
            split * panels // self.split, (split + 1) * panels // self.split,
            after * panels // self.split, <Py_ssize_t*>own)

    cdef void block(
        self, Py_ssize_t m, Py_ssize_t end, Py_ssize_t panel, Py_ssize_t stop,
        Py_ssize_t after, Py_ssize_t* at
    ) noexcept nogil:
        """Rows m to end, in groups of about equal height; panels `panel` to `stop`,
        with `after` to follow.

        What lies beyond the L2 cache is asked for ahead. Where the weights do, that is
        the next panel, a part of it in each group, and at last a block to be copied.
        Else it is what the next group but one needs: first of z, then of x, a cache
        line of each row by turns; of x from the start where rows of z are short."""
        cdef Py_ssize_t taps = self.grid.taps, run = self.grid.run
        cdef Py_ssize_t marks = self.grid.marks
        cdef Py_ssize_t groups = (end - m + MR - 1) // MR, p, count
        cdef Py_ssize_t height = (end - m + groups - 1) // groups
        cdef Py_ssize_t size = taps * run * NR, first = panel, next, r, k
        cdef Py_ssize_t wide, step, by, left
        cdef bint narrow, writes, whole
        cdef Goal goal
        cdef const real* ahead
        cdef const real* asks[DEEP]
        cdef real tile[DEEP * MR * NR]
        cdef const real** rows = <const real**>(at + BLOCK)
        cdef const Py_ssize_t* jump = self.grid.jump if self.grid.whole else NULL
        for p in range(groups):
            point(&self.grid, self.z, self.zeros, m + p * height, end, height, height,
                  rows + p * height * marks)
        if self.copied:
            self.copy(groups * height, rows)
            jump = NULL
        self.spots(m, end - m, at)
        while panel < stop:
            p, next = 0, panel + 1 if panel + 1 < stop else after
            wide = self.grid.step_w * self.grid.c
            narrow = self.filters - panel * NR <= LANES  # asks for nothing
            goal = self.goal(panel * NR)
            writes = (self.far_x and not (self.far_w or narrow) and taps * run <= DEPTH
                      and (panel > first or wide <= NR))
            if self.copied and panel + 1 == stop:
                step = height * wide
                ahead, by = last_tap(&self.grid, self.z, end), step // run + 1
            elif self.far_w:
                ahead, step = self.packed + next * size, size // groups
                by = NR // groups + 1
            elif writes:
                by = self.grid.spread_w * self.grid.x_c
                step = height * by
                ahead = self.x + at[0] + 2 * step + panel * NR
            elif panel == first:
                step = height * wide
                ahead = last_tap(&self.grid, self.z, m) + 2 * step
                by = step // max(1, taps * run) + 1
            else:
                ahead, step, by = self.packed + panel * size, 0, 0
            while p < groups:
                count = min(<Py_ssize_t>DEEP, groups - p)
                left = min(count * height, end - m - p * height)
                whole = goal.x != NULL and left == count * height
                for k in range(count):
                    asks[k] = ahead + (p + k) * step
                    if writes and (p + k) % 2:
                        asks[k] += LANES
                if self.far_x and not writes:
                    for r in range(p * height, p * height + left):
                        prefetch_write(self.x + at[r] + panel * NR)
                        prefetch_write(self.x + at[r] + panel * NR + LANES)
                forward_tile(
                    height, narrow, count, taps, run, rows + p * height * marks,
                    jump, self.packed + panel * size, asks, by, tile,
                    &goal if whole else NULL, at + p * height)
                if not whole:
                    finish_rows(
                        &self.end, tile, at + p * height, left, panel * NR,
                        self.filters, self.x)
                p += count
            panel += 1

    cdef Goal goal(self, Py_ssize_t f) noexcept nogil:
        """The end of a panel, from column f on. There is no x where finish_rows must do
        it: columns that do not count, tails that tile.h has no code for."""
        cdef Goal goal
        cdef bint full = self.filters - f >= NR or self.filters - f == LANES
        goal.factor, goal.offset = self.end.scale + f, self.end.shift + f
        goal.add = NULL if self.end.add == NULL else self.end.add + f
        goal.rectified = self.end.kind != PLAIN
        goal.x = NULL
        if full and self.end.kind in (PLAIN, RECTIFIED, ADDED):
            goal.x = self.x + f
        return goal

    cdef void copy(self, Py_ssize_t count, const real** rows) noexcept nogil:
        """Copy the rows of the only tap behind these pointers, and point there."""
        cdef real* own = <real*>(rows + BLOCK)
        cdef Py_ssize_t r, jump = self.grid.jump[0] if self.grid.whole else 0
        for r in range(count):
            memcpy(own, rows[r] + jump, self.grid.run * sizeof(real))
            rows[r] = own
            own += self.copied

    cdef void spots(
        self, Py_ssize_t m, Py_ssize_t count, Py_ssize_t* at
    ) noexcept nogil:
        """Where the positions from m on lie in x."""
        cdef Py_ssize_t r
        cdef Spot spot = spot_of(&self.grid, m)
        for r in range(count):
            at[r] = target_of(&self.grid, &spot)
            go_on(&self.grid, &spot)
