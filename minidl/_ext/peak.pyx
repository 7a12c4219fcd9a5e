"""The most that this machine can compute: multiply-adds on registers alone."""

from minidl._ext.kernel cimport Kernel
from minidl._ext.simd cimport LANES, real, splat, total, vec

cdef str KIND = "d" if sizeof(real) == 8 else "f"
cdef enum:
    CHAINS = 14  # independent: enough to hide the latency, few for 16 registers
    ROUNDS = 20_000


cdef class Peak(Kernel):
    """c <- c a + b, for each item of `sums` in CHAINS vectors and ROUNDS times

    The items are shared out to all threads. One run is `flops` operations.
    """

    cdef readonly double flops
    cdef Py_ssize_t items
    cdef real* sums

    def __init__(self, sums):
        self.items = sums.size
        self.sums = <real*>self.write(sums, KIND)
        self.flops = 2.0 * CHAINS * LANES * ROUNDS * self.items

    cdef void run(self) noexcept nogil:
        self.share(self.items, <Py_ssize_t>self.flops)

    cdef void part(self, Py_ssize_t item, int slot) noexcept nogil:
        cdef vec c[CHAINS]
        cdef vec a = splat(<real>0.75), b = splat(<real>0.25)
        cdef int i
        cdef Py_ssize_t _round
        for i in range(CHAINS):
            c[i] = splat(i + 2)  # not 1, which would stay 1
        for _round in range(ROUNDS):
            for i in range(CHAINS):
                c[i] = c[i] * a + b
        for i in range(1, CHAINS):
            c[0] = c[0] + c[i]
        self.sums[item] = total(c[0])
