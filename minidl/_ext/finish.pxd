"""What a product does to its result before storing it: bias, and a Tail.

    x = act(scale * (v + b) + shift + add) = act(factor * v + offset + add)

or with the slope of act at `behind` in place of act.
"""

from minidl._ext.kernel cimport Kernel
from minidl._ext.math cimport NONE, activate, activate_adjoint, activation
from minidl._ext.simd cimport load_part, real, splat, vec


cdef struct Finish:
    const real* b
    const real* scale
    const real* shift
    const real* add
    const real* behind
    int act
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
    return end


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
