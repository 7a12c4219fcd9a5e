"""Max pooling and its adjoints.

A vector holds LANES channels of one pixel. Forward gathers a window into a vector of x;
an adjoint goes, for a row of z, over the windows that cover it: so every row is written
by one thread, in a fixed order.
"""

from libc.math cimport INFINITY

from minidl._ext.finish cimport Finish, ended, finish_of
from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, pick, real, splat, vec
from minidl._ext.window cimport (
    Frame, Run, challenge, climb, covering, cuts, follow, give, lanes, meets, pack,
    plus_where, stands, summit, take, tap, taps, unpack, vectors,
)

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    WORD = 8 * sizeof(real)
    ROW = 2048  # numbers of a row that the stack holds


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
            tops(self.z, self.x, &self.f, row, k)
        else:
            largest(self.z, self.x, self.seats + row * wide, self.bits, self.first,
                    self.f, row, k)


cdef inline void tops(
    const real* z, real* x, const Frame* f, Py_ssize_t row, Run k
) noexcept nogil:
    """A row of windows, without seats. Where channels fill no vector, the rows of z
    become one first, all of it in whole vectors."""
    cdef Py_ssize_t i = row % f.h.count, a, n, size = f.w.size * f.c, at = 0
    cdef Py_ssize_t line = f.h.dilation * size
    cdef Run r = taps(&f.h, i)
    cdef vec best, odd
    cdef real one[ROW]
    z += (row // f.h.count * f.h.size + i * f.h.stride - f.h.before) * size
    x += row * f.w.count * f.c
    if f.c < LANES and size <= ROW:
        while at < size:
            n = min(LANES, size - at)
            best, odd = splat(-INFINITY), splat(0)
            for a in range(r.first, r.end):
                climb(take(z + a * line + at, n), &best, &odd)
            give(one + at, summit(best, odd), n)
            at += LANES
        z, r.first, r.end = one, 0, 1
    at = (f.w.count - 1) * f.w.stride + f.w.dilation  # the last entry read
    if f.w.kernel == 2 and f.w.before == 0 and at < f.w.size:
        across(2, z, r, line, x, f, k)
    else:
        across(0, z, r, line, x, f, k)


cdef inline void across(
    const int kernel, const real* z, Run r, Py_ssize_t line, real* x, const Frame* f,
    Run k
) noexcept nogil:
    """The windows of a row, over rows r of z, which lie `line` apart; all of them
    inside if their kernel is known before"""
    cdef Py_ssize_t j, c, n, a, step = f.w.dilation * f.c
    cdef Py_ssize_t b, across = f.w.stride * f.c, one = f.c
    cdef Run s
    cdef vec best, odd
    cdef const real* window
    z -= f.w.before * f.c
    s.first, s.end = 0, kernel
    for j in range(f.w.count):
        if kernel == 0:
            s = taps(&f.w, j)
        for c in range(k.first, k.end):
            n = min(LANES, one - c * LANES)
            best, odd = splat(-INFINITY), splat(0)
            for a in range(r.first, r.end):
                window = z + a * line + c * LANES
                for b in range(s.first, s.end):
                    climb(take(window + b * step, n), &best, &odd)
            give(x + c * LANES, summit(best, odd), n)
        z, x = z + across, x + one


cdef inline void largest(
    const real* z, real* x, real* seats, int bits, bint first, Frame f,
    Py_ssize_t row, Run k,
) noexcept nogil:
    """A row of windows, with its seats: as many at a time as a word holds"""
    cdef Py_ssize_t i = row % f.h.count, j = 0, end, c, n, a, b, side = WORD // bits
    cdef Run r = taps(&f.h, i), s
    cdef vec v, best, seat, word
    cdef const real* window
    z += (row // f.h.count * f.h.size + i * f.h.stride - f.h.before) * f.w.size * f.c
    z -= f.w.before * f.c
    x += row * f.w.count * f.c
    while j < f.w.count:
        end = min(j + side, f.w.count)
        for c in range(k.first, k.end):
            c = c * LANES
            n = min(LANES, f.c - c)
            word = lanes(0)
            for i in range(j, end):
                s = taps(&f.w, i)
                best, seat = splat(-INFINITY), lanes(0)
                window = z + i * f.w.stride * f.c + c
                for a in range(r.first, r.end):
                    a = r.first + r.end - 1 - a if first else a
                    for b in range(s.first, s.end):
                        b = s.first + s.end - 1 - b if first else b
                        v = take(window + stands(&f, a, b) * f.c, n)
                        challenge(v, lanes(a * f.w.kernel + b), &best, &seat)
                give(x + i * f.c + c, best, n)
                word = pack(word, seat, (i - j) * bits)
            if seats != NULL:
                give(seats + c, word, n)
        j, seats = end, seats + f.c


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
        """A row of delta: from each row of windows that covers it, window by window

        Of windows that lie apart each pixel has one, and needs no zeros to add to."""
        cdef Frame f = self.f
        cdef Py_ssize_t p = row % f.h.size, q, c, i, a, window
        cdef Run y = covering(&f.h, p)
        cdef bint apart = (
            f.h.stride >= f.h.kernel and f.w.stride >= f.w.kernel
            and f.h.dilation == 1 and f.w.dilation == 1)
        cdef bint whole = (
            apart and y.end > y.first and f.w.stride == f.w.kernel
            and f.w.before == 0 and f.w.count * f.w.kernel >= f.w.size)
        cdef real* delta = self.delta + row * f.w.size * f.c
        for q in range(0 if whole else f.w.size):
            for c in range(k.first, k.end):
                give(delta + q * f.c + c * LANES, splat(0), min(LANES, f.c - c * LANES))
        for i in range(y.first, y.end):
            a, window = tap(&f.h, p, i), row // f.h.size * f.h.count + i
            if apart:
                self.windows(True, window, a, delta, k)
            elif a >= 0:
                self.windows(False, window, a, delta, k)

    cdef inline void windows(
        self, const bint apart, Py_ssize_t row, Py_ssize_t a, real* delta, Run k
    ) noexcept nogil:
        """What tap row `a` of a row of windows gives to a row of delta"""
        cdef Frame f = self.f
        cdef Py_ssize_t bits = self.bits, side = WORD // bits, at, end
        cdef Py_ssize_t i, j = 0, b, c, n
        cdef Run s
        cdef vec word, seat, e, sum
        cdef const real* seats = self.seats + row * words(f.w.count, bits) * f.c
        cdef real* to
        while j < f.w.count:
            end = min(j + side, f.w.count)
            for c in range(k.first, k.end):
                c = c * LANES
                n = min(LANES, f.c - c)
                word = take(seats + c, n)
                for i in range(j, end):
                    s = taps(&f.w, i)
                    seat = unpack(word, (i - j) * bits, bits)
                    at = (row * f.w.count + i) * f.c + c
                    e = take(self.epsilon + at, n)
                    e = ended(&self.end, e, splat(1), splat(0), at, n)
                    to = delta + (i * f.w.stride - f.w.before) * f.c + c
                    for b in range(s.first, s.end):
                        at = b * f.w.dilation * f.c
                        sum = splat(0) if apart else take(to + at, n)
                        sum = plus_where(sum, seat, a * f.w.kernel + b, e)
                        give(to + at, sum, n)
            j, seats = end, seats + f.c


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
