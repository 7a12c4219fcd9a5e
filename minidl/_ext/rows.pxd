"""Inner pieces of kernels whose arrays are rows of c channels."""

from libc.string cimport memset

from minidl._ext.simd cimport LANES, load, real, store, vec


cdef inline void affine(
    const real* z, const real* m, const real* a, const real* b, const real* e,
    const real* s, real* x, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t c,
) noexcept nogil:
    """x = (z - m) a + b + e s for the rows from start to stop; z, e and x have rows,
    m, a, b and s one number for each channel. m, b, s may be NULL: left out."""
    cdef Py_ssize_t i, j, at
    cdef vec v
    cdef real w
    for i in range(start, stop):
        j, at = 0, i * c
        while j + LANES <= c:
            v = load(z + at + j)
            v = v - load(m + j) if m != NULL else v
            v = v * load(a + j)
            v = v + load(b + j) if b != NULL else v
            v = v + load(e + at + j) * load(s + j) if s != NULL else v
            store(x + at + j, v)
            j += LANES
        while j < c:
            w = z[at + j]
            w = w - m[j] if m != NULL else w
            w = w * a[j]
            w = w + b[j] if b != NULL else w
            w = w + e[at + j] * s[j] if s != NULL else w
            x[at + j] = w
            j += 1


cdef inline void products(
    const real* z, const real* m, const real* e, Py_ssize_t start, Py_ssize_t stop,
    Py_ssize_t c, real* s1, real* s2,
) noexcept nogil:
    """s1 = sum of e, s2 = sum of e (z - m) over the rows from start to stop."""
    cdef Py_ssize_t i, j, at
    cdef vec v
    memset(s1, 0, c * sizeof(real))
    memset(s2, 0, c * sizeof(real))
    for i in range(start, stop):
        j, at = 0, i * c
        while j + LANES <= c:
            v = load(e + at + j)
            store(s1 + j, load(s1 + j) + v)
            store(s2 + j, load(s2 + j) + v * (load(z + at + j) - load(m + j)))
            j += LANES
        while j < c:
            s1[j] += e[at + j]
            s2[j] += e[at + j] * (z[at + j] - m[j])
            j += 1


cdef inline void deviations(
    const real* z, Py_ssize_t n, Py_ssize_t c, real* s1, real* s2
) noexcept nogil:
    """s1 = sum of d, s2 = sum of d^2, where d = z - (the first of the n rows).

    A shift that is one of the numbers loses at most a factor n of precision. Four rows
    go at a time; where there are none left, the first stands in, whose d is 0.
    """
    cdef Py_ssize_t i, j
    cdef const real* a
    cdef const real* b
    cdef const real* e
    cdef const real* f
    cdef vec k, p, q, r, s
    cdef real t, u, v, w
    memset(s1, 0, c * sizeof(real))
    memset(s2, 0, c * sizeof(real))
    for i in range(1, n, 4):
        a = z + i * c
        b = z + (i + 1) * c if i + 1 < n else z
        e = z + (i + 2) * c if i + 2 < n else z
        f = z + (i + 3) * c if i + 3 < n else z
        j = 0
        while j + LANES <= c:
            k = load(z + j)
            p, q = load(a + j) - k, load(b + j) - k
            r, s = load(e + j) - k, load(f + j) - k
            store(s1 + j, load(s1 + j) + ((p + q) + (r + s)))
            store(s2 + j, load(s2 + j) + ((p * p + q * q) + (r * r + s * s)))
            j += LANES
        while j < c:
            t, u, v, w = a[j] - z[j], b[j] - z[j], e[j] - z[j], f[j] - z[j]
            s1[j] += (t + u) + (v + w)
            s2[j] += (t * t + u * u) + (v * v + w * w)
            j += 1
