"""Learned factors, summands and slopes for each number, or for all along some axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..init import constant
from ..spec import Book, Param, Shape, ShapeError, Spec, whole
from .row import Case, Row
from .window import pointwise

QUARTER = constant(0.25)


def spread(z: Shape, shape: Shape | None) -> tuple[int, ...]:
    """The shape of theta: that of z, with 1 along the axes where it is the same."""
    if shape is None:
        if not z:
            raise ShapeError("expected an axis of channels, got a scalar")
        return (*(1,) * (len(z) - 1), z[-1])
    sizes = tuple(whole("shape", n) for n in shape)
    sizes = (1,) * (len(z) - len(sizes)) + sizes
    fits = len(sizes) == len(z)
    if not fits or any(n not in (1, m) for n, m in zip(sizes, z, strict=True)):
        raise ShapeError(
            f"shape: expected the sizes of {show(z)}, or 1 where theta is the same "
            f"along an axis, got {tuple(shape)}; an axis of open size can only be 1"
        )
    return sizes


def gather(values: Any, into: Any) -> None:
    """The sum over the batch and the axes where `into` has size 1."""
    axes = tuple(i + 1 for i, n in enumerate(into.shape) if n == 1)
    kept = (1, *into.shape)
    np.sum(values, axis=(0, *axes), keepdims=True, out=into.reshape(kept))


@dataclass(frozen=True)
class Affine(Op):
    """x = w z + b;   delta = w epsilon, g_w = sum epsilon z, g_b = sum epsilon

    The sums are over the batch and the axes along which w and b are the same.
    """

    shape: tuple[int, ...] | None = None
    factor: bool = True
    bias: bool = True
    keeps: ClassVar[tuple[str, ...]] = ("z",)
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        if not (self.factor or self.bias):
            raise ShapeError("expected a factor, a bias or both")
        shape = spread(z[0], self.shape)
        theta = {"w": Param(shape, "ones")} if self.factor else {}
        return Spec(z[0], theta | ({"b": Param(shape)} if self.bias else {}))

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        return Book(adjoint_scratch=prod(x) * itemsize if self.factor else 0)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        w, b = getattr(theta, "w", None), getattr(theta, "b", None)
        if w is not None and w.size == w.shape[-1] == x.shape[-1]:  # one per channel
            return kernels(x).ScaleShift(z, w, b, x)
        if w is not None:
            np.multiply(z, w, out=x)
        if b is not None:
            np.add(z if w is None else x, b, out=x)
        return None

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        if self.factor and g.w is not None:
            part = scratch.view(epsilon.dtype).reshape(epsilon.shape)
            gather(np.multiply(epsilon, z, out=part), g.w)
        if self.bias and g.b is not None:
            gather(epsilon, g.b)
        if delta is not None and self.factor:
            np.multiply(epsilon, theta.w, out=delta)
        elif delta is not None:
            np.copyto(delta, epsilon)


@dataclass(frozen=True)
class Prelu(Op):
    """x = z if z > 0 else slope z;   delta = epsilon (1 if z > 0 else slope),
    g.slope = sum epsilon min(z, 0)"""

    shape: tuple[int, ...] | None = None
    init: Any = QUARTER
    keeps: ClassVar[tuple[str, ...]] = ("z",)
    kinks: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(z[0], {"slope": Param(spread(z[0], self.shape), self.init)})

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        size = prod(x) * itemsize
        return Book(scratch=size, adjoint_scratch=size)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any
    ) -> None:
        below = scratch.view(x.dtype).reshape(x.shape)
        np.minimum(z, 0, out=below)
        np.multiply(below, theta.slope, out=below)
        np.maximum(z, 0, out=x)
        np.add(x, below, out=x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        part = scratch.view(epsilon.dtype).reshape(epsilon.shape)
        if g.slope is not None:
            np.minimum(z, 0, out=part)
            gather(np.multiply(epsilon, part, out=part), g.slope)
        if delta is not None:
            np.multiply(epsilon, theta.slope, out=part)
            np.copyto(delta, epsilon)
            np.copyto(delta, part, where=z < 0)


def affine(
    z: Node,
    shape: tuple[int, ...] | None = None,
    factor: bool = True,
    bias: bool = True,
    name: str | None = None,
    share: Node | None = None,
) -> Node:
    """x = w z + b, number by number, with w and b to be learned.

    Parameters
    ----------
    z
        The node to scale and shift.
    shape
        The sizes of w and b: those of `z`, or 1 along axes where they are the same. A
        number per channel if not given.
    factor, bias
        Whether there is a w, and a b; they begin as 1 and 0.
    name
        The node's name.
    share
        A node whose parameters this one uses.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.affine(dl.Input((8, 8, 16)))
    >>> z, z.spec.theta["w"].shape
    (<affine: affine 8x8x16>, (1, 1, 16))
    """
    given = None if shape is None else tuple(shape)
    return Node(Affine(given, factor, bias), (z,), name, share)


def prelu(
    z: Node,
    shape: tuple[int, ...] | None = None,
    init: Any = QUARTER,
    name: str | None = None,
    share: Node | None = None,
) -> Node:
    """x = z where z > 0, else slope * z, with slopes to be learned.

    Parameters
    ----------
    z
        The node to bend.
    shape
        The sizes of the slopes, as in `affine`; one per channel if not given.
    init
        How the slopes start.
    name
        The node's name.
    share
        A node whose slopes this one uses.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.prelu(dl.Input((8, 8, 16)))
    <prelu: prelu 8x8x16>
    """
    given = None if shape is None else tuple(shape)
    return Node(Prelu(given, init), (z,), name, share)


SHAPED = (
    Case(((1, 1, 1),)),
    Case(((7, 5, 3),)),
    Case(((3, 2, 17),), {"shape": (3, 1, 1)}),
    Case(((3, 2, 17),), {"shape": (2, 17)}),
    Case(((17,),), {"shape": (1,)}),
)
ROWS = (
    Row(Affine, affine, (
        *SHAPED,
        Case(((7, 5, 3),), {"bias": False}),
        Case(((4, 3),), {"shape": (4, 1), "factor": False}),
    )),
    Row(Prelu, prelu, SHAPED),
)
