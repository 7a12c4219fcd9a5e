"""Windows as rows of a matrix, and back: each is the other's adjoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Pad, Shape, ShapeError, Spec
from .row import Case, Row
from .window import Axis, Grid, windows

Whole = int | tuple[int, ...]


@dataclass(frozen=True)
class Im2col(Op):
    """x(j) = [z(s j + d r) for all r];   delta(p) = sum_{s j + d r = p} epsilon(j)_r"""

    kernel: Any
    stride: Any = 1
    pad: Pad = "valid"
    dilation: Any = 1
    keeps: ClassVar[tuple[str, ...]] = ()

    def grid(self, z: Shape) -> Grid:
        """The windows on a z of this shape, which has no batch axis."""
        return windows(z, self.kernel, self.stride, self.pad, self.dilation)

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return self.grid(z[0]).axes

    def frame(self, z: Shape) -> dict[str, Any]:
        """The same for the kernels; this shape begins with the batch."""
        return self.grid(z[1:]).frame(z[0], z[-1])

    def infer(self, *z: Shape) -> Spec:
        grid = self.grid(z[0])
        return Spec(grid.x(z[0][-1] * math.prod(axis.kernel for axis in grid.axes)))

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Im2col(z, x, self.frame(z.shape))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).Col2im(epsilon, delta, self.frame(delta.shape))


@dataclass(frozen=True)
class Col2im(Op):
    """x(p) = sum_{s j + d r = p} z(j)_r;   delta(j) = [epsilon(s j + d r) for all r]"""

    shape: tuple[int, ...]
    kernel: Any
    stride: Any = 1
    pad: Pad = "valid"
    dilation: Any = 1
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        if not isinstance(self.shape, tuple | list) or len(self.shape) not in (1, 2):
            raise ShapeError(f"shape: expected (height, width), got {self.shape!r}")
        *counts, c = z[0]
        image = (*self.shape, c)
        grid = windows(image, self.kernel, self.stride, self.pad, self.dilation)
        expected = grid.x(c)[:-1]
        alike = len(counts) == len(expected) and all(
            a is None or a == b for a, b in zip(counts, expected, strict=True)
        )
        taps = math.prod(axis.kernel for axis in grid.axes)
        if not alike or c % taps:
            raise ShapeError(
                f"an image {show(tuple(self.shape))} has {show(expected)} windows of "
                f"{taps} pixels, which {show(z[0])} does not hold; use the settings of "
                "the im2col that it undoes"
            )
        return Spec((*self.shape, c // taps))

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        image = (*self.shape, 1)
        grid = windows(image, self.kernel, self.stride, self.pad, self.dilation)
        for along, axis in enumerate(grid.axes):
            share = axis.collect(share, along)
        return (share,)

    def frame(self, x: Shape) -> dict[str, Any]:
        """The windows on x for the kernels."""
        grid = windows(x[1:], self.kernel, self.stride, self.pad, self.dilation)
        return grid.frame(x[0], x[-1])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Col2im(z, x, self.frame(x.shape))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).Im2col(epsilon, delta, self.frame(epsilon.shape))


def im2col(
    z: Node,
    kernel: Whole,
    stride: Whole = 1,
    pad: Pad = "valid",
    dilation: Whole = 1,
    name: str | None = None,
) -> Node:
    """The pixels under each window side by side: a convolution is then a product.

    Parameters
    ----------
    z
        An image, or a signal with a kernel of one axis.
    kernel, stride, pad, dilation
        As in `conv`.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.im2col(dl.Input((7, 5, 3)), 3, stride=2)
    <im2col: im2col 3x2x27>
    """
    return Node(Im2col(kernel, stride, pad, dilation), (z,), name)


def col2im(
    z: Node,
    shape: tuple[int, ...],
    kernel: Whole,
    stride: Whole = 1,
    pad: Pad = "valid",
    dilation: Whole = 1,
    name: str | None = None,
) -> Node:
    """The adjoint of `im2col`: every pixel the sum of its copies.

    Parameters
    ----------
    z
        What `im2col` gives, or of its shape.
    shape
        The (height, width) of the image, or the (width,) of the signal.
    kernel, stride, pad, dilation
        As in `im2col`.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.col2im(dl.Input((3, 2, 27)), (7, 5), 3, stride=2)
    <col2im: col2im 7x5x3>
    """
    return Node(Col2im(shape, kernel, stride, pad, dilation), (z,), name)


ROWS = (
    Row(Im2col, im2col, (
        Case(((1, 1, 1),), {"kernel": 1}),
        Case(((7, 5, 3),), {"kernel": 3, "stride": 2, "pad": "same"}),
        Case(((7, 5, 17),), {"kernel": (2, 3), "dilation": 2}),
        Case(((7, 5, 1),), {"kernel": 3, "stride": 3, "pad": 4, "dilation": (1, 2)}),
        Case(((9, 2),), {"kernel": 3, "pad": 1}),
    )),
    Row(Col2im, col2im, (
        Case(((1, 1, 1),), {"shape": (1, 1), "kernel": 1}),
        Case(((4, 3, 27),), {"shape": (7, 5), "kernel": 3, "stride": 2, "pad": "same"}),
        Case(((5, 1, 102),), {"shape": (7, 5), "kernel": (2, 3), "dilation": 2}),
        Case(((9, 6),), {"shape": (9,), "kernel": 3, "pad": 1}),
    )),
)
