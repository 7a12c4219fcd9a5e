"""The register tile: MR rows by NR columns of a product, kept in registers.

    forward  x[r, f] = sum_t sum_l a[t][r][l] B[t L + l, f]     rows by pointers, B packed
    adjoint  g[l, f] = sum_m a[m][l] E[m, f]                    over pixels m, E packed

GCC keeps the accumulators in registers because every loop over them has a constant
bound. Packed matrices are panels of NR columns, filled up with zeros.
"""

from minidl._ext.simd cimport LANES, MR, NR, load, real, splat, store, vec


cdef inline void forward_tile(
    Py_ssize_t taps, Py_ssize_t run, const real** rows, const real* b, real* x
) noexcept nogil:
    """x [MR, NR] of the rows that `rows` [taps, MR] points to and the panel b"""
    cdef vec c0[MR]
    cdef vec c1[MR]
    cdef const real* a[MR]
    cdef vec b0
    cdef vec b1
    cdef vec v
    cdef Py_ssize_t t, k
    cdef int i
    for i in range(MR):
        c0[i] = splat(0)
        c1[i] = splat(0)
    for t in range(taps):
        for i in range(MR):
            a[i] = rows[t * MR + i]
        for k in range(run):
            b0 = load(b)
            b1 = load(b + LANES)
            b += NR
            for i in range(MR):
                v = splat(a[i][k])
                c0[i] = c0[i] + v * b0
                c1[i] = c1[i] + v * b1
    for i in range(MR):
        store(x + i * NR, c0[i])
        store(x + i * NR + LANES, c1[i])


cdef inline void adjoint_tile(
    const int height, Py_ssize_t pixels, const real** rows, Py_ssize_t l,
    const real* e, real* g
) noexcept nogil:
    """g [height, NR]: entries l, l + 1, ... of `rows` [pixels] times the panel e"""
    cdef vec c0[MR]
    cdef vec c1[MR]
    cdef const real* a
    cdef vec e0
    cdef vec e1
    cdef vec v
    cdef Py_ssize_t m
    cdef int i
    for i in range(height):
        c0[i] = splat(0)
        c1[i] = splat(0)
    for m in range(pixels):
        a = rows[m] + l
        e0 = load(e)
        e1 = load(e + LANES)
        e += NR
        for i in range(height):
            v = splat(a[i])
            c0[i] = c0[i] + v * e0
            c1[i] = c1[i] + v * e1
    for i in range(height):
        store(g + i * NR, c0[i])
        store(g + i * NR + LANES, c1[i])


cdef inline void strided_tile(
    const int height, Py_ssize_t pixels, const real* a, Py_ssize_t stride,
    const real* e, real* g
) noexcept nogil:
    """adjoint_tile for rows that lie `stride` apart"""
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
        e0 = load(e)
        e1 = load(e + LANES)
        e += NR
        for i in range(height):
            v = splat(a[i])
            c0[i] = c0[i] + v * e0
            c1[i] = c1[i] + v * e1
        a += stride
    for i in range(height):
        store(g + i * NR, c0[i])
        store(g + i * NR + LANES, c1[i])
