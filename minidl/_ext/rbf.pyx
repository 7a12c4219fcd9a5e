"""Distances to codes: the output layer of LeNet-5."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport (
    LANES, load_part, real, splat, store_part, total, vec,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef class _Codes(Kernel):
    """The frame: z [n, c], w [c, f], and an array of the shape of x [n, f]"""

    cdef const real* z
    cdef const real* w
    cdef const real* epsilon
    cdef real* out
    cdef Py_ssize_t n, c, f

    def __init__(self, z, w, epsilon, out):
        self.n = z.shape[0]
        self.c, self.f = w.shape
        self.z = <const real*>self.read(z, KIND, self.n * self.c)
        self.w = <const real*>self.read(w, KIND)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.n * self.f)
        self.out = <real*>self.write(out, KIND)


cdef class Distances(_Codes):
    """x_f = sum_i (z_i - w_if)^2"""

    def __init__(self, z, w, x):
        _Codes.__init__(self, z, w, x, x)

    cdef void run(self) noexcept nogil:
        self.share(self.n, self.n * self.c * self.f)

    cdef void part(self, Py_ssize_t n, int slot) noexcept nogil:
        cdef Py_ssize_t i, f = 0
        cdef const real* z = self.z + n * self.c
        cdef vec apart, sum
        while f < self.f:
            sum = splat(0)
            for i in range(self.c):
                apart = splat(z[i]) - load_part(self.w + i * self.f + f, self.f - f)
                sum = sum + apart * apart
            store_part(self.out + n * self.f + f, sum, self.f - f)
            f += LANES


cdef class DistancesDelta(_Codes):
    """delta_i = sum_f 2 (z_i - w_if) epsilon_f"""

    cdef void run(self) noexcept nogil:
        self.share(self.n, self.n * self.c * self.f)

    cdef void part(self, Py_ssize_t n, int slot) noexcept nogil:
        cdef Py_ssize_t i, f
        cdef const real* epsilon = self.epsilon + n * self.f
        cdef const real* w
        cdef vec sum, z, apart
        for i in range(self.c):
            sum, z = splat(0), splat(self.z[n * self.c + i])
            w, f = self.w + i * self.f, 0
            while f < self.f:
                apart = z - load_part(w + f, self.f - f)
                sum = sum + apart * load_part(epsilon + f, self.f - f)
                f += LANES
            self.out[n * self.c + i] = 2 * total(sum)


cdef class DistancesGradient(_Codes):
    """g_if = sum_n 2 (w_if - z_i) epsilon_f"""

    cdef void run(self) noexcept nogil:
        self.share(self.c, self.n * self.c * self.f)

    cdef void part(self, Py_ssize_t i, int slot) noexcept nogil:
        cdef Py_ssize_t n, f = 0
        cdef vec w, apart, sum
        while f < self.f:
            sum, w = splat(0), load_part(self.w + i * self.f + f, self.f - f)
            for n in range(self.n):
                apart = w - splat(self.z[n * self.c + i])
                sum = sum + apart * load_part(self.epsilon + n * self.f + f, self.f - f)
            store_part(self.out + i * self.f + f, splat(2) * sum, self.f - f)
            f += LANES
