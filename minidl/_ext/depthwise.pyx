"""Depthwise convolution: a channel has a filter of its own, or few channels share some.

    Depthwise         x = act(scale * (sum_t sum_l z_tl w_tl + b) + shift + add)
    DepthwiseWeights  g_tl = sum over positions of z_tl epsilon
    DepthwiseTurn     w of the transpose, where a group has several channels

A vector holds LANES channels, and those are whole groups of `depth` channels with as
many filters: z_tl is z_t with channel l of each group spread over its group.

A Grid of minidl.ops.grid says which pixel z_t each tap t of a position reads; the input
adjoint is Depthwise on the grids of the transpose. Where no tap falls outside, ABREAST
positions go at a time: they share the loads of w and of g.
"""

from libc.string cimport memset

from minidl._ext.finish cimport Finish, ended, factor_of, finish_of, offset_of
from minidl._ext.kernel cimport Kernel, parts
from minidl._ext.simd cimport LANES, load, real, splat, store, vec
from minidl._ext.window cimport Run, cuts, give, take, vectors

cdef extern from *:
    """
    /* number l of each `depth` lanes, in all of them */
    INLINE vec spread(vec v, ssize_t depth, ssize_t l) {
      vmask lane;
      if (depth == 1) return v;
      memcpy(&lane, LANE, sizeof lane);
      return __builtin_shuffle(v, (lane & -(mask_t)depth) + (mask_t)l);
    }
    """
    vec spread(vec v, Py_ssize_t depth, Py_ssize_t l) nogil

cdef str KIND = "d" if sizeof(real) == 8 else "f"

cdef enum:
    ABREAST = 4  # with 2 vectors each: 8 accumulators, 2 weights, 1 input
    NEAR = 16384  # bytes of w or g for a run of channels: they stay in the L1 cache


cdef struct Line:  # one axis of a Grid
    Py_ssize_t size, count  # pixels of the source, positions
    Py_ssize_t step, first, apart  # tap k of position i reads i step + first + k apart
    Py_ssize_t taps, low, high  # positions from low to high have all taps inside
    Py_ssize_t target, spread, start  # pixels there; position i is i spread + start
    Py_ssize_t weight  # from a tap's weights to the next tap's


cdef struct Spot:  # what a position reads
    const real* z  # by its first tap inside
    Py_ssize_t w  # where the weights of that tap begin
    Py_ssize_t rows, cols  # taps inside
    Py_ssize_t z_down, z_right, w_down, w_right  # from one to the next
    Py_ssize_t step  # from a position to the next


