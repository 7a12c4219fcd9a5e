"""Windows on a grid: where they stand, and how the work is shared out.

``Frame`` is what ``Grid.frame`` of minidl.ops.window gives. Window i of an axis begins
at i stride - before; its tap r stands at that + r dilation.
"""

from minidl._ext.simd cimport LANES, real, vec, vmask

cdef extern from "window.h" nogil:
    vec take(const real* p, Py_ssize_t n)
    void give(real* p, vec v, Py_ssize_t n)
    void challenge(vec v, vec number, vec* best, vec* seat)
    void climb(vec v, vec* best, vec* odd)
    vec summit(vec best, vec odd)
    vmask meets(vec v, vec best)
    vec lanes(Py_ssize_t t)
    vec pack(vec word, vec number, int low)
    vec unpack(vec word, int low, int bits)
    vec plus_where(vec sum, vec seat, Py_ssize_t number, vec e)

cdef struct Axis:
    Py_ssize_t size, kernel, stride, dilation, before, after, count

cdef struct Frame:
    Py_ssize_t n, c
    Axis h, w

cdef struct Run:  # from `first` up to `end`
    Py_ssize_t first, end


cdef inline Py_ssize_t upto(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """How many multiples of b, from 0 on, lie below a"""
    return 0 if a <= 0 else a if b == 1 else (a + b - 1) // b


cdef inline Run taps(const Axis* a, Py_ssize_t i) noexcept nogil:
    """The taps of window i that stand on data"""
    cdef Py_ssize_t start = i * a.stride - a.before
    cdef Run r
    r.first = upto(-start, a.dilation)
    r.end = min(a.kernel, upto(a.size - start, a.dilation))
    return r


cdef inline Run covering(const Axis* a, Py_ssize_t p) noexcept nogil:
    """The windows that may have a tap at p"""
    cdef Run r
    p = p + a.before
    r.first = upto(p - a.dilation * (a.kernel - 1), a.stride)
    r.end = min(a.count, upto(p + 1, a.stride))
    return r


cdef inline Py_ssize_t tap(const Axis* a, Py_ssize_t p, Py_ssize_t i) noexcept nogil:
    """Which tap of window i, of those that cover p, stands there; below 0: none"""
    p = p + a.before - i * a.stride
    if a.dilation == 1:
        return p
    return -1 if p % a.dilation else p // a.dilation


cdef inline Py_ssize_t stands(
    const Frame* f, Py_ssize_t a, Py_ssize_t b
) noexcept nogil:
    """How many pixels tap (a, b) is from the first"""
    return a * f.h.dilation * f.w.size + b * f.w.dilation


cdef inline void follow(const Axis* a, Py_ssize_t p, Run* r) noexcept nogil:
    """The same from those of an earlier p, without a division"""
    p = p + a.before
    while r.first * a.stride + a.dilation * (a.kernel - 1) < p:
        r.first += 1
    while r.end < a.count and r.end * a.stride <= p:
        r.end += 1


cdef inline Py_ssize_t cuts(Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    """Into how many runs the channels are cut so that there is work to share: where
    rows are few, into runs of at least two vectors"""
    return 1 if rows >= 16 else max(1, min(16, c // (2 * LANES)))


cdef inline Run vectors(Py_ssize_t part, Py_ssize_t parts, Py_ssize_t c) noexcept nogil:
    """The part-th of `parts` runs of the vectors that hold c channels"""
    cdef Py_ssize_t count = (c + LANES - 1) // LANES
    cdef Run r
    r.first = part * count // parts
    r.end = (part + 1) * count // parts
    return r
