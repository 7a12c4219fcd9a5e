"""What a product does to its result before storing it: bias, and a Tail.

    x = act(scale * (v + b) + shift + add) = act(factor * v + offset + add)

or with the slope of act at `behind` in place of act.
"""

from minidl._ext.kernel cimport Kernel
from minidl._ext.math cimport NONE, RELU, activate, activate_adjoint, activation
from minidl._ext.simd cimport LANES, NR, load, load_part, real, splat, store_part, vec

cdef enum:  # kinds of tails that have code of their own
    ANY
    PLAIN
    RECTIFIED
    ADDED
    BEHIND  # of a relu
    ADDED_BEHIND


cdef struct Finish:
    const real* b
    const real* scale
    const real* shift
    const real* add
    const real* behind
    int act
    int kind
    real slope


cdef inline Finish finish_of(
    Kernel kernel, str kind, b, tail, Py_ssize_t into
) except *:
    """The arrays of a bias and a Tail, from channel `into` on."""
    cdef Finish end
    cdef double slope
    end.b = <const real*>kernel.read(b, kind)
    end.scale = end.shift = end.add = end.behind = NULL
    end.act, end.slope = NONE, 0
    if b is not None:
        end.b += into
    if tail is not None:
        slope = tail.slope  # by way of a double: Cython takes `real` for a float
        end.act, end.slope = activation(tail.act), slope
        if tail.scale is not None:
            end.scale = <const real*>kernel.read(tail.scale, kind) + into
            end.shift = <const real*>kernel.read(tail.shift, kind) + into
        if tail.add is not None:
            end.add = <const real*>kernel.read(tail.add, kind) + into
        if tail.behind is not None:
            end.behind = <const real*>kernel.read(tail.behind, kind) + into
    end.kind = kind_of(&end)
    return end


cdef inline int kind_of(const Finish* end) noexcept nogil:
    """What `ended_by` may take for granted"""
    if end.act == NONE and end.add == NULL:
        return PLAIN
    if end.act != RELU:
        return ANY
    if end.behind == NULL:
        return RECTIFIED if end.add == NULL else ADDED
    return BEHIND if end.add == NULL else ADDED_BEHIND


cdef inline vec factor_of(Finish* end, Py_ssize_t f, Py_ssize_t n) noexcept nogil:
    """Of channels f to f + n."""
    return splat(1) if end.scale == NULL else load_part(end.scale + f, n)


cdef inline vec offset_of(Finish* end, Py_ssize_t f, Py_ssize_t n) noexcept nogil:
    """Of channels f to f + n."""
    cdef vec offset = splat(0)
    if end.b != NULL:
        offset = load_part(end.b + f, n)
    if end.scale != NULL:
        offset = offset * load_part(end.scale + f, n) + load_part(end.shift + f, n)
    return offset


cdef inline vec ended(
    Finish* end, vec v, vec factor, vec offset, Py_ssize_t at, Py_ssize_t n
) noexcept nogil:
    """The result for n entries of x from `at` on."""
    v = v * factor + offset
    if end.add != NULL:
        v = v + load_part(end.add + at, n)
    if end.behind != NULL:
        v = activate_adjoint(
            v, load_part(end.behind + at, n), end.act, splat(end.slope))
    elif end.act != NONE:
        v = activate(v, end.act, splat(end.slope))
    return v


cdef inline vec ended_by(
    Finish* end, const int kind, vec v, vec factor, vec offset, Py_ssize_t at,
    Py_ssize_t n
) noexcept nogil:
    """`ended`, by code for one kind"""
    if kind == ANY:
        return ended(end, v, factor, offset, at, n)
    v = v * factor + offset
    if kind == ADDED or kind == ADDED_BEHIND:
        v = v + load_part(end.add + at, n)
    if kind == RECTIFIED or kind == ADDED:
        v = activate(v, RELU, splat(0))
    if kind == BEHIND or kind == ADDED_BEHIND:
        v = activate_adjoint(v, load_part(end.behind + at, n), RELU, splat(0))
    return v


cdef inline void finish_by(
    Finish* end, const int kind, const real* tile,
    const Py_ssize_t* at, Py_ssize_t rows, Py_ssize_t f, Py_ssize_t filters, real* x
) noexcept nogil:
    """`finish_rows`, the kind of the tail known before."""
    cdef Py_ssize_t left = min(<Py_ssize_t>LANES, filters - f)
    cdef Py_ssize_t right = min(<Py_ssize_t>LANES, filters - f - LANES), r, to
    cdef vec factor0 = factor_of(end, f, left)
    cdef vec offset0 = offset_of(end, f, left)
    cdef vec factor1
    cdef vec offset1
    if right <= 0:
        for r in range(rows):
            to = at[r] + f
            store_part(x + to, ended_by(
                end, kind, load(tile + r * NR), factor0, offset0, to, left), left)
        return
    factor1 = factor_of(end, f + LANES, right)
    offset1 = offset_of(end, f + LANES, right)
    for r in range(rows):
        to = at[r] + f
        store_part(x + to, ended_by(
            end, kind, load(tile + r * NR), factor0, offset0, to, LANES), LANES)
        to += LANES
        store_part(x + to, ended_by(
            end, kind, load(tile + r * NR + LANES), factor1, offset1, to, right),
            right)


cdef inline void finish_rows(
    Finish* end, const real* tile, const Py_ssize_t* at, Py_ssize_t rows,
    Py_ssize_t f, Py_ssize_t filters, real* x
) noexcept nogil:
    """A tile [rows, NR], finished, to x: its columns are the filters from f on, its
    rows go to where `at` says."""
    if end.kind == PLAIN:
        finish_by(end, PLAIN, tile, at, rows, f, filters, x)
    elif end.kind == RECTIFIED:
        finish_by(end, RECTIFIED, tile, at, rows, f, filters, x)
    elif end.kind == ADDED:
        finish_by(end, ADDED, tile, at, rows, f, filters, x)
    elif end.kind == BEHIND:
        finish_by(end, BEHIND, tile, at, rows, f, filters, x)
    elif end.kind == ADDED_BEHIND:
        finish_by(end, ADDED_BEHIND, tile, at, rows, f, filters, x)
    else:
        finish_by(end, ANY, tile, at, rows, f, filters, x)
