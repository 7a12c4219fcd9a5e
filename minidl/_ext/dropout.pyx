"""Dropout: numbers that a counter decides, so that they can be drawn again."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    SPAN = 8192  # numbers that a thread takes at a time; divides 2^32


cdef inline uint64_t mixed(uint64_t k) noexcept nogil:
    """64 bits that look like chance, from k (the last step of splitmix64)"""
    k += <uint64_t>0x9E3779B97F4A7C15
    k = (k ^ (k >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    k = (k ^ (k >> 27)) * <uint64_t>0x94D049BB133111EB
    return k ^ (k >> 31)


cdef inline uint32_t chance(uint32_t i, uint32_t first, uint32_t second) noexcept nogil:
    """32 bits for the number i of a draw, which has two keys"""
    i = (i ^ first) * <uint32_t>0x9E3779B1
    i = ((i ^ (i >> 16)) + second) * <uint32_t>0x7FEB352D
    i = (i ^ (i >> 15)) * <uint32_t>0x846CA68B
    return i ^ (i >> 16)


cdef class Drop(Kernel):
    """x_i = z_i / (1 - rate) where chance allows it, else 0 z_i"""

    cdef const real* z
    cdef const int64_t* draw
    cdef real* x
    cdef Py_ssize_t size
    cdef uint32_t below  # of this many in 2^32 chances a number is dropped
    cdef real scale

    def __init__(self, z, x, draw, double rate):
        self.size = x.size
        self.z = <const real*>self.read(z, KIND, self.size)
        self.x = <real*>self.write(x, KIND)
        self.draw = <const int64_t*>self.read(draw, "q", 1)
        self.below = <uint32_t>(rate * 4294967296.0)
        self.scale = 1 / (1 - rate)

    cdef void run(self) noexcept nogil:
        self.share((self.size + SPAN - 1) // SPAN, self.size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t begin = item * SPAN, n = min(SPAN, self.size - begin)
        cdef uint64_t key = mixed(<uint64_t>self.draw[0])
        cdef uint64_t keys = mixed(key + (<uint64_t>begin >> 32))
        cdef uint32_t first = <uint32_t>keys, second = <uint32_t>(keys >> 32)
        cdef uint32_t low = <uint32_t>begin, i, below = self.below
        cdef real scale = self.scale, zero = 0
        cdef const real* z = self.z + begin
        cdef real* x = self.x + begin
        for i in range(<uint32_t>n):
            x[i] = z[i] * (zero if chance(low + i, first, second) < below else scale)


cdef class Draw(Kernel):
    """draw = draws, and one more is counted"""

    cdef int64_t* draws
    cdef int64_t* draw

    def __init__(self, draws, draw):
        self.draws = <int64_t*>self.write(draws, "q", 1)
        self.draw = <int64_t*>self.write(draw, "q", 1)

    cdef void run(self) noexcept nogil:
        self.draw[0] = self.draws[0]
        self.draws[0] += 1
