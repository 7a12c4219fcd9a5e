"""Filters that differ from place to place: locally connected and tiled convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Pad, Param, Shape, ShapeError, Spec, several, sides, size, whole
from .product import Init
from .row import Case, Row
from .window import Axis, windows


@dataclass(frozen=True)
class Place:
    """The settings with one entry per axis, as the kernels read them."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Local(Op):
    """x[i,j] = patch(z)[i,j] w[i,j] + b[i,j];   delta = sum epsilon[i,j] w[i,j]^T, g_w[i,j] = patch(z)[i,j]^T epsilon[i,j], g_b = epsilon"""  # noqa: E501

    filters: int
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    pad: Pad = "valid"
    dilation: int | tuple[int, ...] = 1
    bias: bool = True
    init: Init = "he"

    keeps: ClassVar[tuple[str, ...]] = ("z",)

    def place(self) -> Place:
        """The settings per axis."""
        kernel, stride, dilation = (
            several(name, getattr(self, name), 2)
            for name in ("kernel", "stride", "dilation")
        )
        return Place(kernel, stride, dilation, sides(self.pad, kernel, dilation))

    def tile(self, out: Shape) -> tuple[int, int]:
        """After how many positions the filters repeat: never."""
        if None in out:
            raise ShapeError(
                "its filters belong to positions, so height and width must be known"
            )
        return out[0], out[1]

    def infer(self, *z: Shape) -> Spec:
        if len(z[0]) != 3:
            raise ShapeError(
                f"expected (height, width, channels), got {len(z[0])} axes"
            )
        at = self.place()
        out = tuple(
            size(*each) for each in zip(
                ("height", "width"), z[0][:2], at.kernel, at.stride, at.pad,
                at.dilation, strict=True,
            )
        )
        f = whole("filters", self.filters)
        fan = (prod(at.kernel) * z[0][2], prod(at.kernel) * f)
        tile = self.tile(out)
        theta = {"w": Param((*tile, *at.kernel, z[0][2], f), self.init, fan)}
        if self.bias:
            theta["b"] = Param((*tile, f))
        return Spec((*out, f), theta)

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return windows(z[0], self.kernel, self.stride, self.pad, self.dilation).axes

    def macs(self, z: Shape, x: Shape) -> int:
        return prod(x) * prod(self.place().kernel) * z[-1]

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        b = theta.b if self.bias else None
        return kernels(x).Local(z, theta.w, b, x, self.place())

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        made, k = [], kernels(epsilon)
        if delta is not None:
            made.append(k.LocalDelta(epsilon, theta.w, delta, self.place()))
        if g.w is not None:
            g_b = g.b if self.bias else None
            made.append(k.LocalWeights(z, epsilon, g.w, g_b, self.place()))
        return made


@dataclass(frozen=True)
class Tiled(Local):
    """x[i,j] = patch(z)[i,j] w[i % t, j % t] + b[i % t, j % t];   delta, g as if w were copied to each place, and g added up"""  # noqa: E501

    repeat: int | tuple[int, ...] = 2

    def tile(self, out: Shape) -> tuple[int, int]:
        """After how many positions the filters repeat."""
        down, right = several("repeat", self.repeat, 2)
        return down, right


def locally_connected(
    z: Node,
    filters: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    pad: Pad = "valid",
    dilation: int | tuple[int, ...] = 1,
    bias: bool = True,
    init: Init = "he",
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """A convolution with filters of its own at every position ("unshared").

    w is [rows, cols, kh, kw, c, filters], b [rows, cols, filters].

    Examples
    --------
    >>> import minidl as dl
    >>> x = dl.locally_connected(dl.Input((6, 6, 3)), 4, kernel=3)
    >>> x.shape, x.spec.theta["w"].shape
    ((4, 4, 4), (4, 4, 3, 3, 3, 4))
    """
    op = Local(filters, kernel, stride, pad, dilation, bias, init)
    return Node(op, (z,), name, share)


def tiled_conv(
    z: Node,
    filters: int,
    kernel: int | tuple[int, ...],
    repeat: int | tuple[int, ...] = 2,
    stride: int | tuple[int, ...] = 1,
    pad: Pad = "valid",
    dilation: int | tuple[int, ...] = 1,
    bias: bool = True,
    init: Init = "he",
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """A convolution whose filters repeat after `repeat` positions: 1 is a convolution.

    w is [repeat, repeat, kh, kw, c, filters], b [repeat, repeat, filters].

    Examples
    --------
    >>> import minidl as dl
    >>> x = dl.tiled_conv(dl.Input((6, 6, 3)), 4, kernel=3, repeat=2)
    >>> x.shape, x.spec.theta["w"].shape
    ((4, 4, 4), (2, 2, 3, 3, 3, 4))
    """
    op = Tiled(filters, kernel, stride, pad, dilation, bias, init, repeat)
    return Node(op, (z,), name, share)


SHAPES: tuple[tuple[Shape, dict[str, Any]], ...] = (
    ((1, 1, 1), {"filters": 1, "kernel": 1}),
    ((7, 5, 3), {"filters": 4, "kernel": (3, 2), "stride": 2, "pad": "same"}),
    ((5, 4, 17), {"filters": 3, "kernel": 2, "dilation": 2, "pad": 1, "bias": False}),
)
ROWS = (
    Row(Local, locally_connected, tuple(Case((s,), more) for s, more in SHAPES)),
    Row(
        Tiled,
        tiled_conv,
        tuple(
            Case((s,), more | {"repeat": t})
            for (s, more), t in zip(SHAPES, (1, (2, 3), 3), strict=True)
        ),
    ),
)
