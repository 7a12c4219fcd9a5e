"""When Winograd's algorithm serves a convolution; its kernels for all directions."""

from __future__ import annotations

from math import prod
from typing import Any

from .._ext import kernels
from ..spec import Array, Book
from .grid import Geometry

# Multiply-adds that the transforms of one entry cost, in the time of a product's, and
# that each of the 36 transformed filters costs beside its products: to read it, where
# the L2 cache holds them all, and where it does not. Set by hand after timing 27 shapes
# on AVX-512 (Xeon, 2 MB of L2, 2 cores), c and f from 8 to 512 and 1 to 4096 tiles.
TRANSFORM = 14
NEAR, FAR = 5, 13
HELD = 4_000_000  # bytes, of both cores' L2


def suits(shape: Geometry, itemsize: int) -> bool:
    """Whether it is faster than the product by rows."""
    plain = shape.kernel in ((3, 3), (5, 5)) and shape.groups == 1
    if not plain or (shape.stride, shape.dilation) != ((1, 1), (1, 1)):
        return False
    taps = shape.kernel[0]
    if max(max(p) for p in shape.pad) >= taps:
        return False
    wide = kernels(itemsize).COLUMNS // 2
    c, f = shape.c, -(-shape.f // wide) * wide
    if c < 8:
        return False
    spots = tiles(shape.n, shape.out, taps)
    rows = taps**2 * shape.n * prod(shape.out) * c * f
    read = NEAR if 36 * c * f * itemsize < HELD else FAR
    return 36 * (spots * (c * f + TRANSFORM * (c + f)) + read * c * f) < rows


def tiles(n: int, out: tuple[int, int], taps: int) -> int:
    """How many tiles cover the outputs: 4x4, for 5x5 kernels 2x2."""
    side = 7 - taps
    return n * -(-out[0] // side) * -(-out[1] // side)


def packed(c: int, f: int, itemsize: int) -> int:
    """Entries of the transformed filters."""
    return int(kernels(itemsize).WinogradPack.size(c, f))


def book(shape: Geometry, threads: int, itemsize: int) -> Book:
    """Transformed filters; transformed tiles of all directions."""
    k, c, f = kernels(itemsize), shape.c, shape.f
    taps = shape.kernel[0]
    count = tiles(shape.n, shape.out, taps)
    back = k.Winograd.scratch(tiles(shape.n, shape.size, taps), f, c, threads)
    back += packed(f, c, itemsize) * itemsize
    sums = k.WinogradWeights.scratch(count, c, f, threads)
    return Book(
        const={"winograd": Array((packed(c, f, itemsize),))},
        scratch=k.Winograd.scratch(count, c, f, threads),
        adjoint_scratch=max(back, sums),
    )


def slices(shape: Geometry) -> bool:
    """Whether x may be some channels of a larger array."""
    return True


def prepare(shape: Geometry, theta: Any) -> list[Any]:
    """Transform w."""
    return [kernels(theta.w).WinogradPack(theta.w, theta.winograd, shape.flip, False)]


def forward(
    shape: Geometry, z: Any, theta: Any, x: Any, scratch: Any, b: Any, tail: Any
) -> list[Any]:
    """x = z * w + b and the tail."""
    u, taps = theta.winograd, shape.kernel[0]
    return [kernels(z).Winograd(z, u, x, shape.pad, taps, scratch, b, tail)]


def delta(
    shape: Geometry, w: Any, epsilon: Any, into: Any, scratch: Any, tail: Any = None
) -> list[Any]:
    """delta: a forward pass with turned, transposed filters, packed in scratch."""
    k, size = kernels(w), packed(shape.f, shape.c, w.dtype.itemsize)
    end = size * w.dtype.itemsize
    u = scratch[:end].view(w.dtype)
    last = shape.kernel[0] - 1
    pad = tuple((last - a, last - b) for a, b in shape.pad)
    return [
        k.WinogradPack(w, u, not shape.flip, True),
        k.Winograd(epsilon, u, into, pad, last + 1, scratch[end:], None, tail),
    ]


def weights(shape: Geometry, z: Any, epsilon: Any, g: Any, scratch: Any) -> list[Any]:
    """g_w."""
    pad, flip = shape.pad, shape.flip
    return [kernels(z).WinogradWeights(z, epsilon, g, pad, flip, scratch)]
