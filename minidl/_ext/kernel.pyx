"""The contract of every kernel, and the list of kernels that a plan runs.

A kernel is bound once and run many times. Its ``__init__`` is the door: it
checks the arrays and keeps their addresses. ``run`` is the work: no Python, no
lock, no allocation, no failure.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release,
    PyObject_GetBuffer,
)

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    static int minidl_level(void) {
      __builtin_cpu_init();
      if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi2"))) return 2;
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl") ? 4 : 3;
    }
    #else
    static int minidl_level(void) { return 2; }
    #endif
    """
    int minidl_level() nogil

cdef extern from "team.h" nogil:
    ctypedef void (*team_work)(void*, Py_ssize_t, int) noexcept nogil
    void team_run(team_work work, void* what, Py_ssize_t items, int threads)
    void team_forked()

cdef int most = 1  # how many threads a kernel may use


def set_team(int n):
    """Let every kernel use up to `n` threads."""
    global most
    most = n


def get_team():
    """How many threads a kernel may use."""
    return most


def forked():
    """Threads do not survive a fork: a child starts its own."""
    team_forked()


def cpu_level():
    """The best instruction-set level of this CPU: 2 (baseline), 3 or 4."""
    return minidl_level()


cdef void one_part(void* kernel, Py_ssize_t item, int slot) noexcept nogil:
    (<Kernel>kernel).part(item, slot)


cdef Py_ssize_t parts(Py_ssize_t rows, Py_ssize_t work) noexcept nogil:
    """In how many parts a sum over `rows` is split: never a matter of threads,
    so the same bits come out for any number of them."""
    return max(1, min(min(rows, 16), work // 16_384))


def parts_of(Py_ssize_t rows, Py_ssize_t work):
    """`parts`, for who books the scratch."""
    return parts(rows, work)


cpdef Py_ssize_t pitch(array) except -1:
    """How many numbers lie from one pixel of it to the next: more than it has channels
    if these are some of a larger array's."""
    cdef Py_ssize_t apart = 0, next = 0
    if array.flags.c_contiguous:
        return array.shape[array.ndim - 1]
    *sizes, c = array.shape
    *steps, one = array.strides
    for size, step in list(zip(sizes, steps))[::-1]:
        if size > 1:
            apart, next = apart or step, next or step
            if step != next:
                raise ValueError(f"pixels in no even row: strides {array.strides}")
            next *= size
    if apart < c * one or (c > 1 and one != array.itemsize):
        raise ValueError(f"channels not side by side: strides {array.strides}")
    return apart // array.itemsize


cdef class Kernel:
    """One bound call. ``kernel()`` runs it."""

    cdef void* at(self, array, str kind, Py_ssize_t size, int flags) except? NULL:
        """The address of an `array` of `kind` ('f', 'd', 'q', ...) with `size` entries
        (-1: any number). None is NULL."""
        cdef Py_buffer view
        cdef Py_ssize_t count
        cdef void* address
        if array is None:
            return NULL
        PyObject_GetBuffer(array, &view, flags | PyBUF_FORMAT)
        given = view.format.decode()
        count = view.len // view.itemsize
        address = view.buf
        PyBuffer_Release(&view)
        if given == "l":  # a long is a long long here
            given = "q"
        if given != kind or (size >= 0 and count != size):
            raise ValueError(
                f"{type(self).__name__}: expected {size if size >= 0 else 'any'} "
                f"entries of type {kind!r}, got {count} of {given!r}")
        if self.arrays is None:
            self.arrays = []
        self.arrays.append(array)
        return address

    cdef const void* read(
        self, array, str kind, Py_ssize_t size=-1
    ) except? NULL:
        return self.at(array, kind, size, PyBUF_C_CONTIGUOUS)

    cdef void* write(self, array, str kind, Py_ssize_t size=-1) except? NULL:
        return self.at(array, kind, size, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)

    cdef const void* read_slice(
        self, array, str kind, Py_ssize_t size=-1
    ) except? NULL:
        """As `read`, for pixels that need not lie side by side: see `pitch`."""
        pitch(array)
        return self.at(array, kind, size, PyBUF_STRIDES)

    cdef void* write_slice(
        self, array, str kind, Py_ssize_t size=-1
    ) except? NULL:
        pitch(array)
        return self.at(array, kind, size, PyBUF_STRIDES | PyBUF_WRITABLE)

    cdef void run(self) noexcept nogil:
        """All of it."""

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        """One item of what `run` shares out; the thread owns `slot` of the scratch."""

    cdef void follow(self, Py_ssize_t at, Py_ssize_t n, const void* g) noexcept nogil:
        """An optimiser's step for its entries from `at` to at + n, whose gradient is g:
        a kernel that makes a gradient may take it there, piece by piece."""

    cdef void share(self, Py_ssize_t items, Py_ssize_t work) noexcept nogil:
        """Do `part` for all items, by several threads if `work` is worth it.

        `work` is in multiply-adds or in numbers moved: another thread comes within
        some 5 us, the time of about 50,000 of them (measured on AVX-512, 3 GHz)."""
        team_run(one_part, <void*>self, items, most if work > 50_000 else 1)

    def __call__(self):
        with nogil:
            self.run()


cdef class Program:
    """Kernels and Python callables, run in order."""

    cdef readonly list calls

    def __init__(self, calls):
        self.calls = list(calls)

    def __call__(self):
        cdef Py_ssize_t i
        cdef list calls = self.calls
        cdef Kernel kernel
        for i in range(len(calls)):
            if isinstance(calls[i], Kernel):
                kernel = <Kernel>calls[i]
                with nogil:
                    kernel.run()
            else:
                calls[i]()
