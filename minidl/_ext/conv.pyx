"""Convolution as a product whose rows are found by pointers: im2col, never stored.

    Pack        weights -> panels of NR columns
    Border      images -> images with zeros around them
    Product     x = act(scale * (im2col(z) w + b) + shift + add)
    Correlate   g = im2col(z)^T epsilon

A Grid says which entries of the source each row of the matrix holds: for position
(i, j) and tap t the `run` numbers from source pixel (i step + tap). The same grids
serve the convolution, its transpose (one grid per phase of the stride) and the dense
layer.
"""

from libc.string cimport memcpy, memset

from minidl._ext.finish cimport Finish, finish_of, finish_rows
from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.simd cimport BLOCK, CHUNK, LANES, MR, NR, prefetch_write, real
from minidl._ext.tile cimport adjoint_by_rows, forward_tile

cdef str KIND = "d" if sizeof(real) == 8 else "f"
COLUMNS = NR

cdef enum:
    DEEP = 4  # groups of rows between two visits of the tail: 7 KiB
    DEPTH = 768  # rows of w: deeper products ask for the x of some groups at once
    NEAR = 1 << 20  # bytes that stay in an L2 cache of 2 MiB, a Xeon's, beside others


cdef struct Grid:
    Py_ssize_t n, h, w, c  # the source
    Py_ssize_t rows, cols  # positions
    Py_ssize_t step_h, step_w
    Py_ssize_t taps, run
    Py_ssize_t low_h, high_h, low_w, high_w  # positions whose taps all lie inside
    Py_ssize_t* tap_h
    Py_ssize_t* tap_w
    Py_ssize_t* jump  # from a position's pixel to its taps' entries
    bint whole  # all taps of all positions lie inside
    Py_ssize_t marks  # pointers of a position: to each tap, or to its pixel alone


cdef Py_ssize_t* numbers(Kernel kernel, values) except NULL:
    """The address of a copy of these integers, which lives as long as the kernel."""
    cdef Py_ssize_t i
    cdef bytearray held = bytearray(max(1, len(values)) * sizeof(Py_ssize_t))
    cdef Py_ssize_t* found = <Py_ssize_t*><char*>held
    for i in range(len(values)):
        found[i] = values[i]
    if kernel.arrays is None:
        kernel.arrays = []
    kernel.arrays.append(held)
    return found


cdef const real* zero(Kernel kernel, Py_ssize_t size) except NULL:
    """A row of zeros, which lives as long as the kernel."""
    return <const real*>kernel.read(bytes(size * sizeof(real)), "B")


