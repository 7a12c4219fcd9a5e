"""What simd.h gives: the scalar and the vector of this build.

Cython takes ``vec`` for a float, so the ordinary operators work on it."""

cdef extern from "simd.h" nogil:
    ctypedef float real
    ctypedef float vec
    ctypedef float vmask
    const int LANES
    enum: MR
    enum: NR
    enum: DOT_ROWS
    enum: DOT_COLUMNS
    enum: W_ROWS
    enum: BLOCK
    enum: CHUNK
    vec splat(real a)
    vec load(const real* p)
    void store(real* p, vec v)
    void stream(real* p, vec v)
    void prefetch(const real* p)
    void prefetch_write(const real* p)
    const int VECTOR_BYTES
    vec pick(vmask m, vec a, vec b)
    vmask greater(vec a, vec b)
    vmask less(vec a, vec b)
    vmask unequal(vec a, vec b)
    vec relu(vec v)
    vec nearest(vec v)
    vec two_to(vec k)
    vec magnitude(vec v)
    vec square_root(vec v)
    vec with_sign(vec v, vec s)
    vmask before(Py_ssize_t n)
    vec first(vec v, Py_ssize_t n)
    vec load_part(const real* p, Py_ssize_t n)
    void store_part(real* p, vec v, Py_ssize_t n)
    real total(vec v)
    void transpose(vec* r)
    real largest(vec v)
