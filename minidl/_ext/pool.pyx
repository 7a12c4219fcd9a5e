"""Max pooling and its adjoints.

A vector holds LANES channels of one pixel. Forward gathers a window into a vector of x;
an adjoint gathers, for a pixel of z, the windows that cover it: so every output is
written once, by one thread, in a fixed order.
"""

from libc.math cimport INFINITY

from minidl._ext.finish cimport Finish, ended, finish_of
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, pick, real, splat, vec, vmask
from minidl._ext.window cimport (
    Frame, Run, beats, covering, cuts, follow, give, holds, lanes, meets, pack, stands,
    take, tap, taps, vectors,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    WORD = 8 * sizeof(real)


cdef inline Py_ssize_t words(Py_ssize_t count, Py_ssize_t bits) noexcept nogil:
    """How many words hold `count` numbers of `bits` bits"""
    return (count * bits + WORD - 1) // WORD


cdef class Pooling(Kernel):
    """Rows of x, or of z in an adjoint, each cut into `cuts` runs of vectors."""

    cdef Frame f
    cdef Py_ssize_t rows, cuts, work, inputs, outputs

    cdef int measure(self, frame, bint adjoint) except -1:
        self.f = frame
        self.rows = self.f.n * (self.f.h.size if adjoint else self.f.h.count)
        self.cuts = cuts(self.rows, self.f.c)
        self.inputs = self.f.n * self.f.h.size * self.f.w.size * self.f.c
        self.outputs = self.f.n * self.f.h.count * self.f.w.count * self.f.c
        self.work = self.inputs + self.outputs
        return 0

    cdef void run(self) noexcept nogil:
        self.share(self.rows * self.cuts, self.work)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        self.row(item // self.cuts, vectors(item % self.cuts, self.cuts, self.f.c))

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        pass


cdef class MaxPool(Pooling):
    """x = the largest of the window; seats = its taps, if there is an array for them.

    A seat takes `bits` bits of a word as large as a number, so that a word holds those
    of windows side by side: seats[n, h, w // (WORD / bits), c]. Of equal values the
    last visited stays, so the first is found by going backwards.
    """

    cdef const real* z
    cdef real* x
    cdef real* seats
    cdef int bits
    cdef bint first

    def __init__(self, z, x, seats, bits, first, frame):
        self.measure(frame, False)
        size = self.f.n * self.f.h.count * words(self.f.w.count, bits) * self.f.c
        self.z = <const real*>self.read(z, KIND, self.inputs)
        self.x = <real*>self.write(x, KIND, self.outputs)
        self.seats = <real*>self.write(seats, KIND, size)
        self.bits = bits
        self.first = first

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Py_ssize_t wide = words(self.f.w.count, self.bits) * self.f.c
        if self.seats == NULL:
            largest(self.z, self.x, NULL, 0, self.first, self.f, row, k)
        else:
            largest(self.z, self.x, self.seats + row * wide, self.bits, self.first,
                    self.f, row, k)


cdef inline void largest(
    const real* z, real* x, real* seats, int bits, bint first, Frame f,
    Py_ssize_t row, Run k,
) noexcept nogil:
    """A row of windows, with the seats of this row"""
    cdef Py_ssize_t i = row % f.h.count, j, c, n, a, b
    cdef Run r = taps(&f.h, i), s
    cdef vec v, best, seat
    cdef vmask won
    cdef real* word = NULL
    cdef int low = 0
    z += (row // f.h.count * f.h.size + i * f.h.stride - f.h.before) * f.w.size * f.c
    for j in range(f.w.count):
        s = taps(&f.w, j)
        if seats != NULL:
            low, word = j * bits % WORD, seats + j * bits // WORD * f.c
        for c in range(k.first, k.end):
            c = c * LANES
            n = min(LANES, f.c - c)
            best, seat = splat(-INFINITY), lanes(0)
            for a in range(r.first, r.end):
                a = r.first + r.end - 1 - a if first else a
                for b in range(s.first, s.end):
                    b = s.first + s.end - 1 - b if first else b
                    i = stands(&f, a, b) + j * f.w.stride - f.w.before
                    v = take(z + i * f.c + c, n)
                    won = beats(v, best)
                    best = pick(won, v, best)
                    if seats != NULL:
                        seat = pick(won, lanes(a * f.w.kernel + b), seat)
            give(x + (row * f.w.count + j) * f.c + c, best, n)
            if seats != NULL:
                if low:
                    seat = pack(take(word + c, n), seat, low)
                give(word + c, seat, n)


cdef class MaxPoolAdjoint(Pooling):
    """delta = the sum of act'(x) epsilon over the windows that have their maximum here

    act is an activation that made z, and so x, which is tail.behind."""

    cdef const real* epsilon
    cdef const real* seats
    cdef real* delta
    cdef Finish end
    cdef int bits

    def __init__(self, epsilon, seats, bits, delta, frame, tail=None):
        self.measure(frame, True)
        size = self.f.n * self.f.h.count * words(self.f.w.count, bits) * self.f.c
        self.epsilon = <const real*>self.read(epsilon, KIND, self.outputs)
        self.seats = <const real*>self.read(seats, KIND, size)
        self.delta = <real*>self.write(delta, KIND, self.inputs)
        self.end = finish_of(self, KIND, None, tail, 0)
        self.bits = bits

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t p = row % f.h.size, q, c, n, i, j, a, b
        cdef Py_ssize_t above = row // f.h.size * f.h.count, bits = self.bits
        cdef Py_ssize_t wide = words(f.w.count, bits) * f.c
        cdef Run y = covering(&f.h, p), x = covering(&f.w, 0)
        cdef vec total, word, e
        cdef vmask here
        cdef Py_ssize_t first = above * f.w.count * f.c, at
        cdef const real* seats = self.seats + above * wide
        cdef real* delta = self.delta + row * f.w.size * f.c
        for q in range(f.w.size):
            follow(&f.w, q, &x)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                total = splat(0)
                for i in range(y.first, y.end):
                    a = tap(&f.h, p, i)
                    for j in range(x.first, x.end):
                        b = tap(&f.w, q, j)
                        if a < 0 or b < 0:
                            continue
                        word = take(seats + i * wide + j * bits // WORD * f.c + c, n)
                        here = holds(word, a * f.w.kernel + b, j * bits % WORD, bits)
                        at = first + (i * f.w.count + j) * f.c + c
                        e = take(self.epsilon + at, n)
                        e = ended(&self.end, e, splat(1), splat(0), at, n)
                        total = total + pick(here, e, splat(0))
                give(delta + q * f.c + c, total, n)


cdef class MaxPoolAllAdjoint(Pooling):
    """delta = the sum of epsilon over the windows whose maximum is as large as z"""

    cdef const real* epsilon
    cdef const real* z
    cdef const real* x
    cdef real* delta

    def __init__(self, epsilon, z, x, delta, frame):
        self.measure(frame, True)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.outputs)
        self.z = <const real*>self.read(z, KIND, self.inputs)
        self.x = <const real*>self.read(x, KIND, self.outputs)
        self.delta = <real*>self.write(delta, KIND, self.inputs)

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t p = row % f.h.size, q, c, n, i, j, o
        cdef Run y = covering(&f.h, p), x = covering(&f.w, 0)
        cdef vec total, v
        for q in range(f.w.size):
            follow(&f.w, q, &x)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                total = splat(0)
                v = take(self.z + (row * f.w.size + q) * f.c + c, n)
                for i in range(y.first, y.end):
                    for j in range(x.first, x.end):
                        if tap(&f.h, p, i) < 0 or tap(&f.w, q, j) < 0:
                            continue
                        o = row // f.h.size * f.h.count + i
                        o = (o * f.w.count + j) * f.c + c
                        total = total + pick(meets(v, take(self.x + o, n)),
                                             take(self.epsilon + o, n), splat(0))
                give(self.delta + (row * f.w.size + q) * f.c + c, total, n)


cdef class MaxPoolShare(Pooling):
    """even = epsilon / how many of the window are its maximum x"""

    cdef const real* epsilon
    cdef const real* z
    cdef const real* x
    cdef real* even

    def __init__(self, epsilon, z, x, even, frame):
        self.measure(frame, False)
        self.epsilon = <const real*>self.read(epsilon, KIND, self.outputs)
        self.z = <const real*>self.read(z, KIND, self.inputs)
        self.x = <const real*>self.read(x, KIND, self.outputs)
        self.even = <real*>self.write(even, KIND, self.outputs)

    cdef void row(self, Py_ssize_t row, Run k) noexcept nogil:
        cdef Frame f = self.f
        cdef Py_ssize_t i = row % f.h.count, j, c, n, a, b, o
        cdef Run r = taps(&f.h, i), s
        cdef vec count, v, best
        cdef const real* z = self.z + f.w.size * f.c * (
            row // f.h.count * f.h.size + i * f.h.stride - f.h.before)
        for j in range(f.w.count):
            s = taps(&f.w, j)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                o = (row * f.w.count + j) * f.c + c
                best, count = take(self.x + o, n), splat(0)
                for a in range(r.first, r.end):
                    for b in range(s.first, s.end):
                        i = stands(&f, a, b) + j * f.w.stride - f.w.before
                        v = take(z + i * f.c + c, n)
                        count = count + pick(meets(v, best), splat(1), splat(0))
                give(self.even + o, take(self.epsilon + o, n) / count, n)
