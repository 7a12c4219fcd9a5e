"""Softmax over channels, and the losses that stand on it: cross-entropy and hinge.

A label out of range reads and writes nothing beyond its row: its loss is NaN.
"""

from libc.math cimport NAN, log

from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.math cimport exp
from minidl._ext.simd cimport (
    LANES, before, first, largest, less, load_part, pick, real, splat, store_part,
    total, vec,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"


cdef inline real highest(const real* z, Py_ssize_t c) noexcept nogil:
    """max z over c channels"""
    cdef Py_ssize_t i = 0
    cdef vec v, m = splat(z[0])
    while i < c:
        v = load_part(z + i, c - i)
        m = pick(before(c - i), pick(less(m, v), v, m), m)
        i += LANES
    return largest(m)


cdef inline real exponentials(
    const real* z, real* x, Py_ssize_t c, real top
) noexcept nogil:
    """sum e^(z - top), and each of them in x if there is one"""
    cdef Py_ssize_t i = 0
    cdef vec e, sum = splat(0)
    while i < c:
        e = exp(load_part(z + i, c - i) - splat(top))
        sum = sum + first(e, c - i)
        if x != NULL:
            store_part(x + i, e, c - i)
        i += LANES
    return total(sum)


cdef class _Rows(Kernel):
    """The frame of what treats the channels of each position by itself"""

    cdef Py_ssize_t rows, c

    cdef int measure(self, z) except -1:
        self.c = z.shape[z.ndim - 1]
        self.rows = z.size // max(self.c, 1)
        return 0

    cdef void run(self) noexcept nogil:
        self.share(self.rows, self.rows * self.c)


cdef class Softmax(_Rows):
    """x = e^(z - m) / sum e^(z - m), m = max z"""

    cdef const real* z
    cdef real* x

    def __init__(self, z, x):
        self.measure(x)
        self.z = <const real*>self.read(z, KIND, x.size)
        self.x = <real*>self.write(x, KIND)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i, c = self.c
        cdef const real* z = self.z + row * c
        cdef real* x = self.x + row * c
        cdef real share = 1 / exponentials(z, x, c, highest(z, c))
        for i in range(c):
            x[i] *= share


cdef class SoftmaxAdjoint(_Rows):
    """delta = x (epsilon - sum epsilon x)"""

    cdef const real* epsilon
    cdef const real* x
    cdef real* delta

    def __init__(self, epsilon, x, delta):
        self.measure(x)
        self.epsilon = <const real*>self.read(epsilon, KIND, x.size)
        self.x = <const real*>self.read(x, KIND)
        self.delta = <real*>self.write(delta, KIND, x.size)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i = 0, c = self.c
        cdef const real* epsilon = self.epsilon + row * c
        cdef const real* x = self.x + row * c
        cdef real* delta = self.delta + row * c
        cdef vec e, dot = splat(0)
        while i < c:
            dot = dot + load_part(epsilon + i, c - i) * load_part(x + i, c - i)
            i += LANES
        dot, i = splat(total(dot)), 0
        while i < c:
            e = load_part(epsilon + i, c - i) - dot
            store_part(delta + i, e * load_part(x + i, c - i), c - i)
            i += LANES


cdef class _Labelled(Kernel):
    """x = the mean of `loss` over all rows, in a fixed partition"""

    cdef const real* z
    cdef const long long* labels
    cdef real* x
    cdef Py_ssize_t rows, c, parts
    cdef double sums[16]  # `parts` gives no more

    cdef int bind(self, z, labels, x) except -1:
        self.c = z.shape[z.ndim - 1]
        self.rows = labels.size
        self.parts = parts(self.rows, self.rows * self.c)
        self.z = <const real*>self.read(z, KIND, self.rows * self.c)
        self.labels = <const long long*>self.read(labels, "q")
        self.x = <real*>self.write(x, KIND, 1)
        return 0

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        cdef double sum = 0
        self.share(self.parts, self.rows * self.c)
        for p in range(self.parts):
            sum += self.sums[p]
        self.x[0] = <real>(sum / self.rows)

    cdef void part(self, Py_ssize_t p, int slot) noexcept nogil:
        cdef Py_ssize_t row
        cdef double sum = 0
        cdef long long label
        for row in range(self.rows * p // self.parts,
                         self.rows * (p + 1) // self.parts):
            label = self.labels[row]
            if 0 <= label < self.c:
                sum += self.loss(row, self.z + row * self.c, label)
            else:
                sum += NAN
        self.sums[p] = sum

    cdef double loss(
        self, Py_ssize_t row, const real* z, Py_ssize_t label
    ) noexcept nogil:
        return 0


cdef class _LabelledAdjoint(_Rows):
    """delta of each row, given epsilon / rows"""

    cdef const real* epsilon
    cdef const real* z
    cdef const long long* labels
    cdef real* delta

    cdef int bind(self, epsilon, z, labels, delta) except -1:
        self.measure(z)
        self.epsilon = <const real*>self.read(epsilon, KIND, 1)
        self.z = <const real*>self.read(z, KIND)
        self.labels = <const long long*>self.read(labels, "q", self.rows)
        self.delta = <real*>self.write(delta, KIND, z.size)
        return 0

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i, label = self.labels[row], c = self.c
        cdef real* delta = self.delta + row * c
        if 0 <= label < c:
            self.slope(row, self.z + row * c, label, delta, self.epsilon[0] / self.rows)
        else:
            for i in range(c):
                delta[i] = NAN

    cdef void slope(
        self, Py_ssize_t row, const real* z, Py_ssize_t label, real* delta, real share
    ) noexcept nogil:
        pass


cdef class SoftmaxCrossEntropy(_Labelled):
    """loss = log sum e^(z - m) + (1 - smoothing) (m - z_label) + smoothing (m - mean z)

    The tape keeps m = max z and 1 / sum e^(z - m).
    """

    cdef real* tape
    cdef double smoothing

    def __init__(self, z, labels, x, tape, double smoothing):
        self.bind(z, labels, x)
        self.tape = <real*>self.write(tape, KIND, 2 * self.rows)
        self.smoothing = smoothing

    cdef double loss(
        self, Py_ssize_t row, const real* z, Py_ssize_t label
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef real top = highest(z, self.c)
        cdef real sum = exponentials(z, NULL, self.c, top)
        cdef double below = 0
        self.tape[2 * row] = top
        self.tape[2 * row + 1] = 1 / sum
        if self.smoothing > 0:
            for i in range(self.c):
                below += top - z[i]
            below *= self.smoothing / self.c
        return log(sum) + (1 - self.smoothing) * (top - z[label]) + below


cdef class SoftmaxCrossEntropyAdjoint(_LabelledAdjoint):
    """delta = (softmax z - (1 - smoothing) [label] - smoothing / c) epsilon / rows"""

    cdef const real* tape
    cdef double smoothing

    def __init__(self, epsilon, z, labels, tape, delta, double smoothing):
        self.bind(epsilon, z, labels, delta)
        self.tape = <const real*>self.read(tape, KIND, 2 * self.rows)
        self.smoothing = smoothing

    cdef void slope(
        self, Py_ssize_t row, const real* z, Py_ssize_t label, real* delta, real share
    ) noexcept nogil:
        cdef Py_ssize_t i, c = self.c
        cdef real factor = share * self.tape[2 * row + 1]
        cdef real shift = <real>(-share * self.smoothing / c)
        exponentials(z, delta, c, self.tape[2 * row])
        for i in range(c):
            delta[i] = factor * delta[i] + shift
        delta[label] -= <real>(share * (1 - self.smoothing))


cdef class SoftCrossEntropy(_Rows):
    """x = the mean over rows of (sum q) (m + log sum e^(z - m)) - sum q z

    The tape keeps m = max z and 1 / sum e^(z - m). A thread has rows of its own, and
    the sums of 16 parts are added in order.
    """

    cdef const real* z
    cdef const real* q
    cdef real* x
    cdef real* tape
    cdef Py_ssize_t parts
    cdef double sums[16]

    def __init__(self, z, q, x, tape):
        self.measure(z)
        self.parts = parts(self.rows, z.size)
        self.z = <const real*>self.read(z, KIND)
        self.q = <const real*>self.read(q, KIND, z.size)
        self.x = <real*>self.write(x, KIND, 1)
        self.tape = <real*>self.write(tape, KIND, 2 * self.rows)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        cdef double sum = 0
        self.share(self.parts, self.rows * self.c)
        for p in range(self.parts):
            sum += self.sums[p]
        self.x[0] = <real>(sum / self.rows)

    cdef void part(self, Py_ssize_t p, int slot) noexcept nogil:
        cdef Py_ssize_t row, i
        cdef const real* z
        cdef const real* q
        cdef real top, sum
        cdef double loss = 0, all, below
        for row in range(self.rows * p // self.parts,
                         self.rows * (p + 1) // self.parts):
            z, q = self.z + row * self.c, self.q + row * self.c
            top = highest(z, self.c)
            sum = exponentials(z, NULL, self.c, top)
            self.tape[2 * row] = top
            self.tape[2 * row + 1] = 1 / sum
            all = below = 0
            for i in range(self.c):
                all += q[i]
                below += q[i] * (top - z[i])
            loss += all * log(sum) + below
        self.sums[p] = loss


cdef class SoftCrossEntropyAdjoint(_Rows):
    """delta_z = (softmax z (sum q) - q) epsilon / rows

    delta_q = (m + log sum e^(z - m) - z) epsilon / rows. Either may be None.
    """

    cdef const real* epsilon
    cdef const real* z
    cdef const real* q
    cdef const real* tape
    cdef real* delta
    cdef real* delta_q

    def __init__(self, epsilon, z, q, tape, delta, delta_q):
        self.measure(z)
        self.epsilon = <const real*>self.read(epsilon, KIND, 1)
        self.z = <const real*>self.read(z, KIND)
        self.q = <const real*>self.read(q, KIND, z.size)
        self.tape = <const real*>self.read(tape, KIND, 2 * self.rows)
        self.delta = <real*>self.write(delta, KIND, z.size)
        self.delta_q = <real*>self.write(delta_q, KIND, z.size)

    cdef void part(self, Py_ssize_t row, int slot) noexcept nogil:
        cdef Py_ssize_t i, at = row * self.c
        cdef real share = self.epsilon[0] / self.rows, all = 0, level
        if self.delta != NULL:
            for i in range(self.c):
                all += self.q[at + i]
            exponentials(self.z + at, self.delta + at, self.c, self.tape[2 * row])
            all *= share * self.tape[2 * row + 1]
            for i in range(self.c):
                self.delta[at + i] = all * self.delta[at + i] - share * self.q[at + i]
        if self.delta_q != NULL:
            level = self.tape[2 * row] - <real>log(self.tape[2 * row + 1])
            for i in range(self.c):
                self.delta_q[at + i] = share * (level - self.z[at + i])


cdef class Hinge(_Labelled):
    """loss = sum max(0, z_j - z_label + margin) over all j but the label"""

    cdef double margin

    def __init__(self, z, labels, x, double margin):
        self.bind(z, labels, x)
        self.margin = margin

    cdef double loss(
        self, Py_ssize_t row, const real* z, Py_ssize_t label
    ) noexcept nogil:
        cdef Py_ssize_t j
        cdef double sum = 0, excess
        for j in range(self.c):
            excess = self.margin + z[j] - z[label]
            if j != label and not excess <= 0:
                sum += excess
        return sum


cdef class HingeAdjoint(_LabelledAdjoint):
    """delta_j = share where z_j - z_label + margin > 0, delta_label = -(their sum)"""

    cdef double margin

    def __init__(self, epsilon, z, labels, delta, double margin):
        self.bind(epsilon, z, labels, delta)
        self.margin = margin

    cdef void slope(
        self, Py_ssize_t row, const real* z, Py_ssize_t label, real* delta, real share
    ) noexcept nogil:
        cdef Py_ssize_t j
        cdef real count = 0
        for j in range(self.c):
            delta[j] = 0
            if j != label and not self.margin + z[j] - z[label] <= 0:
                delta[j] = share
                count += 1
        delta[label] = -count * share
