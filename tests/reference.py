"""The oracle: every op once more, naive, in NumPy, knowing nothing of minidl.

A function takes the arrays of z (batch first, channels last), then theta and settings
by name. It computes in the type that it is given: float32, float64 or longdouble.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from reference_more import (
    affine,
    broadcast,
    clip,
    elu,
    hard_sigmoid,
    hard_swish,
    matmul,
    prelu,
    resize,
    thresholded_relu,
)
from reference_windows import (
    avg_pool,
    col2im,
    connection_conv,
    conv,
    conv_transpose,
    crop,
    each,
    global_avg_pool,
    global_max_pool,
    im2col,
    locally_connected,
    max_pool,
    sum_pool,
    tiled_conv,
    weighted_pool,
)

# -- channels --------------------------------------------------------------------------


def dense(z, w, b=None, **_):
    """x = z w + b"""
    x = z @ w
    return x if b is None else x + b


def rbf(z, w, **_):
    """x_f = sum_i (z_i - w_if)^2"""
    x = np.zeros((len(z), w.shape[-1]), z.dtype)
    for f in range(w.shape[-1]):
        x[:, f] = ((z - w[:, f]) ** 2).sum(-1)
    return x


def maxout(z, pieces, **_):
    """x = the largest of `pieces` neighbouring channels"""
    return z.reshape(*z.shape[:-1], -1, pieces).max(-1)


def lrn(z, size=5, alpha=1e-4, beta=0.75, k=2.0, divide=True, **_):
    """x = z / (k + alpha * the mean (or sum) of z^2 over `size` channels)^beta"""
    x = np.zeros_like(z)
    c = z.shape[-1]
    alpha = alpha / size if divide else alpha
    for i in range(c):
        near = range(max(0, i - size // 2), min(c, i - size // 2 + size))
        total = sum(z[..., j] ** 2 for j in near)
        x[..., i] = z[..., i] / (k + alpha * total) ** z.dtype.type(beta)
    return x


def batch_norm(z, gamma, beta, mean=None, var=None, tiny=1e-5, train=False, **_):
    """x = gamma (z - mean) / sqrt(var + tiny) + beta; in training of the batch"""
    if train:
        axes = tuple(range(z.ndim - 1))
        mean = z.mean(axes)
        var = ((z - mean) ** 2).mean(axes)
    return gamma * (z - mean) / np.sqrt(var + tiny) + beta


# -- one number in, one number out -----------------------------------------------------


def relu(z, **_):
    """z where it is positive"""
    return np.maximum(z, 0)


def relu6(z, **_):
    """From 0 to 6"""
    return np.minimum(np.maximum(z, 0), 6)


def leaky_relu(z, slope=0.01, **_):
    """z where it is positive, else slope * z"""
    return np.where(z > 0, z, z.dtype.type(slope) * z)


def tanh(z, **_):
    """(exp(2 z) - 1) / (exp(2 z) + 1)"""
    return np.expm1(2 * z) / (np.exp(2 * z) + 1)


def scaled_tanh(z, amplitude=1.7159, slope=2 / 3, **_):
    """amplitude * tanh(slope * z)"""
    return z.dtype.type(amplitude) * np.tanh(z.dtype.type(slope) * z)


def swish(z, **_):
    """z sigmoid(z)"""
    return z * sigmoid(z)


def identity(z, train=False, **_):
    """z"""
    return z


def scale(z, factor=1.0, shift=0.0, **_):
    """factor z + shift"""
    return z.dtype.type(factor) * z + z.dtype.type(shift)


def add(a, b, **_):
    """a + b"""
    return a + b


def subtract(a, b, **_):
    """a - b"""
    return a - b


def multiply(a, b, **_):
    """a b, where b may have one number per channel"""
    return a * b


def sigmoid(z, **_):
    """1 / (1 + exp(-z))"""
    return 1 / (1 + np.exp(-z))


def softmax(z, **_):
    """exp(z) / sum exp(z) over the channels"""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# -- losses ----------------------------------------------------------------------------


def softmax_cross_entropy(z, labels, smoothing=0.0, **_):
    """The mean of log sum exp(z) - sum q z; q one-hot, then smoothed"""
    q = np.eye(z.shape[-1], dtype=z.dtype)[labels]
    smoothing = z.dtype.type(smoothing)
    q = (1 - smoothing) * q + smoothing / z.shape[-1]
    top = z.max(-1, keepdims=True)
    return (top[..., 0] + np.log(np.exp(z - top).sum(-1)) - (q * z).sum(-1)).mean()


def soft_cross_entropy(z, q, **_):
    """The mean of sum q (log sum exp(z) - z) over the rows"""
    level = np.log(np.exp(z).sum(-1, keepdims=True))
    return (q * (level - z)).sum() / q[..., 0].size


def normalise(z, mean, std, **_):
    """(z - mean) / std by channel"""
    return (z - np.array(mean, z.dtype)) / np.array(std, z.dtype)


def hinge(z, labels, margin=1.0, **_):
    """The mean of sum over j != label of max(0, margin + z_j - z_label)"""
    rows = z.reshape(-1, z.shape[-1])
    total = z.dtype.type(0)
    for row, label in zip(rows, labels.ravel(), strict=True):
        for j, value in enumerate(row):
            if j != label:
                total += np.maximum(0, margin + value - row[label])
    return total / len(rows)


def mean_squared_error(z, t, **_):
    """The mean of (z - t)^2"""
    return ((z - t) ** 2).mean()


def binary_cross_entropy(z, t, **_):
    """The mean of -t log s - (1 - t) log(1 - s), s = sigmoid(z)"""
    s = sigmoid(z)
    return (-t * np.log(s) - (1 - t) * np.log(1 - s)).mean()


# -- shapes ----------------------------------------------------------------------------


def upsample(z, factor, mode="nearest", **_):
    """x(j) = z(floor(j / factor)); or between z at (j + 1/2) / factor - 1/2"""
    for axis, times in enumerate(each(factor, z.ndim - 2), 1):
        n = z.shape[axis]
        lines = []
        for j in range(n * times):
            at = Fraction(2 * j + 1, 2 * times) - Fraction(1, 2)
            at = min(max(at, 0), n - 1)  # edges repeat
            if mode == "nearest":
                lines.append(z.take(j // times, axis))
                continue
            low = floor(at)
            t = z.dtype.type((at - low).numerator) / (at - low).denominator
            high = min(low + 1, n - 1)
            lines.append((1 - t) * z.take(low, axis) + t * z.take(high, axis))
        z = np.stack(lines, axis)
    return z


def decimate(z, stride, **_):
    """x(j) = z(j stride)"""
    for axis, one in enumerate(each(stride, z.ndim - 2), 1):
        z = z.take(range(0, z.shape[axis], one), axis)
    return z


def flatten(z, order="row", **_):
    """In memory's order; or map after map, its columns or its rows"""
    maps = [z[..., k] for k in range(z.shape[-1])]
    if order == "row":
        return z.reshape(len(z), -1)
    if order == "column" and z.ndim == 4:
        maps = [one.swapaxes(1, 2) for one in maps]
    return np.concatenate([one.reshape(len(z), -1) for one in maps], -1)