cdef Line line_of(about, int axis, Py_ssize_t inner) except *:
    """The taps of an axis lie at equal distances, and `inner` taps of the other axis
    lie between the offsets of two of them."""
    cdef Line line
    places = list(dict.fromkeys(tap[axis] for tap in about.taps)) or [0]
    size, step, several = about.source[1 + axis], about.step[axis], len(places) > 1
    line.size, line.count, line.step = size, about.positions[axis], step
    line.first = places[0]
    line.apart = places[1] - places[0] if several else 0
    line.taps = len(places) if about.taps else 0
    line.low = max(0, -(min(places) // step))
    line.high = min((size - 1 - max(places)) // step + 1, line.count)
    line.target, line.spread = about.target[1 + axis], about.spread[axis]
    line.start = about.start[axis]
    line.weight = about.offsets[inner] - about.offsets[0] if several else 0
    return line


cdef inline Run inside(const Line* line, Py_ssize_t i) noexcept nogil:
    """The taps of position i that lie inside."""
    cdef Py_ssize_t at = i * line.step + line.first
    cdef Run run
    run.first, run.end = 0, line.taps
    while run.first < run.end and not 0 <= at + run.first * line.apart < line.size:
        run.first += 1
    while run.first < run.end and not 0 <= at + (run.end - 1) * line.apart < line.size:
        run.end -= 1
    return run


cdef class DepthwiseGrid(Kernel):
    """Rows of positions, of n images with c channels."""

    cdef Line down, right
    cdef Py_ssize_t n, c, depth, rows, work, w
    cdef Py_ssize_t size, cuts  # of w; the channels go in so many runs
    cdef const real* z

    cdef int measure(self, z, about) except -1:
        self.n, _, _, self.c = z.shape
        self.w = about.offsets[0] if about.offsets else 0
        self.depth = about.run
        self.right = line_of(about, 1, 1)
        self.down = line_of(about, 0, self.right.taps)
        self.rows = self.n * self.down.count
        self.size = self.down.taps * self.right.taps * self.depth * self.c
        self.cuts = 1
        if self.depth > 1:
            self.cuts += min(self.size * sizeof(real) // NEAR, self.c // LANES)
        self.work = self.rows * self.right.count * self.c
        self.work += self.rows * self.right.count * self.size // 8
        size = self.n * self.down.size * self.right.size * self.c
        self.z = <const real*>self.read(z, KIND, size)
        return 0

    cdef void line(self, Py_ssize_t row, Run k, real* x) noexcept nogil:
        """All positions of a row, the vectors k of channels; x is where results go"""
        cdef Line* down = &self.down
        cdef Line* right = &self.right
        cdef Py_ssize_t image = row // down.count, i = row % down.count, j = 0, y
        cdef Py_ssize_t target
        cdef Run a = inside(down, i), b
        cdef bint abreast
        cdef Spot spot
        spot.rows = a.end - a.first
        spot.z_down, spot.w_down = down.apart * right.size * self.c, down.weight
        spot.z_right, spot.w_right = right.apart * self.c, right.weight
        spot.step = right.step * self.c
        y = image * down.size + i * down.step + down.first + a.first * down.apart
        target = (image * down.target + i * down.spread + down.start) * right.target
        while j < right.count:
            abreast = right.low <= j and j + ABREAST <= right.high
            b.first, b.end = 0, right.taps
            if not abreast:
                b = inside(right, j)
            spot.cols = b.end - b.first
            spot.z = self.z + (y * right.size + j * right.step + right.first
                               + b.first * right.apart) * self.c
            spot.w = self.w + a.first * spot.w_down + b.first * spot.w_right
            self.spot(&spot, abreast, target + j * right.spread + right.start, k, x)
            j += ABREAST if abreast else 1

    cdef void spot(
        self, const Spot* spot, bint abreast, Py_ssize_t target, Run k, real* x
    ) noexcept nogil:
        """One position, or ABREAST; the first is pixel `target`"""


cdef inline void multiply(
    const int count, const int deep, const Py_ssize_t depth, Py_ssize_t n,
    const Spot* spot, const real* w, Py_ssize_t line, Py_ssize_t c, real* x
) noexcept nogil:
    """x [count, deep] vectors: sums over the taps; of each vector n channels"""
    cdef vec s[2 * ABREAST]
    cdef vec v[2]
    cdef const real* z
    cdef const real* f
    cdef Py_ssize_t a, l, _
    cdef int i, q
    for i in range(count * deep):
        s[i] = splat(0)
    for a in range(spot.rows):
        z = spot.z + a * spot.z_down + c
        f = w + spot.w + a * spot.w_down + c
        for _ in range(spot.cols):
            for l in range(depth):
                for q in range(deep):
                    v[q] = take(f + l * line + q * LANES, n)
                for i in range(count):
                    for q in range(deep):
                        s[i * deep + q] = s[i * deep + q] + v[q] * spread(
                            take(z + i * spot.step + q * LANES, n), depth, l)
            z += spot.z_right
            f += spot.w_right
    for i in range(count * deep):
        store(x + i * LANES, s[i])


cdef inline void multiply_of(
    bint abreast, int deep, const Py_ssize_t depth, Py_ssize_t n, const Spot* spot,
    const real* w, Py_ssize_t line, Py_ssize_t c, real* x
) noexcept nogil:
    """multiply for numbers that the compiler knows"""
    if abreast and deep == 2:
        multiply(ABREAST, 2, depth, LANES, spot, w, line, c, x)
    elif abreast:
        multiply(ABREAST, 1, depth, n, spot, w, line, c, x)
    elif deep == 2:
        multiply(1, 2, depth, LANES, spot, w, line, c, x)
    else:
        multiply(1, 1, depth, n, spot, w, line, c, x)


cdef class Depthwise(DepthwiseGrid):
    """x = act(scale * (sum over the taps of z w + b) + shift + add)"""

    cdef const real* weights
    cdef real* x
    cdef Finish end

    def __init__(self, z, w, x, about, b=None, tail=None):
        self.measure(z, about)
        self.cuts = max(self.cuts, cuts(self.rows, self.c))
        size = self.n * self.down.target * self.right.target * self.c
        self.weights = <const real*>self.read(w, KIND)
        self.x = <real*>self.write(x, KIND, size)
        self.end = finish_of(self, KIND, b, tail, 0)

    cdef void run(self) noexcept nogil:
        self.share(self.rows * self.cuts, self.work)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        self.line(item // self.cuts, vectors(item % self.cuts, self.cuts, self.c),
                  self.x)

    cdef void spot(
        self, const Spot* spot, bint abreast, Py_ssize_t target, Run k, real* x
    ) noexcept nogil:
        cdef Py_ssize_t c = k.first * LANES, end = min(k.end * LANES, self.c), n
        cdef Py_ssize_t at = target * self.c, apart = self.right.spread * self.c
        cdef int count = ABREAST if abreast else 1, deep, q
        cdef real tile[2 * ABREAST * LANES]
        while c < end:
            deep = 2 if end - c >= 2 * LANES else 1
            n = min(<Py_ssize_t>LANES, end - c)
            if self.depth == 1:
                multiply_of(abreast, deep, 1, n, spot, self.weights, self.c, c, tile)
            else:
                multiply_of(
                    abreast, deep, self.depth, n, spot, self.weights, self.c, c, tile)
            for q in range(deep):
                self.finish(tile + q * LANES, deep, count, x, at, apart, c, n)
                c += LANES

    cdef void finish(
        self, const real* tile, Py_ssize_t deep, Py_ssize_t count, real* x,
        Py_ssize_t at, Py_ssize_t apart, Py_ssize_t c, Py_ssize_t n
    ) noexcept nogil:
        """Bias and tail of one vector of each position."""
        cdef vec factor = factor_of(&self.end, c, n)
        cdef vec offset = offset_of(&self.end, c, n)
        cdef Py_ssize_t i
        for i in range(count):
            give(x + at + c, ended(&self.end, load(tile + i * deep * LANES), factor,
                                   offset, at + c, n), n)
            at += apart


cdef inline void correlate(
    const int count, const Py_ssize_t depth, Py_ssize_t n, const Spot* spot,
    const real* epsilon, Py_ssize_t apart, real* g, Py_ssize_t line, Py_ssize_t c
) noexcept nogil:
    """g_t += the sum over `count` positions of z_t epsilon, of n channels from c on"""
    cdef vec e[ABREAST]
    cdef vec s
    cdef const real* z
    cdef real* into
    cdef Py_ssize_t a, l, _
    cdef int i
    for i in range(count):
        e[i] = take(epsilon + i * apart + c, n)
    for a in range(spot.rows):
        z = spot.z + a * spot.z_down + c
        into = g + spot.w + a * spot.w_down + c
        for _ in range(spot.cols):
            for l in range(depth):
                s = take(into + l * line, n)
                for i in range(count):
                    s = s + e[i] * spread(take(z + i * spot.step, n), depth, l)
                give(into + l * line, s, n)
            z += spot.z_right
            into += spot.w_right


cdef inline void correlate_of(
    bint abreast, const Py_ssize_t depth, Py_ssize_t n, const Spot* spot,
    const real* epsilon, Py_ssize_t apart, real* g, Py_ssize_t line, Py_ssize_t c
) noexcept nogil:
    """correlate for numbers that the compiler knows"""
    if abreast and n == LANES:
        correlate(ABREAST, depth, LANES, spot, epsilon, apart, g, line, c)
    elif abreast:
        correlate(ABREAST, depth, n, spot, epsilon, apart, g, line, c)
    elif n == LANES:
        correlate(1, depth, LANES, spot, epsilon, apart, g, line, c)
    else:
        correlate(1, depth, n, spot, epsilon, apart, g, line, c)


cdef class DepthwiseWeights(DepthwiseGrid):
    """g_t = sum over positions of z_t epsilon

    The rows are split into `parts`, each with a sum of its own, added in order: the
    same bits for any number of threads."""

    cdef const real* epsilon
    cdef real* g
    cdef real* sums  # [parts][taps c]
    cdef Py_ssize_t parts

    def __init__(self, z, epsilon, g, about, scratch):
        self.measure(z, about)
        self.parts = parts(self.rows, self.rows * self.right.count * self.c)
        size = self.n * self.down.target * self.right.target * self.c
        self.epsilon = <const real*>self.read(epsilon, KIND, size)
        self.g = <real*>self.write(g, KIND, self.size)
        self.sums = <real*>self.write(scratch, "B")

    @staticmethod
    def scratch(about):
        """Bytes of partial sums."""
        n, _, _, c = about.target
        rows, cols = about.positions
        split = parts(n * rows, n * rows * cols * c)
        return split * len(about.taps) * about.run * c * sizeof(real)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t k, q
        self.share(self.parts, self.work)
        memset(self.g, 0, self.size * sizeof(real))
        for k in range(self.parts):
            for q in range(self.size):
                self.g[q] += self.sums[k * self.size + q]

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef real* sums = self.sums + item * self.size
        cdef Py_ssize_t row, cut
        memset(sums, 0, self.size * sizeof(real))
        for cut in range(self.cuts):
            for row in range(self.rows * item // self.parts,
                             self.rows * (item + 1) // self.parts):
                self.line(row, vectors(cut, self.cuts, self.c), sums)

    cdef void spot(
        self, const Spot* spot, bint abreast, Py_ssize_t target, Run k, real* x
    ) noexcept nogil:
        cdef const real* epsilon = self.epsilon + target * self.c
        cdef Py_ssize_t c = k.first * LANES, end = min(k.end * LANES, self.c), n
        cdef Py_ssize_t apart = self.right.spread * self.c
        while c < end:
            n = min(<Py_ssize_t>LANES, end - c)
            if self.depth == 1:
                correlate_of(abreast, 1, n, spot, epsilon, apart, x, self.c, c)
            else:
                correlate_of(abreast, self.depth, n, spot, epsilon, apart, x, self.c, c)
            c += LANES


cdef class DepthwiseTurn(Kernel):
    """x[t, l, k depth + m] = w[t, m, k depth + l]"""

    cdef const real* w
    cdef real* x
    cdef Py_ssize_t taps, depth, c

    def __init__(self, w, x, depth):
        *_, self.c = w.shape
        self.depth, self.taps = depth, w.size // (depth * self.c)
        self.w = <const real*>self.read(w, KIND)
        self.x = <real*>self.write(x, KIND, w.size)

    cdef void run(self) noexcept nogil:
        self.share(self.taps, self.taps * self.depth * self.c)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef const real* w = self.w + item * self.depth * self.c
        cdef real* x = self.x + item * self.depth * self.c
        cdef Py_ssize_t l, m, c
        for l in range(self.depth):
            for c in range(self.c):
                m = c % self.depth
                x[l * self.c + c] = w[m * self.c + c - m + l]
