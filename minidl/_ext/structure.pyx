# cython: wraparound=True
"""Entries from one place to another: pad, crop, transpose, concatenate."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.string cimport memcpy

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport real

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    AXES = 8
    LONG = 8192  # entries of a tile that is copied
    SIDE = 64  # sides of a tile that is transposed: 16 KB of float32


cdef class Move(Kernel):
    """x = z for two views of one shape, with any strides (0 repeats an entry).

    Axes that are one run of memory in both become one. What remains is cut into tiles
    over two axes, a and b; b is the last of x, and a, where it can, is that along which
    z is contiguous.
    """

    cdef const real* z
    cdef real* x
    cdef int axes
    cdef Py_ssize_t size[AXES]
    cdef Py_ssize_t z_step[AXES]
    cdef Py_ssize_t x_step[AXES]
    cdef Py_ssize_t tile_a, tile_b  # how many entries a tile has along a and b
    cdef Py_ssize_t across, down, outer  # how many tiles along b and a; other axes

    def __init__(self, z, x):
        if z.shape != x.shape:
            raise ValueError(f"Move: from shape {z.shape} to {x.shape}")
        self.z = <const real*>self.view(z, False)
        self.x = <real*>self.view(x, True)
        axes = self.joined(
            [(n, s // sizeof(real), t // sizeof(real))
             for n, s, t in zip(x.shape, z.strides, x.strides)])
        for at, (_, step, _) in enumerate(axes[:-1]):
            if step == 1 and axes[-1][1] != 1:
                axes.insert(-1, axes.pop(at))
                break
        axes = [(1, 0, 0)] * (2 - len(axes)) + axes
        if len(axes) > AXES:
            raise ValueError(f"Move: {len(axes)} axes, at most {AXES}")
        self.axes = len(axes) - 2
        for at, (n, step, to) in enumerate(axes):
            self.size[at], self.z_step[at], self.x_step[at] = n, step, to
        a, b = axes[-2], axes[-1]
        turned = a[1] == 1 and b[1] != 1
        self.tile_b = max(1, min(b[0], SIDE if turned else LONG))
        self.tile_a = SIDE if turned else LONG // self.tile_b
        self.across = (b[0] + self.tile_b - 1) // self.tile_b
        self.down = (a[0] + self.tile_a - 1) // self.tile_a
        self.outer = 1
        for n, *_ in axes[:-2]:
            self.outer *= n

    cdef void* view(self, array, bint write) except NULL:
        cdef Py_buffer found
        PyObject_GetBuffer(
            array, &found,
            PyBUF_STRIDES | PyBUF_FORMAT | (PyBUF_WRITABLE if write else 0))
        given, address = found.format.decode(), <size_t>found.buf
        PyBuffer_Release(&found)
        if given != KIND:
            raise ValueError(f"Move: expected entries of type {KIND!r}, got {given!r}")
        self.arrays = [*(self.arrays or ()), array]
        return <void*><size_t>address

    def joined(self, axes):
        """The axes (size, step in z, step in x) without those of size 1, neighbours
        made one where both steps allow."""
        found = []
        for n, step, to in axes:
            if n == 1:
                continue
            if found and found[-1][1:] == (step * n, to * n):
                n *= found.pop()[0]
            found.append((n, step, to))
        return found

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t count = self.outer * self.down * self.across
        self.share(count, count * self.tile_a * self.tile_b)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef int a = self.axes, b = self.axes + 1, axis
        cdef Py_ssize_t j0 = item % self.across * self.tile_b
        cdef Py_ssize_t rest = item // self.across
        cdef Py_ssize_t i0 = rest % self.down * self.tile_a
        cdef Py_ssize_t rows = min(self.tile_a, self.size[a] - i0)
        cdef Py_ssize_t columns = min(self.tile_b, self.size[b] - j0)
        cdef Py_ssize_t z_row = self.z_step[a], x_row = self.x_step[a]
        cdef Py_ssize_t z_step = self.z_step[b], x_step = self.x_step[b], i, j
        cdef const real* z = self.z + i0 * z_row + j0 * z_step
        cdef real* x = self.x + i0 * x_row + j0 * x_step
        cdef real value
        rest //= self.down
        for axis in range(self.axes - 1, -1, -1):
            z += rest % self.size[axis] * self.z_step[axis]
            x += rest % self.size[axis] * self.x_step[axis]
            rest //= self.size[axis]
        if z_step == 1 and x_step == 1 and columns >= 16:
            for i in range(rows):
                memcpy(x + i * x_row, z + i * z_row, columns * sizeof(real))
        elif z_step == 0 and x_step == 1:
            for i in range(rows):
                value = z[i * z_row]
                for j in range(columns):
                    x[i * x_row + j] = value
        elif columns == 1:
            for i in range(rows):
                x[i * x_row] = z[i * z_row]
        else:
            for i in range(rows):
                for j in range(columns):
                    x[i * x_row + j * x_step] = z[i * z_row + j * z_step]
