"""Average pooling: plain, weighted, of whole maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node
from ..spec import Array, Book, Pad, Shape, ShapeError, Spec
from .pool import Pool, all_places, global_spec, pooled, whole_map
from .row import Case, Row
from .window import Grid


class Mean(Pool):
    """x = sum w z / sum w over each window, of what counts there."""

    count_pad = True

    def even(self, grid: Grid) -> bool:
        """Whether every window counts the same."""
        return all(axis.inside(self.count_pad) for axis in grid.axes)

    def weight(self, grid: Grid) -> float:
        """What a whole window counts."""
        return math.prod(axis.kernel for axis in grid.axes)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        even = self.even(self.grid(z[1:]))
        return Book(adjoint_scratch=0 if even else math.prod(x) * itemsize)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        found, frame = kernels(x), self.frame(z.shape)
        grid, weights = self.grid(z.shape[1:]), getattr(theta, "weights", None)
        if self.even(grid):
            return found.WindowSum(z, weights, x, self.weight(grid), frame)
        return [
            found.WindowSum(z, weights, x, 1, frame),
            found.WindowNorm(x, weights, x, self.count_pad, frame),
        ]

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        found, frame = kernels(delta), self.frame(delta.shape)
        grid, weights = self.grid(delta.shape[1:]), getattr(theta, "weights", None)
        if self.even(grid):
            return found.WindowSpread(epsilon, weights, delta, self.weight(grid), frame)
        part = scratch.view(epsilon.dtype)
        return [
            found.WindowNorm(epsilon, weights, part, self.count_pad, frame),
            found.WindowSpread(part, weights, delta, 1, frame),
        ]


@dataclass(frozen=True)
class AvgPool(Mean):
    """x(j) = sum_r z(s j + r) / k;   delta(s j + r) += epsilon(j) / k"""

    kernel: Any
    stride: Any = None
    pad: Pad = "valid"
    ceil: bool = False
    count_pad: bool = True
    dilation: Any = 1

    def grid(self, z: Shape) -> Grid:
        return pooled(self, z)


@dataclass(frozen=True)
class GlobalAvgPool(Mean):
    """x = sum_j z(j) / N;   delta(j) = epsilon / N"""

    keep: bool = False
    windows = all_places

    def grid(self, z: Shape) -> Grid:
        return whole_map(z)

    def infer(self, *z: Shape) -> Spec:
        super().infer(*z)
        return global_spec(z[0], self.keep)


@dataclass(frozen=True)
class WeightedPool(Mean):
    """x(j) = sum_r w(r) z(s j + r), sum w = 1;   delta(s j + r) += w(r) epsilon(j)"""

    kernel: Any = 3
    stride: Any = None
    pad: Pad = "valid"
    ceil: bool = False
    count_pad: bool = True
    weights: Any = "binomial"
    keeps: ClassVar[tuple[str, ...]] = ("const",)

    def table(self, kernel: tuple[int, ...]) -> Any:
        """The weights as an array [kh, kw] or [kw]."""
        if self.weights == "binomial":
            rows = ([math.comb(k - 1, r) for r in range(k)] for k in kernel)
            found: Any = np.ones(())
            for row in rows:
                found = np.multiply.outer(found, row)
            return found
        try:
            found = np.array(self.weights, float)
        except (TypeError, ValueError):
            found = np.empty(())
        if found.shape != kernel:
            raise ShapeError(
                f'weights: expected "binomial" or numbers for a kernel {kernel}, got '
                f"{self.weights!r}"
            )
        if not (found.min() >= 0 and 0 < found.sum() < math.inf):
            raise ShapeError(
                "weights: an average needs weights >= 0 with a positive sum; "
                "use conv for others"
            )
        return found

    def grid(self, z: Shape) -> Grid:
        return pooled(self, z)

    def weight(self, grid: Grid) -> float:
        return float(self.table(tuple(axis.kernel for axis in grid.axes)).sum())

    def infer(self, *z: Shape) -> Spec:
        self.weight(self.grid(z[0]))
        return super().infer(*z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        kernel = tuple(axis.kernel for axis in self.grid(z[1:]).axes)
        scratch = super().book(z, x, threads, itemsize).adjoint_scratch
        return Book(const={"weights": Array(kernel)}, adjoint_scratch=scratch)

    def prepare(self, theta: Any) -> None:
        theta.weights[...] = self.table(theta.weights.shape)


def avg_pool(
    z: Node,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    pad: Pad = "valid",
    ceil: bool = False,
    count_pad: bool = True,
    dilation: int | tuple[int, ...] = 1,
    name: str | None = None,
) -> Node:
    """The mean of each map in each window.

    Parameters
    ----------
    z
        The node to pool: an image, or a signal with a kernel of one axis.
    kernel
        The size of the window.
    stride
        From window to window; as large as the kernel if not given.
    pad
        Zeros around the data: "valid", "same", "full", a number, one per axis or
        (before, after) per axis.
    ceil
        Whether a last window may stand out over the end; what stands out never counts.
    count_pad
        Whether the zeros of `pad` count in the mean.
    dilation
        The distance between the pixels of a window.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.avg_pool(dl.Input((28, 28, 6)), 2)
    <avg_pool: avg_pool 14x14x6>
    """
    op = AvgPool(kernel, stride, pad, ceil, count_pad, dilation)
    return Node(op, (z,), name)


def global_avg_pool(z: Node, keep: bool = False, name: str | None = None) -> Node:
    """The mean of each map.

    Parameters
    ----------
    z
        The node to pool; its height and width may be unknown.
    keep
        Whether height and width stay, as 1 and 1.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.global_avg_pool(dl.Input((None, None, 64)), keep=True)
    <global_avg_pool: global_avg_pool 1x1x64>
    """
    return Node(GlobalAvgPool(keep), (z,), name)


def weighted_pool(
    z: Node,
    kernel: int | tuple[int, ...] = 3,
    stride: int | tuple[int, ...] | None = None,
    pad: Pad = "valid",
    ceil: bool = False,
    count_pad: bool = True,
    weights: Any = "binomial",
    name: str | None = None,
) -> Node:
    """A weighted average around the central pixel of each window.

    Parameters
    ----------
    z, kernel, stride, pad, ceil, count_pad
        As in `avg_pool`.
    weights
        "binomial" (1 2 1 for a kernel of 3), or the weights as nested tuples; their sum
        need not be 1.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.weighted_pool(dl.Input((28, 28, 6)), 3, stride=2, pad="same")
    <weighted_pool: weighted_pool 14x14x6>
    """
    op = WeightedPool(kernel, stride, pad, ceil, count_pad, weights)
    return Node(op, (z,), name)


CASES = (
    Case(((1, 1, 1),), {"kernel": 1}),
    Case(((7, 5, 3),), {"kernel": 2}),
    Case(((7, 5, 17),), {"kernel": 3, "stride": 2, "pad": "same"}),
    Case(((8, 6, 3),), {"kernel": 3, "stride": 2, "pad": 1, "ceil": True}),
    Case(((7, 5, 1),), {"kernel": 2, "stride": 3, "pad": "full"}),
    Case(((19, 3),), {"kernel": 3, "stride": 1}),
)
UNCOUNTED = (
    Case(((7, 5, 3),), {"kernel": 3, "stride": 1, "pad": "same", "count_pad": False}),
)
DILATED = (
    Case(((9, 8, 3),), {"kernel": (3, 2), "stride": 2, "dilation": (2, 3)}),
    Case(((9, 3),), {"kernel": 3, "stride": 2, "dilation": 3, "pad": 2, "ceil": True}),
    Case(((7, 6, 2),), {"kernel": 2, "stride": 1, "dilation": 2, "pad": 1,
                        "count_pad": False}),
)

ROWS = (
    Row(AvgPool, avg_pool, CASES + UNCOUNTED + DILATED),
    Row(GlobalAvgPool, global_avg_pool, (
        Case(((1, 1, 1),)),
        Case(((7, 5, 3),)),
        Case(((7, 5, 17),), {"keep": True}),
        Case(((9, 2),)),
    )),
    Row(WeightedPool, weighted_pool, (
        *CASES,
        *UNCOUNTED,
        Case(((7, 5, 3),), {"kernel": (1, 2), "weights": ((3, 0.5),)}),
    )),
)
