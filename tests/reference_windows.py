"""The oracle's part that looks through windows: convolutions and pooling, naive."""

from __future__ import annotations

from itertools import product
from math import comb, prod
from typing import Any

import numpy as np


def each(value: Any, axes: int) -> tuple[Any, ...]:
    """One setting per axis."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


def sides(pad: Any, kernel: tuple[int, ...], dilation: Any = 1) -> list[Any]:
    """Rows and columns before and after the data, per axis."""
    found = []
    for axis, k in enumerate(kernel):
        reach = each(dilation, len(kernel))[axis] * (k - 1)
        if pad == "valid":
            found.append((0, 0))
        elif pad == "full":
            found.append((reach, reach))
        elif pad == "same":
            found.append((reach // 2, reach - reach // 2))
        else:
            one = each(pad, len(kernel))[axis]
            found.append(each(one, 2))
    return found


def bordered(z: Any, around: Any) -> Any:
    """z with zeros around its inner axes."""
    return np.pad(z, [(0, 0), *around, (0, 0)])


def windows(n: int, k: int, s: int, around: tuple[int, int], ceil: bool = False) -> int:
    """How many windows fit, counted one by one."""
    before, after = around
    count = 0
    while count * s + k <= n + before + after:
        count += 1
    last = (count - 1) * s + k  # where the last window ends
    if ceil and last < n + before + after and count * s < n + before:
        count += 1
    return count


def spots(sizes: Any) -> Any:
    """All positions of a grid."""
    return product(*(range(n) for n in sizes))


def place(j: Any, stride: Any, k: Any, dilation: Any) -> list[int]:
    """j s + k d, for each axis."""
    return [
        a * s + b * d for a, s, b, d in zip(j, stride, k, dilation, strict=True)
    ]


def crop(z, amount, **_):
    """What is inside the frame"""
    for axis, one in enumerate(each(amount, z.ndim - 2), 1):
        before, after = each(one, 2)
        z = z.take(range(before, z.shape[axis] - after), axis)
    return z


# -- sums of products ------------------------------------------------------------------


def taps(z: Any, kernel: Any, stride: Any, pad: Any, dilation: Any) -> Any:
    """For each output position and each tap: position, tap, the numbers of z there."""
    axes = len(kernel)
    stride, dilation = each(stride, axes), each(dilation, axes)
    around = sides(pad, kernel, dilation)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    grid = [
        windows(n, k, s, p)
        for n, k, s, p in zip(z.shape[1:-1], reach, stride, around, strict=True)
    ]
    z = bordered(z, around)
    found = []
    for j in spots(grid):
        for k in spots(kernel):
            at = place(j, stride, k, dilation)
            found.append((j, k, z[(slice(None), *at)]))
    return grid, found


def conv(z, w, b=None, stride=1, pad="valid", dilation=1, groups=1, flip=False, **_):
    """x(j) = b + sum_k w(k) z(j s + k d); flipped: w(-k), a true convolution."""
    kernel = w.shape[:-2]
    if flip:
        w = np.flip(w, tuple(range(len(kernel))))
    grid, found = taps(z, kernel, stride, pad, dilation)
    x = np.zeros((len(z), *grid, w.shape[-1]), z.dtype)
    c, f = w.shape[-2], w.shape[-1] // groups
    for j, k, here in found:
        for group in range(groups):
            of = slice(group * f, (group + 1) * f)
            x[(slice(None), *j)][:, of] += (
                here[:, group * c : (group + 1) * c] @ w[k][:, of]
            )
    return x if b is None else x + b


def conv_transpose(
    z, w, b=None, stride=1, pad="valid", dilation=1, groups=1, flip=False, extra=0, **_
):
    """x(j s + k d) = b + sum of w(k)^T z(j): each z paints a kernel."""
    kernel = w.shape[:-2]
    axes = len(kernel)
    if flip:
        w = np.flip(w, tuple(range(axes)))
    stride, dilation, extra = (each(one, axes) for one in (stride, dilation, extra))
    whole = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(
            z.shape[1:-1], stride, dilation, kernel, extra, strict=True
        )
    ]
    f, c = w.shape[-2], w.shape[-1] // groups
    x = np.zeros((len(z), *whole, f * groups), z.dtype)
    for j in spots(z.shape[1:-1]):
        for k in spots(kernel):
            there = x[(slice(None), *place(j, stride, k, dilation))]
            for group in range(groups):
                of = slice(group * c, (group + 1) * c)
                there[:, group * f : (group + 1) * f] += (
                    z[(slice(None), *j)][:, of] @ w[k][:, of].T
                )
    x = crop(x, sides(pad, kernel, dilation))
    return x if b is None else x + b


def tiled_conv(z, w, b=None, stride=1, pad="valid", dilation=1, **_):
    """As conv, with the kernels w[j mod t] (and biases) in turn."""
    axes = z.ndim - 2
    tile, kernel = w.shape[:axes], w.shape[axes:-2]
    grid, found = taps(z, kernel, stride, pad, dilation)
    x = np.zeros((len(z), *grid, w.shape[-1]), z.dtype)
    for j, k, here in found:
        at = tuple(a % t for a, t in zip(j, tile, strict=True))
        x[(slice(None), *j)] += here @ w[(*at, *k)]
        if b is not None and not any(k):
            x[(slice(None), *j)] += b[at]
    return x


def locally_connected(z, w, b=None, **settings):
    """As conv, with a kernel (and a bias) of its own at each position."""
    return tiled_conv(z, w, b, **settings)


def connection_conv(z, w, table, b=None, **settings):
    """As conv, where output map h reads only the input maps table[h]."""
    whole = np.zeros((*w.shape[:-1], z.shape[-1], len(table)), w.dtype)
    pairs = [(i, h) for h, row in enumerate(table) for i in row]
    for n, (i, h) in enumerate(pairs):
        whole[..., i, h] = w[..., n]
    return conv(z, whole, b, **settings)


def im2col(z, kernel, stride=1, pad="valid", dilation=1, **_):
    """The numbers under a window as the channels of its position."""
    kernel = each(kernel, z.ndim - 2)
    grid, found = taps(z, kernel, stride, pad, dilation)
    x = np.zeros((len(z), *grid, *kernel, z.shape[-1]), z.dtype)
    for j, k, here in found:
        x[(slice(None), *j, *k)] = here
    return x.reshape(len(z), *grid, -1)


def col2im(z, shape, kernel, stride=1, pad="valid", dilation=1, **_):
    """Every number that im2col copied goes back, and is added up there."""
    kernel = each(kernel, len(shape))
    there = np.arange(prod(shape)).reshape(1, *shape, 1) + 1  # 0 is the border
    _, found = taps(there, kernel, stride, pad, dilation)
    x = np.zeros((len(z), 1 + prod(shape), z.shape[-1] // prod(kernel)), z.dtype)
    z = z.reshape(*z.shape[:-1], *kernel, -1)
    for j, k, at in found:
        x[:, at.item()] += z[(slice(None), *j, *k)]
    return x[:, 1:].reshape(len(z), *shape, -1)


# -- windows ---------------------------------------------------------------------------


def pool(z, kernel, stride=None, pad="valid", ceil=False, dilation=1):
    """Each window: its position, its taps on data, with the numbers, and on padding."""
    axes = z.ndim - 2
    kernel = each(kernel, axes)
    stride = each(kernel if stride is None else stride, axes)
    dilation = each(dilation, axes)
    around = sides(pad, kernel, dilation)
    sizes = z.shape[1:-1]
    grid = [
        windows(n, d * (k - 1) + 1, s, p, ceil)
        for n, k, s, p, d in zip(sizes, kernel, stride, around, dilation, strict=True)
    ]
    found = []
    for j in spots(grid):
        data, padding = [], []
        for k in spots(kernel):
            at = place(j, stride, k, dilation)
            at = [a - before for a, (before, _) in zip(at, around, strict=True)]
            if all(0 <= a < n for a, n in zip(at, sizes, strict=True)):
                data.append((k, z[(slice(None), *at)]))
            elif all(
                -p[0] <= a < n + p[1]
                for a, n, p in zip(at, sizes, around, strict=True)
            ):
                padding.append(k)
        found.append((j, data, padding))
    return np.zeros((len(z), *grid, z.shape[-1]), z.dtype), found


def max_pool(z, kernel, stride=None, pad="valid", ceil=False, dilation=1, **_):
    """x = the largest of the window"""
    x, found = pool(z, kernel, stride, pad, ceil, dilation)
    for j, data, _ in found:
        x[(slice(None), *j)] = np.max([here for _, here in data], axis=0)
    return x


def weighted_pool(
    z, kernel=3, stride=None, pad="valid", ceil=False, count_pad=True,
    weights="binomial", dilation=1, **_,
):  # fmt: skip
    """x = sum w z / sum w over the window; what stands out over the end never counts"""
    kernel = each(kernel, z.ndim - 2)

    def weight(k):
        if weights == "binomial":
            return prod(comb(n - 1, one) for n, one in zip(kernel, k, strict=True))
        return 1 if weights is None else np.array(weights)[k]

    x, found = pool(z, kernel, stride, pad, ceil, dilation)
    for j, data, padding in found:
        total = sum(z.dtype.type(weight(k)) * here for k, here in data)
        counted = [k for k, _ in data] + (padding if count_pad else [])
        x[(slice(None), *j)] = total / z.dtype.type(sum(weight(k) for k in counted))
    return x


def avg_pool(
    z, kernel, stride=None, pad="valid", ceil=False, count_pad=True, dilation=1, **_
):
    """x = the mean of the window"""
    return weighted_pool(z, kernel, stride, pad, ceil, count_pad, None, dilation)


def sum_pool(z, w, b, kernel, stride=None, pad="valid", ceil=False, **_):
    """x = w * sum of the window + b"""
    x, found = pool(z, kernel, stride, pad, ceil)
    for j, data, _ in found:
        x[(slice(None), *j)] = w * sum(here for _, here in data) + b
    return x


def global_avg_pool(z, keep=False, **_):
    """x = the mean of each map"""
    return z.mean(tuple(range(1, z.ndim - 1)), keepdims=keep)


def global_max_pool(z, keep=False, **_):
    """x = the largest of each map"""
    return z.max(tuple(range(1, z.ndim - 1)), keepdims=keep)
