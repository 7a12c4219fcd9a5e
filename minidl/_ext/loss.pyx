"""Losses that compare number with number: squared error, binary cross-entropy."""

from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.math cimport exp, log1p, sigmoid
from minidl._ext.simd cimport (
    LANES, first, less, load, load_part, magnitude, pick, real, splat, store_part,
    total, vec,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    SPAN = 4096  # numbers summed in a vector, before they go into a double


cdef class _Mean(Kernel):
    """x = the mean of `loss` over all numbers, summed in a fixed partition"""

    cdef const real* z
    cdef const real* target
    cdef real* x
    cdef Py_ssize_t size, spans, parts
    cdef double sums[16]  # `parts` gives no more

    def __init__(self, z, target, x):
        self.size = z.size
        self.spans = (self.size + SPAN - 1) // SPAN
        self.parts = parts(self.spans, self.size)
        self.z = <const real*>self.read(z, KIND)
        self.target = <const real*>self.read(target, KIND, self.size)
        self.x = <real*>self.write(x, KIND, 1)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        cdef double sum = 0
        self.share(self.parts, self.size)
        for p in range(self.parts):
            sum += self.sums[p]
        self.x[0] = <real>(sum / self.size)

    cdef void part(self, Py_ssize_t p, int slot) noexcept nogil:
        cdef Py_ssize_t s
        cdef double sum = 0
        for s in range(self.spans * p // self.parts,
                       self.spans * (p + 1) // self.parts):
            sum += self.span(s * SPAN, min(s * SPAN + SPAN, self.size))
        self.sums[p] = sum

    cdef real span(self, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
        cdef Py_ssize_t i = begin, n
        cdef vec loss, sum = splat(0)
        while i + LANES <= end:
            sum = sum + self.loss(load(self.z + i), load(self.target + i))
            i += LANES
        if i < end:
            n = end - i
            loss = self.loss(load_part(self.z + i, n), load_part(self.target + i, n))
            sum = sum + first(loss, n)
        return total(sum)

    cdef vec loss(self, vec z, vec target) noexcept nogil:
        return splat(0)


cdef class _MeanAdjoint(Kernel):
    """delta = slope(z, target) epsilon / size"""

    cdef const real* epsilon
    cdef const real* z
    cdef const real* target
    cdef real* delta
    cdef Py_ssize_t size

    def __init__(self, epsilon, z, target, delta):
        self.size = z.size
        self.epsilon = <const real*>self.read(epsilon, KIND, 1)
        self.z = <const real*>self.read(z, KIND)
        self.target = <const real*>self.read(target, KIND, self.size)
        self.delta = <real*>self.write(delta, KIND, self.size)

    cdef void run(self) noexcept nogil:
        self.share((self.size + SPAN - 1) // SPAN, self.size)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef Py_ssize_t i = item * SPAN, end = min(i + SPAN, self.size), n
        cdef vec share = splat(self.epsilon[0] / self.size), slope
        while i < end:
            n = end - i
            slope = self.slope(load_part(self.z + i, n), load_part(self.target + i, n))
            store_part(self.delta + i, share * slope, n)
            i += LANES

    cdef vec slope(self, vec z, vec target) noexcept nogil:
        return splat(0)


cdef class MeanSquaredError(_Mean):
    """loss = (z - target)^2"""

    cdef vec loss(self, vec z, vec target) noexcept nogil:
        return (z - target) * (z - target)


cdef class MeanSquaredErrorAdjoint(_MeanAdjoint):
    """slope = 2 (z - target); that of the target with the two exchanged"""

    cdef vec slope(self, vec z, vec target) noexcept nogil:
        return splat(2) * (z - target)


cdef class BinaryCrossEntropy(_Mean):
    """loss = max(z, 0) - z target + log(1 + e^-|z|)"""

    cdef vec loss(self, vec z, vec target) noexcept nogil:
        cdef vec high = pick(less(z, splat(0)), splat(0), z)
        return high - z * target + log1p(exp(-magnitude(z)))


cdef class BinaryCrossEntropyAdjoint(_MeanAdjoint):
    """slope = sigmoid(z) - target"""

    cdef vec slope(self, vec z, vec target) noexcept nogil:
        return sigmoid(z) - target


cdef class BinaryCrossEntropyTarget(_MeanAdjoint):
    """slope = -z, that of the target"""

    cdef vec slope(self, vec z, vec target) noexcept nogil:
        return -z
