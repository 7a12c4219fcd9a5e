"""What a product reads: packed weights, and images with a border.

    Pack     weights -> panels of NR columns
    Border   images -> images with zeros around them
"""

from libc.string cimport memcpy, memset

from minidl._ext.grid cimport numbers
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, NR, real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
COLUMNS = NR


cdef class Pack(Kernel):
    """packed[j][t run + l][:] = w[offset_t + l down + (j NR + :) across]

    Positions beside each other have columns and offsets of their own, side by side."""

    cdef const real* w
    cdef real* packed
    cdef Py_ssize_t taps, length, columns, each, down, across
    cdef Py_ssize_t* offsets

    def __init__(self, w, packed, about, down, across):
        self.columns, self.each = about.filters, about.filters // about.beside
        self.taps = len(about.offsets) // about.beside
        self.length = about.inner // self.taps
        self.down, self.across = down, across
        panels = (self.columns + NR - 1) // NR
        last = max(about.offsets, default=0) + (self.length - 1) * down
        last += (self.each - 1) * across
        if last >= w.size:
            raise ValueError(f"Pack: entry {last} of a w of {w.size}")
        self.offsets = numbers(self, about.offsets)
        self.w = <const real*>self.read(w, KIND)
        self.packed = <real*>self.write(packed, KIND, panels * about.inner * NR)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t panels = (self.columns + NR - 1) // NR
        self.share(panels * self.taps, panels * self.taps * self.length * NR)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t panel = item // self.taps, tap = item % self.taps
        cdef Py_ssize_t l, q, width = min(<Py_ssize_t>NR, self.columns - panel * NR)
        cdef Py_ssize_t wide = LANES if width <= LANES else NR
        cdef Py_ssize_t down = self.down, across = self.across
        cdef Py_ssize_t beside = self.columns // self.each, column, offset, first = 0
        cdef const real* w
        cdef real* into = self.packed + (
            panel * self.taps * NR + tap * wide) * self.length
        if width < wide or beside > 1:
            memset(into, 0, self.length * wide * sizeof(real))
        if beside > 1:
            for q in range(width):
                column = panel * NR + q
                offset = self.offsets[tap * beside + column // self.each]
                w = self.w + offset + column % self.each * across
                for l in range(self.length if offset >= 0 else 0):
                    into[l * wide + q] = w[l * down]
            return
        w = self.w + self.offsets[tap] + panel * NR * across
        if across == 1:
            for l in range(self.length):
                memcpy(into + l * wide, w + l * down, width * sizeof(real))
        else:
            while first < self.length:  # a cache line of each column at a time
                for q in range(width):
                    for l in range(first, min(first + LANES, self.length)):
                        into[l * wide + q] = w[l * down + q * across]
                first += LANES


cdef class Border(Kernel):
    """x = z with zeros around it"""

    cdef const real* z
    cdef real* x
    cdef Py_ssize_t n, h, w, c, top, left, tall, wide

    def __init__(self, z, x, pad):
        self.n, self.h, self.w, self.c = z.shape
        (self.top, bottom), (self.left, right) = pad
        self.tall, self.wide = self.h + self.top + bottom, self.w + self.left + right
        self.z = <const real*>self.read(z, KIND)
        self.x = <real*>self.write(x, KIND, self.n * self.tall * self.wide * self.c)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t lines = self.n * self.tall
        self.share(lines, lines * self.wide * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t image = item // self.tall, y = item % self.tall
        cdef Py_ssize_t one = self.c * sizeof(real)
        cdef real* x = self.x + (image * self.tall + y) * self.wide * self.c
        y -= self.top
        if y < 0 or y >= self.h:
            memset(x, 0, self.wide * one)
            return
        memset(x, 0, self.left * one)
        memcpy(x + self.left * self.c, self.z + (image * self.h + y) * self.w * self.c,
               self.w * one)
        memset(x + (self.left + self.w) * self.c, 0,
               (self.wide - self.left - self.w) * one)
