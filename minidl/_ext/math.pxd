"""exp, tanh, sigmoid and the activations on a ``vec``, right to the last bit or two.

NaN stays NaN, infinities go where they should, subnormal results are rounded once.
"""

from minidl._ext.simd cimport (
    greater, less, magnitude, nearest, pick, real, relu, splat, two_to, unequal, vec,
    with_sign,
)

cdef enum:
    NONE
    RELU
    RELU6
    LEAKY_RELU
    SIGMOID
    TANH
    SCALED_TANH
    SWISH
    HARD_SWISH
    CLIP
    HARD_SIGMOID
    ELU
    THRESHOLDED_RELU


cdef inline int activation(str kind) except -1:
    """The number of an activation that Python names: "none", "relu", ..."""
    return ("none", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "scaled_tanh",
            "swish", "hard_swish", "clip", "hard_sigmoid", "elu",
            "thresholded_relu").index(kind)


cdef inline vec expm1_near(vec r) noexcept nogil:
    """e^r - 1 for abs(r) <= ln(2) / 2: the series, as far as the scalar type sees"""
    cdef vec p
    if sizeof(real) == 8:
        p = splat(1.0 / 6227020800.0)
        p = p * r + splat(1.0 / 479001600.0)
        p = p * r + splat(1.0 / 39916800.0)
        p = p * r + splat(1.0 / 3628800.0)
        p = p * r + splat(1.0 / 362880.0)
        p = p * r + splat(1.0 / 40320.0)
        p = p * r + splat(1.0 / 5040.0)
    else:
        p = splat(1.0 / 5040.0)
    p = p * r + splat(1.0 / 720.0)
    p = p * r + splat(1.0 / 120.0)
    p = p * r + splat(1.0 / 24.0)
    p = p * r + splat(1.0 / 6.0)
    p = p * r + splat(0.5)
    return p * (r * r) + r


cdef inline vec twos(vec v) noexcept nogil:
    """How often e^v holds the factor 2: the nearest whole number to v / ln(2)"""
    return nearest(v * splat(1.4426950408889634))


cdef inline vec rest(vec v, vec n) noexcept nogil:
    """v - n ln(2), with ln(2) in two pieces: n times the first is exact"""
    if sizeof(real) == 8:
        return (v - n * splat(0.693145751953125)) - n * splat(1.4286068203094172e-6)
    return (v - n * splat(0.693359375)) + n * splat(2.12194440e-4)


cdef inline vec exp(vec v) noexcept nogil:
    """e^v"""
    cdef vec low = splat(-746.0 if sizeof(real) == 8 else -104.0)  # e^low is 0
    cdef vec high = splat(710.0 if sizeof(real) == 8 else 89.0)  # e^high is inf
    v = pick(less(v, low), low, v)
    v = pick(less(high, v), high, v)
    cdef vec n = twos(v)
    cdef vec half = nearest(n * splat(0.5))  # 2^n alone may overflow
    cdef vec p = splat(1) + expm1_near(rest(v, n))
    return p * two_to(half) * two_to(n - half)


cdef inline vec expm1(vec v) noexcept nogil:
    """e^v - 1 for v <= 0"""
    cdef vec low = splat(-40)  # e^low - 1 is -1
    v = pick(less(v, low), low, v)
    cdef vec n = twos(v)
    cdef vec two = two_to(n)
    return expm1_near(rest(v, n)) * two + (two - splat(1))


cdef inline vec log1p(vec v) noexcept nogil:
    """log(1 + v) for 0 <= v <= 1: the series of 2 atanh(s), s = v / (2 + v)"""
    cdef vec s = v / (splat(2) + v)
    cdef vec p = splat(0)
    cdef int k
    for k in range(16 if sizeof(real) == 8 else 7, -1, -1):
        p = p * (s * s) + splat(1.0 / (2 * k + 1))
    return splat(2) * s * p


cdef inline vec sigmoid(vec v) noexcept nogil:
    """1 / (1 + e^-v)"""
    cdef vec e = exp(-magnitude(v))
    return pick(less(v, splat(0)), e, splat(1)) / (splat(1) + e)


cdef inline vec tanh(vec v) noexcept nogil:
    """(1 - e^-2v) / (1 + e^-2v), by e^-2v - 1, which is exact to the bit near 0"""
    cdef vec high = splat(20)  # tanh(high) is 1
    cdef vec a = magnitude(v)
    a = pick(less(high, a), splat(-2) * high, splat(-2) * a)
    cdef vec n = twos(a)
    cdef vec two = two_to(n)
    cdef vec m = expm1_near(rest(a, n)) * two + (two - splat(1))
    return with_sign(magnitude(m) / (m + splat(2)), v)


cdef inline vec scaled_tanh(vec v, vec amplitude, vec slope) noexcept nogil:
    return amplitude * tanh(slope * v)


