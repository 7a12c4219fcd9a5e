"""The same entries in another order or shape: flatten, reshape, transpose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Shape, ShapeError, Spec, several, whole
from .row import Case, Row


class Rearranged(Op):
    """x = z, its axes in another order, then in another shape; delta the way back"""

    keeps: ClassVar[tuple[str, ...]] = ()

    def axes_of(self, count: int) -> tuple[int, ...]:
        """The order of the axes of one example."""
        return tuple(range(count))

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        order = self.axes_of(len(z[0]))
        channels = self.infer(*z).x[-1]
        full = np.repeat(share[..., None] / channels, channels, -1)
        full = full.reshape([z[0][axis] for axis in order])
        return (full.transpose(np.argsort(order)).sum(-1),)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        z = z.transpose(0, *(1 + axis for axis in self.axes_of(z.ndim - 1)))
        return kernels(x).Move(z, x.reshape(z.shape))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        order = (0, *(1 + axis for axis in self.axes_of(delta.ndim - 1)))
        epsilon = epsilon.reshape([delta.shape[axis] for axis in order])
        return kernels(delta).Move(epsilon.transpose(np.argsort(order)), delta)


def _count(shape: Shape) -> int:
    if None in shape:
        raise ShapeError(
            f"expected a known size, got {show(shape)}; give the Input its "
            "height and width, or pool over them first"
        )
    return math.prod(shape)


ORDERS = ("row", "column", "channel")


@dataclass(frozen=True)
class Flatten(Rearranged):
    """x = vec(z);   delta = vec^-1(epsilon)

    row      x[(i W + j) C + k] = z[i, j, k], the order in memory
    column   x[(k W + j) H + i] = z[i, j, k], the columns of each map, map after map
    channel  x[(k H + i) W + j] = z[i, j, k], the rows of each map, map after map
    """

    order: str = "row"

    @property
    def view(self) -> bool:  # type: ignore[override]  # only the row order is free
        """Whether nothing moves."""
        return self.order == "row"

    def infer(self, *z: Shape) -> Spec:
        if self.order not in ORDERS:
            raise ShapeError(f"order: expected one of {ORDERS}, got {self.order!r}")
        return Spec((_count(z[0]),))

    def axes_of(self, count: int) -> tuple[int, ...]:
        axes = tuple(range(count))
        turned = {"row": axes, "column": axes[::-1], "channel": axes[-1:] + axes[:-1]}
        return turned[self.order]


def flatten(z: Node, order: str = "row", name: str | None = None) -> Node:
    """All entries of an example in one axis.

    Parameters
    ----------
    z
        The node to flatten.
    order
        "row": as in memory, channels fastest. "column": the columns of each map, map
        after map. "channel": the rows of each map, map after map, which is the order of
        frameworks that put channels first.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.flatten(dl.Input((5, 5, 16)), "column")
    <flatten: flatten 400>
    """
    return Node(Flatten(order), (z,), name)


@dataclass(frozen=True)
class Reshape(Rearranged):
    """x = z in another shape;   delta = epsilon in the shape of z"""

    shape: int | tuple[int, ...]
    view: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        count = _count(z[0])
        shape = self.shape if isinstance(self.shape, tuple | list) else (self.shape,)
        known = math.prod(whole("shape", n) for n in shape if n != -1)
        free = sum(n == -1 for n in shape)
        if free > 1 or count % known or (not free and count != known):
            raise ShapeError(
                f"{show(z[0])} has {count} entries, which do not fill "
                f"{tuple(shape)}; sizes must multiply to {count}, and one may be -1"
            )
        return Spec(tuple(count // known if n == -1 else int(n) for n in shape))


def reshape(z: Node, shape: int | tuple[int, ...], name: str | None = None) -> Node:
    """The same entries in another shape; their order in memory stays.

    Parameters
    ----------
    z
        The node to reshape.
    shape
        The shape of one example, without the batch axis; one size may be -1.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.reshape(dl.Input((4, 6, 1)), (2, -1, 3))
    <reshape: reshape 2x4x3>
    """
    return Node(Reshape(shape), (z,), name)


@dataclass(frozen=True)
class Transpose(Rearranged):
    """x(j_axes) = z(j);   delta(j) = epsilon(j_axes)"""

    axes: tuple[int, ...]

    def infer(self, *z: Shape) -> Spec:
        count = len(z[0])
        if sorted(several("axes", self.axes, count, 0)) != list(range(count)):
            raise ShapeError(
                f"axes: expected each of 0 to {count - 1} once, got {self.axes!r}"
            )
        x = tuple(z[0][axis] for axis in self.axes)
        _count(x[-1:])
        return Spec(x)

    def axes_of(self, count: int) -> tuple[int, ...]:
        return self.axes


def transpose(z: Node, axes: tuple[int, ...], name: str | None = None) -> Node:
    """The axes of an example in another order.

    Parameters
    ----------
    z
        The node to transpose.
    axes
        For each axis of the result, the axis of `z` it is; the batch does not count.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.transpose(dl.Input((4, 6, 3)), (2, 0, 1))
    <transpose: transpose 3x4x6>
    """
    return Node(Transpose(axes), (z,), name)


ROWS = (
    Row(Flatten, flatten, (
        Case(((1, 1, 1),)),
        Case(((7, 5, 3),)),
        Case(((7, 5, 3),), {"order": "column"}),
        Case(((7, 5, 17),), {"order": "channel"}),
        Case(((17,),), {"order": "column"}),
    )),
    Row(Reshape, reshape, (
        Case(((7, 5, 3),), {"shape": (5, -1)}),
        Case(((12,),), {"shape": (2, 2, 3)}),
    )),
    Row(Transpose, transpose, (
        Case(((7, 5, 3),), {"axes": (1, 0, 2)}),
        Case(((7, 5, 17),), {"axes": (2, 0, 1)}),
        Case(((1, 5, 3),), {"axes": (0, 1, 2)}),
        Case(((70, 66),), {"axes": (1, 0)}),
    )),
)
