"""What simd.h gives: the scalar and the vector of this build.

Cython takes ``vec`` for a float, so the ordinary operators work on it."""

cdef extern from "simd.h" nogil:
    ctypedef float real
    ctypedef float vec
    ctypedef float vmask
    const int LANES
    enum: MR
    enum: NR
    vec splat(real a)
    vec load(const real* p)
    void store(real* p, vec v)
    vec pick(vmask m, vec a, vec b)
    vmask greater(vec a, vec b)
    vmask less(vec a, vec b)
