"""Fewer or more pixels: decimation, replication, interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Shape, ShapeError, Spec, several
from . import interpolate
from .row import Case, Row
from .window import Axis, inner, windows

Whole = int | tuple[int, ...]


@dataclass(frozen=True)
class Upsample(Op):
    """x(j) = z(floor(j / s));   delta(j) = sum_{r < s} epsilon(s j + r)

    nearest   as above
    bilinear  x(j) = sum_i w(i, j) z(i);   delta(i) = sum_j w(i, j) epsilon(j)
              w(i, j) = max(0, 1 - |(j + 1/2) / s - 1/2 - i|), edges repeated
    """

    factor: Any
    mode: str = "nearest"
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        sizes = inner(z[0])
        factors = several("factor", self.factor, len(sizes))
        if self.mode not in ("nearest", "bilinear"):
            raise ShapeError(
                f'mode: expected "nearest" or "bilinear", got {self.mode!r}'
            )
        pairs = zip(sizes, factors, strict=True)
        return Spec((*(n if n is None else n * s for n, s in pairs), z[0][-1]))

    def sizes(self, z: Shape) -> tuple[int, ...]:
        """Height, width and the factors of both; a signal is an image of height 1."""
        sizes = z[1:-1]
        factors = several("factor", self.factor, len(sizes))
        return (1, *sizes)[-2:] + (1, *factors)[-2:]

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        if self.mode == "bilinear":
            return interpolate.Resize(factor=self.factor).field(share, *z)
        for along, axis in enumerate(
            windows((*share.shape, 1), self.factor, self.factor).axes
        ):
            share = axis.collect(share, along)
        return (share,)

    def frame(self, x: Shape) -> Any:
        """Windows on x, one per pixel of z."""
        return windows(x[1:], self.factor, self.factor).frame(x[0], x[-1])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        if self.mode == "bilinear":
            return kernels(x).Bilinear(z, x, *self.sizes(z.shape))
        return kernels(x).WindowSpread(z, None, x, 1, self.frame(x.shape))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        found = kernels(delta)
        if self.mode == "bilinear":
            return found.BilinearAdjoint(epsilon, delta, *self.sizes(delta.shape))
        return found.WindowSum(epsilon, None, delta, 1, self.frame(epsilon.shape))


@dataclass(frozen=True)
class Decimate(Op):
    """x(j) = z(s j);   delta(s j) = epsilon(j), zeros between"""

    stride: Any
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        return Spec(windows(z[0], 1, self.stride).x(z[0][-1]))

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return windows(z[0], 1, self.stride).axes

    def frame(self, z: Shape) -> Any:
        """Windows of one pixel."""
        return windows(z[1:], 1, self.stride).frame(z[0], z[-1])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).WindowSum(z, None, x, 1, self.frame(z.shape))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        frame = self.frame(delta.shape)
        return kernels(delta).WindowSpread(epsilon, None, delta, 1, frame)


def upsample(
    z: Node, factor: Whole, mode: str = "nearest", name: str | None = None
) -> Node:
    """More pixels, by a whole factor.

    Parameters
    ----------
    z
        An image, or a signal with a factor of one axis.
    factor
        How many pixels come from one, per axis or for all.
    mode
        "nearest" repeats pixels; "bilinear" goes straight from one to the next, with
        pixels taken as areas: their middles lie half a pixel from the edge.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.upsample(dl.Input((7, 5, 3)), 2)
    <upsample: upsample 14x10x3>
    """
    return Node(Upsample(factor, mode), (z,), name)


def decimate(z: Node, stride: Whole, name: str | None = None) -> Node:
    """Every `stride`-th pixel, from the first on: ceil(N / stride) of them.

    Parameters
    ----------
    z
        An image, or a signal with a stride of one axis.
    stride
        From pixel to pixel, per axis or for all.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.decimate(dl.Input((7, 5, 3)), 2)
    <decimate: decimate 4x3x3>
    """
    return Node(Decimate(stride), (z,), name)


ROWS = (
    Row(Upsample, upsample, (
        Case(((1, 1, 1),), {"factor": 3}),
        Case(((7, 5, 3),), {"factor": (1, 2)}),
        Case(((3, 2, 17),), {"factor": 2}),
        Case(((9, 2),), {"factor": 2}),
        Case(((1, 1, 1),), {"factor": 2, "mode": "bilinear"}),
        Case(((4, 3, 17),), {"factor": 2, "mode": "bilinear"}),
        Case(((3, 5, 3),), {"factor": (3, 1), "mode": "bilinear"}),
        Case(((6, 2),), {"factor": 5, "mode": "bilinear"}),
    )),
    Row(Decimate, decimate, (
        Case(((1, 1, 1),), {"stride": 3}),
        Case(((7, 5, 3),), {"stride": (1, 2)}),
        Case(((7, 6, 17),), {"stride": 3}),
        Case(((9, 2),), {"stride": 2}),
    )),
)
