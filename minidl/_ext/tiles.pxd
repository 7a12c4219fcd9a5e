"""The tiles of Winograd's convolutions: where they lie, and B^T d B of each.

The 36 points are those of winograd.pyx, which says what they are for.
"""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, load, load_part, real, splat, store, vec

cdef enum:
    POINTS = 36
    MOST = 25  # taps


cdef struct Tiles:  # of n images h x w x c, with outputs for rows x cols pixels
    Py_ssize_t n, h, w, c, rows, cols, top, left
    Py_ssize_t side  # of the outputs of one
    Py_ssize_t down, right, count  # per column, per row, in all
    Py_ssize_t wide  # c as whole vectors
    const real* z


cdef struct Spot:  # the outputs of a tile
    Py_ssize_t at  # the first pixel
    Py_ssize_t tall, wide  # how many of them there are


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


cdef inline Tiles tiles_of(Kernel kernel, str kind, z, x, pad, taps) except *:
    cdef Tiles t
    t.side = 7 - taps
    t.n, t.h, t.w, t.c = z.shape
    _, t.rows, t.cols, _ = x.shape
    t.top, t.left = pad[0][0], pad[1][0]
    t.down = (t.rows + t.side - 1) // t.side
    t.right = (t.cols + t.side - 1) // t.side
    t.count = t.n * t.down * t.right
    t.wide = (t.c + LANES - 1) // LANES * LANES
    t.z = <const real*>kernel.read(z, kind)
    return t


cdef inline Spot spot_of(const Tiles* t, Py_ssize_t tile) noexcept nogil:
    """Where the outputs of a tile lie."""
    cdef Spot spot
    cdef Py_ssize_t y = tile // t.right % t.down * t.side
    cdef Py_ssize_t x = tile % t.right * t.side
    spot.at = (tile // t.right // t.down * t.rows + y) * t.cols + x
    spot.tall, spot.wide = min(t.side, t.rows - y), min(t.side, t.cols - x)
    return spot


cdef inline void transform(
    const Tiles* t, Py_ssize_t tile, real* v, Py_ssize_t apart, Py_ssize_t ahead
) noexcept nogil:
    """v[point apart + c / LANES ahead + c % LANES] = B^T d B, one tile, all c"""
    cdef Py_ssize_t y = tile // t.right % t.down * t.side - t.top
    cdef Py_ssize_t x = tile % t.right * t.side - t.left
    cdef Py_ssize_t image = tile // t.right // t.down, line = t.w * t.c, c = 0, n
    cdef bint inside = y >= 0 and x >= 0 and y + 6 <= t.h and x + 6 <= t.w
    cdef const real* z = t.z + ((image * t.h + y) * t.w + x) * t.c
    while c < t.c:
        n = min(<Py_ssize_t>LANES, t.c - c)
        if inside and n == LANES:
            input_tile(z + c, True, line, t.c, n, y, x, t.h, t.w, v, apart)
        else:
            input_tile(z + c, False, line, t.c, n, y, x, t.h, t.w, v, apart)
        v += ahead
        c += LANES
