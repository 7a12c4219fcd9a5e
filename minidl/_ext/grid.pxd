"""Where the rows of a product come from and go to: minidl.ops.grid's Grid for kernels.

For position (i, j) and tap t a row holds the `run` numbers from source pixel
(i step + tap) on. The same grids serve the convolution, its transpose (one grid per
phase of the stride) and the dense layer.
"""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real


cdef enum:
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
    Py_ssize_t x_h, x_w, x_c, spread_h, spread_w, start_h, start_w  # the target
    bint whole  # all taps of all positions lie inside
    Py_ssize_t marks  # pointers of a position: to each tap, or to its pixel alone


cdef struct Spot:  # a position
    Py_ssize_t image, i, j


cdef inline Py_ssize_t* numbers(Kernel kernel, values) except NULL:
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


cdef inline const real* zero(Kernel kernel, Py_ssize_t size) except NULL:
    """A row of zeros, which lives as long as the kernel."""
    return <const real*>kernel.read(bytes(size * sizeof(real)), "B")


cdef inline tuple inside(taps, Py_ssize_t size, Py_ssize_t step):
    """The positions [low, high) for which every tap falls on an entry."""
    first, last = min(taps, default=0), max(taps, default=0)
    return max(0, -(first // step)), (size - 1 - last) // step + 1


cdef inline Grid grid_of(Kernel kernel, about) except *:
    cdef Grid grid
    grid.n, grid.h, grid.w, grid.c = about.source
    grid.rows, grid.cols = about.positions
    grid.step_h, grid.step_w = about.step
    _, grid.x_h, grid.x_w, grid.x_c = about.target
    grid.spread_h, grid.spread_w = about.spread
    grid.start_h, grid.start_w = about.start
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


cdef inline Spot spot_of(const Grid* grid, Py_ssize_t m) noexcept nogil:
    """The m-th position."""
    cdef Spot at
    cdef Py_ssize_t area = grid.rows * grid.cols
    at.image = m // area
    at.i, at.j = m % area // grid.cols, m % area % grid.cols
    return at


cdef inline void go_on(const Grid* grid, Spot* at) noexcept nogil:
    """To the next position."""
    at.j += 1
    if at.j == grid.cols:
        at.j = 0
        at.i += 1
        if at.i == grid.rows:
            at.i = 0
            at.image += 1


cdef inline Py_ssize_t source_of(const Grid* grid, const Spot* at) noexcept nogil:
    """Where its pixel lies in the source."""
    return grid.c * ((at.image * grid.h + at.i * grid.step_h) * grid.w
                     + at.j * grid.step_w)


cdef inline Py_ssize_t target_of(const Grid* grid, const Spot* at) noexcept nogil:
    """Where its results lie in the target."""
    return grid.x_c * (
        (at.image * grid.x_h + at.i * grid.spread_h + grid.start_h) * grid.x_w
        + at.j * grid.spread_w + grid.start_w)


cdef inline void point(
    Grid* grid, const real* z, const real* zeros, Py_ssize_t m, Py_ssize_t stop,
    Py_ssize_t count, Py_ssize_t along, const real** into
) noexcept nogil:
    """Pointers of `count` positions from m on: into[k + t along] to the taps of each,
    into[k] to its pixel where all lie inside.

    Positions from `stop` on repeat the last one before it; entries outside the source
    point to zeros."""
    cdef Py_ssize_t k, t, y, x
    cdef const real* base
    cdef Spot at = spot_of(grid, m)
    for k in range(count):
        if k and m + k < stop:
            go_on(grid, &at)
        base = z + source_of(grid, &at)
        if grid.whole:
            into[k] = base
        elif (grid.low_h <= at.i < grid.high_h and
                grid.low_w <= at.j < grid.high_w):
            for t in range(grid.taps):
                into[k + t * along] = base + grid.jump[t]
        else:
            y, x = at.i * grid.step_h, at.j * grid.step_w
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
    cdef Spot at = spot_of(grid, m)
    return z + source_of(grid, &at) + (grid.jump[grid.taps - 1] if grid.taps else 0)