def reshape(z, shape, **_):
    """The same numbers in their order"""
    return z.reshape(len(z), *each(shape, 1))


def transpose(z, axes, **_):
    """Other axes first"""
    return np.stack([one.transpose(axes) for one in z])


def pad(z, amount, value=0.0, **_):
    """A frame"""
    amount = [each(one, 2) for one in each(amount, z.ndim - 2)]
    amount = [(0, 0), *amount, (0, 0)][: z.ndim]  # a last pair is for the channels
    return np.pad(z, amount, constant_values=value)


def concat(z, axis=-1, **_):
    """Side by side"""
    return np.concatenate(z, axis + 1 if axis >= 0 else axis)


FUNCTIONS = (
    relu, relu6, leaky_relu, sigmoid, tanh, scaled_tanh, swish, softmax, identity,
    scale, add, subtract, multiply, softmax_cross_entropy, soft_cross_entropy,
    normalise, hinge, mean_squared_error, binary_cross_entropy, conv, conv_transpose,
    locally_connected, tiled_conv,
    connection_conv, im2col, col2im, dense, rbf, max_pool, global_max_pool, avg_pool,
    weighted_pool, global_avg_pool, sum_pool, maxout, lrn, batch_norm, upsample,
    decimate, flatten, reshape, transpose, pad, crop, concat, affine, broadcast, clip,
    elu, hard_sigmoid, hard_swish, matmul, prelu, resize, thresholded_relu,
)
ORACLE = {one.__name__: one for one in FUNCTIONS} | {"dropout": identity}
