"""The register tile: MR rows by NR columns of a product, kept in registers.

    forward  x[r, f] = sum_t sum_l a[t][r][l] B[t L + l, f]   rows by pointers, B packed
    adjoint  g[l, f] = sum_m a[m][l] E[m, f]                  over pixels m, E packed

GCC keeps the accumulators in registers because every loop over them has a constant
bound. Packed matrices are panels of NR columns, filled up with zeros; the last panel
has LANES columns if those are enough ("narrow").
"""

from minidl._ext.simd cimport LANES, MR, NR, load, real, splat, store, vec


cdef inline void forward_tile(
    const int height, const int halves, Py_ssize_t taps, Py_ssize_t run,
    const real** rows, const real* b, real* x
) noexcept nogil:
    """x [height, NR] of the rows that `rows` [taps, MR] points to and the panel b"""
    cdef vec c0[MR]
    cdef vec c1[MR]
    cdef const real* a[MR]
    cdef vec b0
    cdef vec b1
    cdef vec v
    cdef Py_ssize_t t, k
    cdef int i
    for i in range(height):
        c0[i] = splat(0)
        c1[i] = splat(0)
    for t in range(taps):
        for i in range(height):
            a[i] = rows[t * MR + i]
        for k in range(run):
            b0 = load(b)
            if halves == 2:
                b1 = load(b + LANES)
            b += halves * LANES
            for i in range(height):
                v = splat(a[i][k])
                c0[i] = c0[i] + v * b0
                if halves == 2:
                    c1[i] = c1[i] + v * b1
    for i in range(height):
        store(x + i * NR, c0[i])
        if halves == 2:
            store(x + i * NR + LANES, c1[i])


cdef inline void forward_rows(
    Py_ssize_t height, bint narrow, Py_ssize_t taps, Py_ssize_t run,
    const real** rows, const real* b, real* x
) noexcept nogil:
    """forward_tile of the least height that has at least `height` rows"""
    if narrow:
        if height > MR // 2:
            forward_tile(MR, 1, taps, run, rows, b, x)
        elif height > 3:
            forward_tile(MR // 2, 1, taps, run, rows, b, x)
        elif height > 1:
            forward_tile(3, 1, taps, run, rows, b, x)
        else:
            forward_tile(1, 1, taps, run, rows, b, x)
    elif height > MR // 2:
        forward_tile(MR, 2, taps, run, rows, b, x)
    elif height > 3:
        forward_tile(MR // 2, 2, taps, run, rows, b, x)
    elif height > 1:
        forward_tile(3, 2, taps, run, rows, b, x)
    else:
        forward_tile(1, 2, taps, run, rows, b, x)


cdef inline void adjoint_tile(
    const int height, const int halves, Py_ssize_t pixels, const real** rows,
    Py_ssize_t stride, const real* a, const real* e, real* g
) noexcept nogil:
    """g [height, NR] = sum over pixels m of a[m][:height] times the panel e

    Pixel m's entries are at a + m stride, or at rows[m] + stride if there are rows. One
    half of the panel is enough for a narrow one."""
    cdef vec c0[MR]
    cdef vec c1[MR]
    cdef vec e0
    cdef vec e1
    cdef vec v
    cdef Py_ssize_t m
    cdef int i
    for i in range(height):
        c0[i] = splat(0)
        c1[i] = splat(0)
    for m in range(pixels):
        if rows != NULL:
            a = rows[m] + stride
        e0 = load(e)
        if halves == 2:
            e1 = load(e + LANES)
        e += NR
        for i in range(height):
            v = splat(a[i])
            c0[i] = c0[i] + v * e0
            if halves == 2:
                c1[i] = c1[i] + v * e1
        if rows == NULL:
            a += stride
    for i in range(height):
        store(g + i * NR, c0[i])
        if halves == 2:
            store(g + i * NR + LANES, c1[i])


cdef inline void adjoint_of(
    Py_ssize_t height, const int halves, Py_ssize_t pixels, const real** rows,
    Py_ssize_t stride, const real* a, const real* e, real* g
) noexcept nogil:
    """adjoint_tile of any height up to MR: the compiler unrolls each for itself."""
    if height == MR:
        adjoint_tile(MR, halves, pixels, rows, stride, a, e, g)
    elif height == 1:
        adjoint_tile(1, halves, pixels, rows, stride, a, e, g)
    elif height == 2:
        adjoint_tile(2, halves, pixels, rows, stride, a, e, g)
    elif height == 3:
        adjoint_tile(3, halves, pixels, rows, stride, a, e, g)
    elif height == 4:
        adjoint_tile(4, halves, pixels, rows, stride, a, e, g)
    elif height == 5:
        adjoint_tile(5, halves, pixels, rows, stride, a, e, g)
    elif MR > 6:
        if height == 6:
            adjoint_tile(min(6, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 7:
            adjoint_tile(min(7, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 8:
            adjoint_tile(min(8, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 9:
            adjoint_tile(min(9, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 10:
            adjoint_tile(min(10, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 11:
            adjoint_tile(min(11, MR), halves, pixels, rows, stride, a, e, g)
        elif height == 12:
            adjoint_tile(min(12, MR), halves, pixels, rows, stride, a, e, g)
        else:
            adjoint_tile(min(13, MR), halves, pixels, rows, stride, a, e, g)


cdef inline void adjoint_by_rows(
    Py_ssize_t height, bint narrow, Py_ssize_t pixels, const real** rows,
    Py_ssize_t l, const real* e, real* g
) noexcept nogil:
    """Entries l to l + height of the rows that pointers find"""
    if narrow:
        adjoint_of(height, 1, pixels, rows, l, NULL, e, g)
    else:
        adjoint_of(height, 2, pixels, rows, l, NULL, e, g)


cdef inline void adjoint_by_stride(
    Py_ssize_t height, bint narrow, Py_ssize_t pixels, const real* a,
    Py_ssize_t stride, const real* e, real* g
) noexcept nogil:
    """Entries of rows that lie `stride` apart"""
    if narrow:
        adjoint_of(height, 1, pixels, NULL, stride, a, e, g)
    else:
        adjoint_of(height, 2, pixels, NULL, stride, a, e, g)
