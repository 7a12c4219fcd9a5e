"""The oracle's part for what files of other programs ask for, naive."""

from __future__ import annotations

from math import ceil, floor, inf

import numpy as np
from reference_windows import each


def clip(z, low=-inf, high=inf, **_):
    """From low to high"""
    return np.where(z < low, z.dtype.type(low), np.where(z > high, high, z))


def elu(z, alpha=1.0, width=1.0, factor=1.0, **_):
    """factor z where it is positive, else factor alpha (exp(z / width) - 1)"""
    real = z.dtype.type
    below = real(alpha) * (np.exp(np.minimum(z, 0) / real(width)) - 1)
    return real(factor) * np.where(z < 0, below, z)


def hard_sigmoid(z, slope=1 / 6, shift=0.5, **_):
    """slope z + shift, from 0 to 1"""
    return clip(z.dtype.type(slope) * z + z.dtype.type(shift), 0, 1)


def hard_swish(z, **_):
    """z from 3 on, 0 up to -3, a parabola between"""
    return np.where(z < -3, 0, np.where(z > 3, z, z * (z + 3) / 6))


def thresholded_relu(z, threshold=1.0, **_):
    """z above the threshold, else 0"""
    return np.where(z <= threshold, z.dtype.type(0), z)


def affine(z, w=1, b=0, **_):
    """w z + b"""
    return w * z + b


def prelu(z, slope, **_):
    """z where it is positive, else slope * z"""
    return np.where(z < 0, slope * z, z)


def broadcast(z, shape, **_):
    """z beside itself, along each axis of size 1"""
    x = z.reshape(len(z), *(1,) * (len(shape) - z.ndim + 1), *z.shape[1:])
    for axis, n in enumerate(shape, 1):
        x = x if n is None or x.shape[axis] == n else np.concatenate([x] * n, axis)
    return x


def matmul(a, b, **_):
    """The sum over k of a(i, k) b(k, j)"""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def place(i, n, out, s, align):
    """Where pixel i of `out` stands among `n`"""
    if align == "corners":
        return i * (n - 1) / (out - 1) if out > 1 else 0.0
    return i / s if align == "edges" else (i + 0.5) / s - 0.5


def weights(at, n, s, mode, how):
    """The pixels that count at a place, and how much"""
    if mode == "nearest":
        nearest = ceil(at) if how["round"] == "up" else ceil(at - 0.5)
        return {min(max(nearest, 0), n - 1): 1.0}
    narrow, found = min(s, 1) if how["smooth"] else 1, {}
    for i in range(floor(at) - 30, floor(at) + 31):
        t = abs(i - at) * narrow
        w = max(0.0, 1 - t)
        if mode == "cubic":
            a = how["cubic"]
            w = (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else (
                a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0)
        if not (how["inside"] and (i < 0 or i >= n)):
            j = min(max(i, 0), n - 1)
            found[j] = found.get(j, 0) + w
    total = sum(found.values())
    return {i: w / total for i, w in found.items() if w}


def resize(z, size=None, factor=None, mode="linear", align="centres", **how):
    """One axis after the other, each pixel a weighted sum"""
    usual = {"round": "half_down", "cubic": -0.75, "smooth": False, "inside": False}
    how, axes = usual | how, z.ndim - 2
    for axis in range(1, axes + 1):
        n = z.shape[axis]
        s = each(factor, axes)[axis - 1]
        out = floor(n * s) if size is None else each(size, axes)[axis - 1]
        s = s or out / n
        x = np.zeros((*z.shape[:axis], out, *z.shape[axis + 1:]), z.dtype)
        for i in range(out):
            for j, w in weights(place(i, n, out, s, align), n, s, mode, how).items():
                where = (slice(None),) * axis
                x[(*where, i)] += z.dtype.type(w) * z[(*where, j)]
        z = x
    return z
