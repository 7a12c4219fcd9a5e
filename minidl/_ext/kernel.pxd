cdef class Kernel:
    cdef list arrays  # keeps alive what the pointers of a kernel point into
    cdef void* at(self, array, str kind, Py_ssize_t size, int flags) except? NULL
    cdef const void* read(self, array, str kind, Py_ssize_t size=*) except? NULL
    cdef void* write(self, array, str kind, Py_ssize_t size=*) except? NULL
    cdef const void* read_slice(self, array, str kind, Py_ssize_t size=*) except? NULL
    cdef void* write_slice(self, array, str kind, Py_ssize_t size=*) except? NULL
    cdef void run(self) noexcept nogil
    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil
    cdef void follow(self, Py_ssize_t at, Py_ssize_t n, const void* g) noexcept nogil
    cdef void share(self, Py_ssize_t items, Py_ssize_t work) noexcept nogil

cpdef Py_ssize_t pitch(array) except -1
cdef Py_ssize_t parts(Py_ssize_t rows, Py_ssize_t work) noexcept nogil
