"""One number in, one number out: activations and their adjoints."""

from cython.parallel cimport prange

from minidl._ext.kernel cimport Kernel, threads
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef class Relu(Kernel):
    """x = max(z, 0), and NaN stays NaN"""

    cdef const real* z
    cdef real* x
    cdef Py_ssize_t size

    def __init__(self, z, x):
        self.size = x.size
        self.z = <const real*>self.read(z, KIND, self.size)
        self.x = <real*>self.write(x, KIND)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t i
        cdef const real* z = self.z
        cdef real* x = self.x
        for i in prange(self.size, num_threads=threads(self.size)):
            x[i] = 0 if z[i] < 0 else z[i]


cdef class ReluAdjoint(Kernel):
    """delta = epsilon where x > 0, else 0"""

    cdef const real* epsilon
    cdef const real* x
    cdef real* delta
    cdef Py_ssize_t size

    def __init__(self, epsilon, x, delta):
        self.size = x.size
        self.epsilon = <const real*>self.read(epsilon, KIND, self.size)
        self.x = <const real*>self.read(x, KIND)
        self.delta = <real*>self.write(delta, KIND, self.size)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t i
        cdef const real* epsilon = self.epsilon
        cdef const real* x = self.x
        cdef real* delta = self.delta
        for i in prange(self.size, num_threads=threads(self.size)):
            delta[i] = 0 if x[i] <= 0 else epsilon[i]