cdef inside(taps, Py_ssize_t size, Py_ssize_t step):
    """The positions [low, high) for which every tap falls on an entry."""
    first, last = min(taps, default=0), max(taps, default=0)
    return max(0, -(first // step)), (size - 1 - last) // step + 1


cdef Grid grid_of(Kernel kernel, about) except *:
    cdef Grid grid
    grid.n, grid.h, grid.w, grid.c = about.source
    grid.rows, grid.cols = about.positions
    grid.step_h, grid.step_w = about.step
    grid.taps, grid.run = len(about.taps), about.run
    down, right = [t[0] for t in about.taps], [t[1] for t in about.taps]
    grid.low_h, grid.high_h = inside(down, grid.h, grid.step_h)
    grid.low_w, grid.high_w = inside(
        right, grid.w - (grid.run - 1) // grid.c if about.merged else grid.w,
        grid.step_w)
    grid.tap_h = numbers(kernel, down)
    grid.tap_w = numbers(kernel, right)
    grid.jump = numbers(kernel, [(i * grid.w + j) * grid.c for i, j in about.taps])
    grid.whole = (
        grid.low_h == grid.low_w == 0 and grid.high_h >= grid.rows
        and grid.high_w >= grid.cols)
    grid.marks = 1 if grid.whole else grid.taps
    return grid


cdef inline void point(
    Grid* grid, const real* z, const real* zeros, Py_ssize_t m, Py_ssize_t stop,
    Py_ssize_t count, Py_ssize_t along, const real** into
) noexcept nogil:
    """Pointers of `count` positions from m on: into[k + t along] to the taps of each,
    into[k] to its pixel where all lie inside.

    Positions from `stop` on repeat the last one before it; entries outside the source
    point to zeros."""
    cdef Py_ssize_t k, t, i, j, image, y, x, area = grid.rows * grid.cols
    cdef const real* base
    image, j = m // area, m % area
    i = j // grid.cols
    j = j % grid.cols
    for k in range(count):
        if k and m + k < stop:
            j += 1
            if j == grid.cols:
                j = 0
                i += 1
                if i == grid.rows:
                    i = 0
                    image += 1
        y, x = i * grid.step_h, j * grid.step_w
        base = z + ((image * grid.h + y) * grid.w + x) * grid.c
        if grid.whole:
            into[k] = base
        elif grid.low_h <= i < grid.high_h and grid.low_w <= j < grid.high_w:
            for t in range(grid.taps):
                into[k + t * along] = base + grid.jump[t]
        else:
            for t in range(grid.taps):
                if (0 <= y + grid.tap_h[t] < grid.h and
                        0 <= x + grid.tap_w[t] < grid.w):
                    into[k + t * along] = base + grid.jump[t]
                else:
                    into[k + t * along] = zeros


cdef inline const real* last_tap(
    Grid* grid, const real* z, Py_ssize_t m
) noexcept nogil:
    """The entries of position m that no position before it has read."""
    cdef Py_ssize_t area = grid.rows * grid.cols, j = m % area
    cdef Py_ssize_t jump = grid.jump[grid.taps - 1] if grid.taps else 0
    return z + jump + grid.c * (
        (m // area * grid.h + j // grid.cols * grid.step_h) * grid.w
        + j % grid.cols * grid.step_w)


cdef class Pack(Kernel):
    """packed[j][t run + l][:] = w[offset_t + l down + (j NR + :) across]

    Positions beside each other have columns and offsets of their own, side by side."""

    cdef const real* w
    cdef real* packed
    cdef Py_ssize_t taps, length, columns, each, down, across
    cdef Py_ssize_t* offsets

    def __init__(self, w, packed, about, down, across):
        self.columns, self.each = about.filters, about.filters // about.beside
        self.taps = len(about.offsets) // about.beside
        self.length = about.inner // self.taps
        self.down, self.across = down, across
        panels = (self.columns + NR - 1) // NR
        last = max(about.offsets, default=0) + (self.length - 1) * down
        last += (self.each - 1) * across
        if last >= w.size:
            raise ValueError(f"Pack: entry {last} of a w of {w.size}")
        self.offsets = numbers(self, about.offsets)
        self.w = <const real*>self.read(w, KIND)
        self.packed = <real*>self.write(packed, KIND, panels * about.inner * NR)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t panels = (self.columns + NR - 1) // NR
        self.share(panels * self.taps, panels * self.taps * self.length * NR)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t panel = item // self.taps, tap = item % self.taps
        cdef Py_ssize_t l, q, width = min(<Py_ssize_t>NR, self.columns - panel * NR)
        cdef Py_ssize_t wide = LANES if width <= LANES else NR
        cdef Py_ssize_t down = self.down, across = self.across
        cdef Py_ssize_t beside = self.columns // self.each, column, offset, first = 0
        cdef const real* w
        cdef real* into = self.packed + (
            panel * self.taps * NR + tap * wide) * self.length
        if width < wide or beside > 1:
            memset(into, 0, self.length * wide * sizeof(real))
        if beside > 1:
            for q in range(width):
                column = panel * NR + q
                offset = self.offsets[tap * beside + column // self.each]
                w = self.w + offset + column % self.each * across
                for l in range(self.length if offset >= 0 else 0):
                    into[l * wide + q] = w[l * down]
            return
        w = self.w + self.offsets[tap] + panel * NR * across
        if across == 1:
            for l in range(self.length):
                memcpy(into + l * wide, w + l * down, width * sizeof(real))
        else:
            while first < self.length:  # a cache line of each column at a time
                for q in range(width):
                    for l in range(first, min(first + LANES, self.length)):
                        into[l * wide + q] = w[l * down + q * across]
                first += LANES


cdef class Border(Kernel):
    """x = z with zeros around it"""

    cdef const real* z
    cdef real* x
    cdef Py_ssize_t n, h, w, c, top, left, tall, wide

    def __init__(self, z, x, pad):
        self.n, self.h, self.w, self.c = z.shape
        (self.top, bottom), (self.left, right) = pad
        self.tall, self.wide = self.h + self.top + bottom, self.w + self.left + right
        self.z = <const real*>self.read(z, KIND)
        self.x = <real*>self.write(x, KIND, self.n * self.tall * self.wide * self.c)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t lines = self.n * self.tall
        self.share(lines, lines * self.wide * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t image = item // self.tall, y = item % self.tall
        cdef Py_ssize_t one = self.c * sizeof(real)
        cdef real* x = self.x + (image * self.tall + y) * self.wide * self.c
        y -= self.top
        if y < 0 or y >= self.h:
            memset(x, 0, self.wide * one)
            return
        memset(x, 0, self.left * one)
        memcpy(x + self.left * self.c, self.z + (image * self.h + y) * self.w * self.c,
               self.w * one)
        memset(x + (self.left + self.w) * self.c, 0,
               (self.wide - self.left - self.w) * one)


cdef class Product(Kernel):
    """x = act(scale * (rows(z) packed + b) + shift + add), rows by a Grid"""

    cdef Grid grid
    cdef const real* z
    cdef const real* packed
    cdef const real* zeros
    cdef real* x
    cdef void** slots  # scratch: places and pointers of one block per thread
    cdef Finish end
    cdef Finish each  # of one of the positions beside each other
    cdef real* ends  # b, scale and shift of all of them
    cdef Py_ssize_t filters, x_h, x_w, x_c, stride_h, stride_w, start_h, start_w
    cdef Py_ssize_t total, blocks, split, beside
    cdef bint far_x, far_w  # beyond the L2 cache

    def __init__(self, z, packed, x, about, scratch, b=None, tail=None):
        self.grid = grid_of(self, about)
        self.filters = about.filters
        _, self.x_h, self.x_w, self.x_c = about.target
        self.stride_h, self.stride_w = about.spread
        self.start_h, self.start_w = about.start
        panels = (self.filters + NR - 1) // NR
        size = panels * self.grid.taps * self.grid.run * NR
        self.z = <const real*>self.read(z, KIND) + <Py_ssize_t>about.channel
        self.packed = <const real*>self.read(packed, KIND, size)
        self.x = <real*>self.write(x, KIND) + <Py_ssize_t>about.into
        self.zeros = zero(self, self.grid.run)
        self.end = self.each = finish_of(self, KIND, b, tail, <Py_ssize_t>about.into)
        self.beside = about.beside
        if self.beside > 1:
            self.ends = <real*>zero(self, 3 * self.filters)
        self.slots = <void**>self.write(scratch, "B")
        self.total = self.grid.n * self.grid.rows * self.grid.cols
        self.far_x, self.far_w = x.nbytes > NEAR, size * sizeof(real) > NEAR
        high, inner = BLOCK, self.grid.taps * self.grid.run
        if self.far_w:  # z has less of the cache
            inner = min(inner, self.grid.step_h * self.grid.step_w * self.grid.c)
            deep = NEAR // 2 // (inner * MR * sizeof(real))
            high = min(high, max(<Py_ssize_t>DEEP, deep) * MR)
        self.blocks = (self.total + high - 1) // high
        self.split = 1
        if 0 < self.blocks < 16:  # few blocks: share out the panels too
            self.split = min(panels, 16 // self.blocks)

    @staticmethod
    def scratch(taps, threads):
        """Bytes of pointers that it needs, and of places to write to."""
        return threads * BLOCK * (taps + 1) * sizeof(void*)

    cdef void run(self) noexcept nogil:
        if self.beside > 1:
            self.end.b = self.repeated(self.each.b, self.ends)
            self.end.scale = self.repeated(self.each.scale, self.ends + self.filters)
            self.end.shift = self.repeated(
                self.each.shift, self.ends + 2 * self.filters)
        self.share(self.blocks * self.split,
                   self.total * self.grid.taps * self.grid.run * self.filters // 8)

    cdef const real* repeated(self, const real* one, real* all) noexcept nogil:
        """The numbers of a position's filters, for all that lie beside it."""
        cdef Py_ssize_t q
        if one == NULL:
            return NULL
        for q in range(self.filters):
            all[q] = one[q % (self.filters // self.beside)]
        return all

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t block = item // self.split, split = item % self.split
        cdef Py_ssize_t after = (split + 1) % self.split  # next to come
        cdef void** pointers = self.slots + slot * BLOCK * (self.grid.taps + 1)
        self.block(
            self.total * block // self.blocks, self.total * (block + 1) // self.blocks,
            split * panels // self.split, (split + 1) * panels // self.split,
            after * panels // self.split,
            <const real**>pointers + BLOCK, <Py_ssize_t*>pointers)

    cdef void block(
        self, Py_ssize_t m, Py_ssize_t end, Py_ssize_t panel, Py_ssize_t stop,
        Py_ssize_t after, const real** rows, Py_ssize_t* at
    ) noexcept nogil:
        """Rows m to end, in groups of about equal height; panels `panel` to `stop`,
        with `after` to follow.

        What lies beyond the L2 cache is asked for ahead. Where the weights do, that is
        the next panel, a part of it in each group. Else it is what the next group but
        one needs: first of z, then of x, a cache line of each row by turns; of x from
        the start where rows of z are short."""
        cdef Py_ssize_t taps = self.grid.taps, run = self.grid.run
        cdef Py_ssize_t marks = self.grid.marks
        cdef Py_ssize_t groups = (end - m + MR - 1) // MR, p, count
        cdef Py_ssize_t height = (end - m + groups - 1) // groups
        cdef Py_ssize_t size = taps * run * NR, first = panel, next, r, k
        cdef Py_ssize_t wide, step, by
        cdef bint narrow, writes
        cdef const real* ahead
        cdef const real* asks[DEEP]
        cdef real tile[DEEP * MR * NR]
        for p in range(groups):
            point(&self.grid, self.z, self.zeros, m + p * height, end, height, height,
                  rows + p * height * marks)
        self.spots(m, end - m, at)
        while panel < stop:
            p, next = 0, panel + 1 if panel + 1 < stop else after
            wide = self.grid.step_w * self.grid.c
            narrow = self.filters - panel * NR <= LANES  # asks for nothing
            writes = (self.far_x and not narrow and taps * run <= DEPTH
                      and (panel > first or wide <= NR))
            if self.far_w:
                ahead, step = self.packed + next * size, size // groups
                by = NR // groups + 1
            elif writes:
                by = self.stride_w * self.x_c
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
                for k in range(count):
                    asks[k] = ahead + (p + k) * step
                    if writes and (p + k) % 2:
                        asks[k] += LANES
                if self.far_x and not writes:
                    for r in range(p * height, min((p + count) * height, end - m)):
                        prefetch_write(self.x + at[r] + panel * NR)
                        prefetch_write(self.x + at[r] + panel * NR + LANES)
                forward_tile(
                    height, narrow, count, taps, run,
                    rows + p * height * marks,
                    self.grid.jump if self.grid.whole else NULL,
                    self.packed + panel * size, asks, by, tile)
                finish_rows(
                    &self.end, tile, at + p * height,
                    min(count * height, end - m - p * height), panel * NR,
                    self.filters, self.x)
                p += count
            panel += 1

    cdef void spots(
        self, Py_ssize_t m, Py_ssize_t count, Py_ssize_t* at
    ) noexcept nogil:
        """Where the positions from m on lie in x."""
        cdef Py_ssize_t area = self.grid.rows * self.grid.cols, r, image, i, j
        image, j = m // area, m % area
        i = j // self.grid.cols
        j = j % self.grid.cols
        for r in range(count):
            at[r] = ((image * self.x_h + i * self.stride_h + self.start_h) * self.x_w
                     + j * self.stride_w + self.start_w) * self.x_c
            j += 1
            if j == self.grid.cols:
                j = 0
                i += 1
                if i == self.grid.rows:
                    i = 0
                    image += 1


cdef class Correlate(Kernel):
    """g[offset_t + l down + f across] = sum over positions m of z_t[m, l] epsilon[m, f]

    The positions are split into `parts`, each with a sum of its own, added in order:
    the same bits for any number of threads."""

    cdef Grid grid
    cdef const real* z
    cdef const real* zeros
    cdef const real* epsilon
    cdef real* g
    cdef real* sums  # [parts][panels][taps run][NR]
    cdef char* slots  # per thread: pointers [taps][CHUNK], then a packed panel
    cdef Py_ssize_t filters, e_h, e_w, e_c, stride_h, stride_w, start_h, start_w
    cdef Py_ssize_t parts, groups, total, taps, each, down, across
    cdef bint gathering
    cdef bint direct  # one sum is g itself
    cdef Py_ssize_t* offsets

    def __init__(self, z, epsilon, g, about, down, across, scratch):
        self.grid = grid_of(self, about)
        self.filters = about.filters
        _, self.e_h, self.e_w, self.e_c = about.target
        self.stride_h, self.stride_w = about.spread
        self.start_h, self.start_w = about.start
        self.offsets = numbers(self, about.offsets)
        self.taps = len(about.offsets) // about.beside
        self.each = self.filters // about.beside
        self.down, self.across = down, across
        self.z = <const real*>self.read(z, KIND) + <Py_ssize_t>about.channel
        self.epsilon = <const real*>self.read(epsilon, KIND) + <Py_ssize_t>about.into
        self.g = <real*>self.write(g, KIND)
        self.zeros = zero(self, self.grid.run)
        self.groups, self.parts = Correlate.shares(about)
        self.direct = (
            self.parts == 1 and across == 1 and about.beside == 1
            and self.filters % NR == 0 and self.taps == self.grid.taps)
        self.total = self.grid.n * self.grid.rows * self.grid.cols
        panels = (self.filters + NR - 1) // NR
        cdef Py_ssize_t size = self.parts * panels * NR * sizeof(real)
        size *= self.grid.taps * self.grid.run
        self.slots = <char*>self.write(scratch, "B")
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
            e_next = self.epsilon + (m + count) * self.e_c + panel * NR
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
                            ask, by = e_next + asked * LANES, self.e_c
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
        cdef Py_ssize_t area = self.grid.rows * self.grid.cols, k, image, i, j
        image, j = m // area, m % area
        i = j // self.grid.cols
        j = j % self.grid.cols
        if width < wide:
            memset(e, 0, count * wide * sizeof(real))
        for k in range(count):
            memcpy(
                e + k * wide,
                self.epsilon + panel * NR
                + ((image * self.e_h + i * self.stride_h + self.start_h) * self.e_w
                   + j * self.stride_w + self.start_w) * self.e_c,
                width * sizeof(real))
            j += 1
            if j == self.grid.cols:
                j = 0
                i += 1
                if i == self.grid.rows:
                    i = 0
                    image += 1

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
                        g[(panel * NR + q) * self.across] = total[q]
                    continue
                for q in range(width):
                    p = (panel * NR + q) // self.each
                    column = (panel * NR + q) % self.each
                    if self.offsets[t * beside + p] >= 0:
                        g = self.g + self.offsets[t * beside + p]
                        g += l * self.down + column * self.across
                        g[0] = total[q] if p == 0 else g[0] + total[q]


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
