"""When a channel has filters of its own, or few share them; its kernels."""

from __future__ import annotations

from math import prod
from typing import Any

from .._ext import kernels
from ..spec import Book
from .grid import Geometry

# Channels of a group: with 4 it is 4 times faster than the product by rows (AVX2 and
# AVX-512, Zen 4), with 8 no more. Without AVX2 a vector holds too few groups.
FEW = (1, 2, 4)


def suits(shape: Geometry, itemsize: int) -> bool:
    """Whether groups have few channels, as many filters, and two lie in a vector."""
    depth, lanes = shape.c // shape.groups, kernels(itemsize).COLUMNS // 2
    same = shape.groups > 1 and shape.c == shape.f
    return same and depth in FEW and (depth == 1 or 2 * depth <= lanes)


def book(shape: Geometry, threads: int, itemsize: int) -> Book:
    """The weights are read as they are; for delta turned, for g_w summed in parts."""
    (grid,) = shape.forward(1)
    turned = prod(shape.kernel) * grid.run * shape.f * itemsize
    sums = kernels(itemsize).DepthwiseWeights.scratch(grid)
    return Book(adjoint_scratch=max(turned, sums))


def slices(shape: Geometry) -> bool:
    """Whether x may be some channels of a larger array."""
    return False


def forward(
    shape: Geometry, z: Any, theta: Any, x: Any, scratch: Any, b: Any, tail: Any
) -> list[Any]:
    """x = z * w + b and the tail."""
    (grid,) = shape.forward(1)
    return [kernels(z).Depthwise(z, theta.w, x, grid, b, tail)]


def delta(
    shape: Geometry, w: Any, epsilon: Any, into: Any, scratch: Any, tail: Any = None
) -> list[Any]:
    """delta: the transpose, phase by phase of the stride."""
    k, depth, made = kernels(w), shape.c // shape.groups, []
    if depth > 1:
        turned = scratch[: w.nbytes].view(w.dtype)
        made, w = [k.DepthwiseTurn(w, turned, depth)], turned
    grids = shape.transposed(1)
    return made + [k.Depthwise(epsilon, w, into, one, None, tail) for one in grids]


def weights(shape: Geometry, z: Any, epsilon: Any, g: Any, scratch: Any) -> list[Any]:
    """g_w."""
    (grid,) = shape.forward(1)
    return [kernels(z).DepthwiseWeights(z, epsilon, g, grid, scratch)]
