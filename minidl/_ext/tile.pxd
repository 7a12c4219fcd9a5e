"""The register tile of a product: tile.h has it, and says what each computes."""

from minidl._ext.simd cimport real

cdef extern from "tile.h" nogil:
    struct Goal "goal":
        const real* factor
        const real* offset
        const real* add
        real* x
        bint rectified
    void forward_tile(
        Py_ssize_t height, bint narrow, Py_ssize_t count, Py_ssize_t taps,
        Py_ssize_t run, const real** rows, const Py_ssize_t* jump, const real* b,
        const real** asks, Py_ssize_t by, real* x, const Goal* to,
        const Py_ssize_t* at)
    void point_tile(
        Py_ssize_t height, bint narrow, Py_ssize_t count, Py_ssize_t depth,
        const real* a, Py_ssize_t a_apart, const real* b, const real* next, real* x,
        Py_ssize_t x_apart)
    void adjoint_by_rows(
        Py_ssize_t height, bint narrow, Py_ssize_t pixels, const real** rows,
        Py_ssize_t l, const real* e, const real* ask, Py_ssize_t by, real* g,
        Py_ssize_t apart, bint add)
    void adjoint_by_stride(
        Py_ssize_t height, bint narrow, Py_ssize_t pixels, const real* a,
        Py_ssize_t stride, const real* e, Py_ssize_t e_apart, const real* ask,
        Py_ssize_t by, real* g, Py_ssize_t apart, bint add)
