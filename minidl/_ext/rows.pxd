"""Inner pieces of batch norm, whose arrays are rows of c channels.

Sums stay in registers: those of GROUP vectors of channels, row after row; where fewer
are left, those of one vector of channels for GROUP rows at a time.
"""

from minidl._ext.finish cimport Finish, ended
from minidl._ext.math cimport NONE, activate, activate_adjoint
from minidl._ext.simd cimport LANES, load_part, real, splat, store_part, vec

cdef enum:
    GROUP = 4


cdef struct Norm:
    # x = act((z - m) a + b + add): z, x and add are rows, those of z `apart` from each
    # other; m and b may be NULL
    Py_ssize_t c, apart
    const real* z
    const real* m
    const real* a
    const real* b
    Finish end
    real* x


cdef struct Back:
    # epsilon behind the activation, from epsilon and x; or where that is NULL from an x
    # computed again. What was added gets the same, at `passed`, if that is not NULL.
    Norm norm
    const real* e
    const real* x
    real* passed
    # delta = (z - m) r0 + r1 + e r2
    const real* r0
    const real* r1
    const real* r2
    real* delta


cdef inline vec centred(
    Norm* k, Py_ssize_t i, Py_ssize_t j, Py_ssize_t n
) noexcept nogil:
    """z - m for n channels of row i from j on"""
    cdef vec z = load_part(k.z + i * k.apart + j, n)
    return z if k.m == NULL else z - load_part(k.m + j, n)


cdef inline void normalise(
    Norm* k, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    """Write rows start to stop of x."""
    cdef Py_ssize_t i, j, at, n, c = k.c
    cdef vec a, b
    for i in range(start, stop):
        j, at = 0, i * c
        while j < c:
            n = min(<Py_ssize_t>LANES, c - j)
            a = load_part(k.a + j, n)
            b = splat(0) if k.b == NULL else load_part(k.b + j, n)
            store_part(k.x + at, ended(&k.end, centred(k, i, j, n), a, b, at, n), n)
            j, at = j + LANES, at + LANES


cdef inline vec behind(
    Back* k, const int act, vec d, Py_ssize_t at, Py_ssize_t j, Py_ssize_t n
) noexcept nogil:
    """epsilon behind the activation; d = z - m"""
    cdef vec e = load_part(k.e + at, n), slope = splat(k.norm.end.slope), x
    if act == NONE:
        return e
    if k.x != NULL:
        x = load_part(k.x + at, n)
    else:
        x = d * load_part(k.norm.a + j, n) + load_part(k.norm.b + j, n)
        x = activate(x, act, slope)
    return activate_adjoint(e, x, act, slope)


cdef inline void products(
    Back* k, const int act, const int wide, const int high, Py_ssize_t j,
    Py_ssize_t n, Py_ssize_t start, Py_ssize_t stop, real* s1, real* s2,
) noexcept nogil:
    """s1 += sum of e, s2 += sum of e (z - m) over the rows from start to stop, `high`
    at a time, for n channels from j on in each of `wide` vectors."""
    cdef vec sum1[GROUP]
    cdef vec sum2[GROUP]
    cdef vec d, e
    cdef Py_ssize_t i = start, at, c = k.norm.c, to
    cdef int p, q
    for p in range(wide * high):
        sum1[p] = sum2[p] = splat(0)
    while i + high <= stop:
        for q in range(high):
            for p in range(wide):
                at = (i + q) * c + j + p * LANES
                d = centred(&k.norm, i + q, j + p * LANES, n)
                e = behind(k, act, d, at, j + p * LANES, n)
                if k.passed != NULL:
                    store_part(k.passed + at, e, n)
                sum1[q * wide + p] = sum1[q * wide + p] + e
                sum2[q * wide + p] = sum2[q * wide + p] + e * d
        i += high
    for q in range(high):
        for p in range(wide):
            to = j + p * LANES
            store_part(s1 + to, load_part(s1 + to, n) + sum1[q * wide + p], n)
            store_part(s2 + to, load_part(s2 + to, n) + sum2[q * wide + p], n)


cdef inline void product_rows(
    Back* k, const int act, Py_ssize_t start, Py_ssize_t stop, real* s1, real* s2
) noexcept nogil:
    """`products` of all channels"""
    cdef Py_ssize_t j = 0, c = k.norm.c, n
    cdef Py_ssize_t even = start + (stop - start) // GROUP * GROUP
    while j + GROUP * LANES <= c:
        products(k, act, GROUP, 1, j, LANES, start, stop, s1, s2)
        j += GROUP * LANES
    while j < c:
        n = min(<Py_ssize_t>LANES, c - j)
        products(k, act, 1, GROUP, j, n, start, even, s1, s2)
        products(k, act, 1, 1, j, n, even, stop, s1, s2)
        j += LANES


cdef inline void deltas(
    Back* k, const int act, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    """Write rows start to stop of delta."""
    cdef Py_ssize_t i, j, at, n, c = k.norm.c
    cdef vec d, e
    for i in range(start, stop):
        j, at = 0, i * c
        while j < c:
            n = min(<Py_ssize_t>LANES, c - j)
            d = centred(&k.norm, i, j, n)
            e = behind(k, act, d, at, j, n)
            d = d * load_part(k.r0 + j, n) + load_part(k.r1 + j, n)
            store_part(k.delta + at, d + e * load_part(k.r2 + j, n), n)
            j, at = j + LANES, at + LANES


cdef inline void deviations(
    const real* z, const int wide, const int high, Py_ssize_t j, Py_ssize_t n,
    Py_ssize_t start, Py_ssize_t stop, Py_ssize_t apart, real* s1, real* s2
) noexcept nogil:
    """s1 += sum of d, s2 += sum of d^2 over the rows from start to stop, d = z - z[0];
    otherwise as `products`.

    A shift that is one of the numbers loses at most a factor of precision that is the
    number of rows.
    """
    cdef vec sum1[GROUP]
    cdef vec sum2[GROUP]
    cdef vec first[GROUP]
    cdef vec d
    cdef Py_ssize_t i = start, to
    cdef int p, q
    for p in range(wide):
        first[p] = load_part(z + j + p * LANES, n)
    for p in range(wide * high):
        sum1[p] = sum2[p] = splat(0)
    while i + high <= stop:
        for q in range(high):
            for p in range(wide):
                d = load_part(z + (i + q) * apart + j + p * LANES, n) - first[p]
                sum1[q * wide + p] = sum1[q * wide + p] + d
                sum2[q * wide + p] = sum2[q * wide + p] + d * d
        i += high
    for q in range(high):
        for p in range(wide):
            to = j + p * LANES
            store_part(s1 + to, load_part(s1 + to, n) + sum1[q * wide + p], n)
            store_part(s2 + to, load_part(s2 + to, n) + sum2[q * wide + p], n)


cdef inline void deviation_rows(
    const real* z, Py_ssize_t rows, Py_ssize_t c, Py_ssize_t apart, real* s1, real* s2
) noexcept nogil:
    """`deviations` of all channels"""
    cdef Py_ssize_t j = 0, n, even = rows // GROUP * GROUP
    while j + GROUP * LANES <= c:
        deviations(z, GROUP, 1, j, LANES, 0, rows, apart, s1, s2)
        j += GROUP * LANES
    while j < c:
        n = min(<Py_ssize_t>LANES, c - j)
        deviations(z, 1, GROUP, j, n, 0, even, apart, s1, s2)
        deviations(z, 1, 1, j, n, even, rows, apart, s1, s2)
        j += LANES
