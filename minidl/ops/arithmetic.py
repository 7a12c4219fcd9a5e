"""Sums and products of nodes, and of a node and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Shape, ShapeError, Spec, alike, number
from .row import Case, Row
from .window import Axis, pointwise

PAIRS = (
    Case(((1, 1, 1), (1, 1, 1))),
    Case(((7, 5, 3), (7, 5, 3))),
    Case(((17,), (17,))),
)


def _same(what: str, a: Shape, b: Shape) -> Shape:
    """The shape of two inputs that must agree, with what is known of either."""
    if not alike(a, b):
        raise ShapeError(
            f"{what} {show(a)} and {show(b)}: expected two nodes of one shape; bring "
            "them to it, for example with conv(kernel=1), pad or crop"
        )
    return tuple(q if p is None else p for p, q in zip(a, b, strict=True))


@dataclass(frozen=True)
class Add(Op):
    """x = a + b;   delta_a = delta_b = epsilon"""

    keeps: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[bool] = True
    passes: ClassVar[bool] = True
    joins: ClassVar[str | None] = "add"
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(_same("add", *z))

    def tail(self, others: tuple[Any, ...], theta: Any) -> dict[str, Any]:
        return {"add": others[0]}

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Add(*z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return [kernels(d).Linear(epsilon, d) for d in delta if d is not None]


@dataclass(frozen=True)
class Subtract(Op):
    """x = a - b;   delta_a = epsilon, delta_b = -epsilon"""

    keeps: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(_same("subtract", *z))

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Add(*z, x, -1)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return [
            kernels(d).Linear(epsilon, d, sign)
            for d, sign in zip(delta, (1, -1), strict=True)
            if d is not None
        ]


@dataclass(frozen=True)
class Multiply(Op):
    """x = a b;   delta_a = epsilon b, delta_b = epsilon a

    b may have one number per channel, which is then a factor for all positions, and
    delta_b a sum over them.
    """

    keeps: ClassVar[tuple[str, ...]] = ("z",)
    inplace: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        a, b = z
        if len(a) == len(b) and _per_channel(b) and a[-1] == b[-1]:
            return Spec(a)
        return Spec(_same("multiply", a, b))

    def windows(self, *z: Shape) -> tuple[Axis, ...] | None:
        return pointwise(self, *z) if z[0] == z[1] else None

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        half = share / 2
        return half, half if z[0] == z[1] else half.sum().reshape(z[1][:-1])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        a, b = z
        return _product(a, b, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        a, b = z
        delta_a, delta_b = delta
        found = []  # delta_b first: delta_a may lie where epsilon is
        if delta_b is not None and a.size == b.size:
            found.append(kernels(delta_b).Multiply(epsilon, a, delta_b))
        elif delta_b is not None:
            found.append(kernels(delta_b).GateAdjoint(epsilon, a, delta_b))
        if delta_a is not None:
            found.append(_product(epsilon, b, delta_a))
        return found


def _per_channel(shape: Shape) -> bool:
    return len(shape) > 1 and all(n == 1 for n in shape[:-1])


def _product(a: Any, b: Any, x: Any) -> Any:
    return (kernels(x).Multiply if a.size == b.size else kernels(x).Gate)(a, b, x)


@dataclass(frozen=True)
class Scale(Op):
    """x = factor z + shift;   delta = factor epsilon"""

    factor: float = 1.0
    shift: float = 0.0
    keeps: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        number("factor", self.factor)
        number("shift", self.shift)
        return Spec(z[0])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Linear(z, x, self.factor, self.shift)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).Linear(epsilon, delta, self.factor)


def _scaled(z: Any, factor: Any, shift: Any, name: str | None) -> Node:
    return Node(Scale(factor, shift), (z,), name)


def add(a: Node | float, b: Node | float, name: str | None = None) -> Node:
    """x = a + b, also written a + b; one of them may be a number

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((4, 4, 3))
    >>> dl.add(z, z), z + 1.0
    (<add: add 4x4x3>, <scale: scale 4x4x3>)
    """
    if isinstance(a, Node) and isinstance(b, Node):
        return Node(Add(), (a, b), name)
    return _scaled(a, 1, b, name) if isinstance(a, Node) else _scaled(b, 1, a, name)


def subtract(a: Node | float, b: Node | float, name: str | None = None) -> Node:
    """x = a - b, also written a - b; one of them may be a number

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((4, 4, 3))
    >>> dl.subtract(z, z), 1.0 - z
    (<subtract: subtract 4x4x3>, <scale: scale 4x4x3>)
    """
    if isinstance(a, Node) and isinstance(b, Node):
        return Node(Subtract(), (a, b), name)
    return _scaled(a, 1, -b, name) if isinstance(a, Node) else _scaled(b, -1, a, name)


def multiply(a: Node | float, b: Node | float, name: str | None = None) -> Node:
    """x = a b, also written a * b; one of them may be a number

    One of two nodes may have a number per channel, shaped like 1x1xc: a gate for all
    positions.

    Examples
    --------
    >>> import minidl as dl
    >>> z, gate = dl.Input((4, 4, 3)), dl.Input((1, 1, 3))
    >>> dl.multiply(z, gate), z / 2
    (<multiply: multiply 4x4x3>, <scale: scale 4x4x3>)
    """
    if isinstance(a, Node) and isinstance(b, Node):
        pair = (b, a) if _per_channel(a.shape) and not _per_channel(b.shape) else (a, b)
        return Node(Multiply(), pair, name)
    return _scaled(a, b, 0, name) if isinstance(a, Node) else _scaled(b, a, 0, name)


def scale(
    z: Node, factor: float = 1.0, shift: float = 0.0, name: str | None = None
) -> Node:
    """x = factor z + shift

    Examples
    --------
    >>> import minidl as dl
    >>> dl.scale(dl.Input((4, 4, 3)), factor=1 / 255)
    <scale: scale 4x4x3>
    """
    return Node(Scale(factor, shift), (z,), name)


Node.arithmetic.update(add=add, subtract=subtract, multiply=multiply)
GATED = (Case(((7, 5, 3), (1, 1, 3))), Case(((3, 2, 17), (1, 1, 17))))
ROWS = (
    Row(Add, add, PAIRS),
    Row(Subtract, subtract, PAIRS),
    Row(Multiply, multiply, (*PAIRS, *GATED)),
    Row(Scale, scale, (Case(((7, 5, 3),), {"factor": -1.5, "shift": 0.5}),)),
)
