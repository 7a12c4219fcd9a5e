"""Pixels to numbers around 0: each channel has a factor and a summand of its own."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, load_part, real, store_part, vec

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    SPAN = 256  # periods that a thread takes at a time


cdef class Normalise(Kernel):
    """x = scale z + shift by channel; z holds real numbers or bytes

    `scale` and `shift` are repeated to 16 c entries, which are whole vectors at any
    level, and of which each meets its own channels.
    """

    cdef const real* z
    cdef const unsigned char* bytes
    cdef const real* scale
    cdef const real* shift
    cdef real* x
    cdef Py_ssize_t size, period

    def __init__(self, z, x, scale, shift):
        self.size = x.size
        self.period = scale.size
        if not self.period or self.period % 16 or x.size % (self.period // 16):
            raise ValueError(f"Normalise: {scale.size} factors for {x.shape}")
        if z.dtype.char == "B":
            self.bytes = <const unsigned char*>self.read(z, "B", x.size)
        else:
            self.z = <const real*>self.read(z, KIND, x.size)
        self.scale = <const real*>self.read(scale, KIND)
        self.shift = <const real*>self.read(shift, KIND, scale.size)
        self.x = <real*>self.write(x, KIND)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t span = SPAN * self.period
        self.share((self.size + span - 1) // span, self.size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t period = self.period, i = item * SPAN * period, j, k, n
        cdef Py_ssize_t end = min(self.size, i + SPAN * period)
        cdef real pixels[16]
        cdef vec v
        while i < end:
            j = 0
            while j < period and i + j < end:
                n = min(end - i - j, LANES)
                if self.bytes != NULL:
                    for k in range(n):
                        pixels[k] = self.bytes[i + j + k]
                    v = load_part(pixels, n)
                else:
                    v = load_part(self.z + i + j, n)
                v = load_part(self.scale + j, LANES) * v
                store_part(self.x + i + j, v + load_part(self.shift + j, LANES), n)
                j += LANES
            i += period
