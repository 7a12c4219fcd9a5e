"""The dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Book, Param, Shape, ShapeError, Spec, whole
from .product import Init, sum_bytes, sum_rows
from .row import Case, Row


@dataclass(frozen=True)
class Dense(Op):
    """x = z w + b;   delta = epsilon w^T, g_w = z^T epsilon, g_b = sum epsilon"""

    units: int
    bias: bool = True
    init: Init = "he"

    keeps: ClassVar[tuple[str, ...]] = ("z",)
    absorbs: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        if len(z[0]) != 1:
            raise ShapeError(
                f"expected a vector, got {show(z[0])}; put flatten or global pooling "
                "before it"
            )
        (i,), units = z[0], whole("units", self.units)
        theta = {"w": Param((i, units), self.init, (i, units), at_once=True)}
        return Spec((units,), theta | ({"b": Param((units,))} if self.bias else {}))

    def macs(self, z: Shape, x: Shape) -> int:
        return z[0] * z[1] * self.units

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        k = kernels(itemsize)
        back = max(k.DenseWeights.scratch(*x, threads), sum_bytes(x, itemsize))
        return Book(scratch=k.Dense.scratch(*z, x[1]), adjoint_scratch=back)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        b = theta.b if self.bias else None
        return kernels(x).Dense(z, theta.w, b, x, scratch, tail)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        k, made = kernels(epsilon), []
        if delta is not None:
            made.append(k.DenseDelta(epsilon, theta.w, delta))
        if g.w is not None:
            made.append(k.DenseWeights(z, epsilon, g.w, scratch, theta.w))
        if self.bias and g.b is not None:
            made.append(sum_rows(epsilon, g.b, scratch))
        return made


def dense(
    z: Node,
    units: int,
    bias: bool = True,
    init: Init = "he",
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """Every output reads every input: x = z w + b, with w [in, out].

    Examples
    --------
    >>> import minidl as dl
    >>> dl.dense(dl.flatten(dl.Input((4, 4, 3))), 10)
    <dense: dense 10>
    """
    return Node(Dense(units, bias, init), (z,), name, share)


ROWS = (
    Row(
        Dense,
        dense,
        (
            Case(((1,),), {"units": 1}),
            Case(((17,),), {"units": 3}),
            Case(((300,),), {"units": 35, "bias": False}),
        ),
    ),
)