cdef inline vec swish(vec v) noexcept nogil:
    """v sigmoid(v), which is 0 at -inf"""
    cdef vec low = splat(-1000)  # sigmoid(low) is 0
    return pick(less(v, low), low, v) * sigmoid(v)


cdef inline vec between(vec v, vec low, vec high) noexcept nogil:
    """v, but at least `low` and at most `high`"""
    v = pick(less(v, low), low, v)
    return pick(less(high, v), high, v)


cdef inline vec hard_swish(vec v) noexcept nogil:
    """v min(max(v / 6 + 1/2, 0), 1), which is 0 at -inf"""
    cdef vec zero = splat(0)
    cdef vec s = between(v * splat(1.0 / 6) + splat(0.5), zero, splat(1))
    return pick(less(v, splat(-3)), zero, v * s)


cdef inline vec activate(vec v, int act, vec slope) noexcept nogil:
    """The activation `act` of v; `slope` is that of a leaky relu below 0"""
    cdef vec zero = splat(0)
    if act == RELU:
        return relu(v)
    elif act == RELU6:
        return between(v, zero, splat(6))
    elif act == LEAKY_RELU:
        return pick(less(v, zero), slope * v, v)
    elif act == SIGMOID:
        return sigmoid(v)
    elif act == TANH:
        return tanh(v)
    elif act == SCALED_TANH:
        return scaled_tanh(v, splat(1.7159), splat(2.0 / 3))
    elif act == SWISH:
        return swish(v)
    elif act == HARD_SWISH:
        return hard_swish(v)
    return v


cdef inline vec swish_slope(vec z) noexcept nogil:
    """s + z s (1 - s) for s = sigmoid(z); beyond 1000 it is 0 or 1"""
    cdef vec far = splat(1000)
    z = pick(less(z, -far), -far, z)
    z = pick(less(far, z), far, z)
    cdef vec s = sigmoid(z)
    return s + z * s * (splat(1) - s)


cdef inline vec activate_adjoint(vec e, vec x, int act, vec slope) noexcept nogil:
    """e times the slope of the activation, from its result x (not those of swishes)"""
    cdef vec zero = splat(0), one = splat(1)
    if act == RELU:
        return pick(unequal(x, zero), e, zero)
    elif act == RELU6:
        e = pick(unequal(x, zero), e, zero)
        return pick(unequal(x, splat(6)), e, zero)
    elif act == LEAKY_RELU:
        return pick(greater(x, zero), e, slope * e)
    elif act == SIGMOID:
        return e * (x * (one - x))
    elif act == TANH:
        return e * (one - x * x)
    elif act == SCALED_TANH:
        return e * scaled_tanh_slope(x, splat(1.7159), splat(2.0 / 3))
    return e


cdef inline vec scaled_tanh_slope(vec x, vec amplitude, vec slope) noexcept nogil:
    return slope / amplitude * ((amplitude - x) * (amplitude + x))


cdef inline vec activate_by(vec v, int act, vec p, vec q, vec r) noexcept nogil:
    """Those too whose settings p, q, r no tail knows"""
    cdef vec zero = splat(0)
    if act == SCALED_TANH:
        return scaled_tanh(v, p, q)
    elif act == CLIP:
        return between(v, p, q)
    elif act == HARD_SIGMOID:
        return between(p * v + q, zero, splat(1))
    elif act == ELU:
        return r * pick(less(v, zero), p * expm1(v / q), v)
    elif act == THRESHOLDED_RELU:  # a NaN is not equal to p, nor less
        return pick(unequal(v, p), pick(less(v, p), zero, v), zero)
    return activate(v, act, p)


cdef inline vec activate_adjoint_by(
    vec e, vec x, int act, vec p, vec q, vec r
) noexcept nogil:
    """Their slopes, from the result x; of swishes and thresholded relus, from z"""
    cdef vec zero = splat(0), one = splat(1)
    if act == SWISH:
        return e * swish_slope(x)
    elif act == HARD_SWISH:
        return e * pick(
            less(x, splat(-3)), zero,
            pick(less(splat(3), x), one, x * splat(1.0 / 3) + splat(0.5)))
    elif act == SCALED_TANH:
        return e * scaled_tanh_slope(x, p, q)
    elif act == CLIP:
        e = pick(unequal(x, p), e, zero)
        return pick(unequal(x, q), e, zero)
    elif act == HARD_SIGMOID:
        e = pick(unequal(x, zero), p * e, zero)
        return pick(unequal(x, one), e, zero)
    elif act == ELU:
        return e * pick(less(x, zero), (x + p * r) / q, r)
    elif act == THRESHOLDED_RELU:
        return pick(unequal(x, p), pick(less(x, p), zero, e), zero)
    return activate_adjoint(e, x, act, p)
