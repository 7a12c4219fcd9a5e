"""Windows on a grid: the words that pooling, im2col and resizing share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spec import Pad, Shape, ShapeError, several, sides, size


@dataclass(frozen=True)
class Axis:
    """Windows along one axis, as the kernels want to know them."""

    size: Any  # None where only a plan knows it, and so is `count`
    kernel: Any = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    count: Any = 1

    @property
    def reach(self) -> int:
        """From the first tap to the last, both counted."""
        return self.dilation * (int(self.kernel) - 1) + 1

    def spread(self, share: np.ndarray, along: int) -> np.ndarray:
        """How much each place counts if each window shares out evenly among its taps;
        what falls on padding is gone."""
        share = np.moveaxis(share, along, 0)
        found = np.zeros((self.size, *share.shape[1:]))
        for inside, at in self.taps():
            found[at] += share[inside] / self.kernel
        return np.moveaxis(found, 0, along)

    def collect(self, share: np.ndarray, along: int) -> np.ndarray:
        """How much each window counts if each place shares out evenly among those that
        reach it."""
        share = np.moveaxis(share, along, 0)
        reached = sum(np.bincount(at, minlength=self.size) for _, at in self.taps())
        found = np.zeros((self.count, *share.shape[1:]))
        for inside, at in self.taps():
            found[inside] += (share[at].T / reached[at]).T  # type: ignore[index]
        return np.moveaxis(found, 0, along)

    def taps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each tap the windows in which it lies on data, and on which place."""
        at = np.arange(self.count) * self.stride - self.before
        for tap in range(self.kernel):
            place = at + tap * self.dilation
            inside = np.flatnonzero((place >= 0) & (place < self.size))
            yield inside, place[inside]

    def inside(self, pads: bool) -> bool:
        """Whether all windows lie on data or, with `pads`, on padding."""
        before, after = (self.before, self.after) if pads else (0, 0)
        end = (self.count - 1) * self.stride + self.reach - self.before
        return self.before <= before and end <= self.size + after


def pointwise(op: Any, *z: Shape) -> tuple[Axis, ...]:
    """For an op whose x(j) is made of z(j) alone: windows of one place."""
    return tuple(Axis(n, count=n) for n in z[0][:-1])


@dataclass(frozen=True)
class Grid:
    """Windows on a signal (one axis) or an image (two)."""

    axes: tuple[Axis, ...]

    def x(self, c: int) -> Shape:
        """The shape of one value per window and channel."""
        return (*(axis.count for axis in self.axes), c)

    def frame(self, n: int, c: int) -> dict[str, Any]:
        """What the kernels ask for: a signal is an image of height 1."""
        h, w = (Axis(1), *self.axes)[-2:]
        return {"n": n, "c": c, "h": vars(h), "w": vars(w)}


def inner(z: Shape) -> Shape:
    """The one or two axes before the channels.

    Examples
    --------
    >>> inner((28, 28, 6)), inner((100, 1))
    ((28, 28), (100,))
    """
    if len(z) not in (2, 3):
        raise ShapeError(
            "expected an image (height, width, channels) or a signal (width, "
            f"channels), got a shape of {len(z)} axes; reshape it"
        )
    return z[:-1]


def windows(
    z: Shape,
    kernel: Any,
    stride: Any = 1,
    pad: Pad = "valid",
    dilation: Any = 1,
    ceil: bool = False,
) -> Grid:
    """The grid of windows on a z of this shape, which has no batch axis.

    Examples
    --------
    >>> windows((7, 5, 3), kernel=3, stride=2).x(3)
    (3, 2, 3)
    """
    sizes = inner(z)
    kernels = several("kernel", kernel, len(sizes))
    strides = several("stride", stride, len(sizes))
    dilations = several("dilation", dilation, len(sizes))
    around = sides(pad, kernels, dilations)
    names = ("height", "width")[-len(sizes) :]
    found = []
    for what, n, k, s, d, both in zip(
        names, sizes, kernels, strides, dilations, around, strict=True
    ):
        count = size(what, n, k, s, both, d, ceil)
        found.append(Axis(n, k, s, d, both[0], both[1], count))
    return Grid(tuple(found))
