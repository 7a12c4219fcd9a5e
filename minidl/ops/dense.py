"""The dense layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Book, Param, Shape, ShapeError, Spec, whole
from . import rows
from .grid import Geometry
from .product import Init, sum_bytes, sum_rows
from .row import Case, Row

# So many rows share the weights that packing them pays: with 2048 x 2048 of them the
# product of a convolution makes x and delta of 256 rows 1.25 and 1.3 times faster, and
# needs longer for delta of 64 (AVX-512 Xeon, 2 threads).
MANY = 256


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
        if z[0] < MANY:
            return Book(scratch=k.Dense.scratch(*z, x[1]), adjoint_scratch=back)
        found = rows.book(pixel(z[0], z[1], x[1]), threads, itemsize)
        return replace(found, adjoint_scratch=max(found.adjoint_scratch, back))

    def prepare(self, theta: Any) -> Any:
        if not hasattr(theta, "rows"):
            return None
        i, o = theta.w.shape
        return rows.prepare(pixel(1, i, o), theta)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        b = theta.b if self.bias else None
        if len(z) < MANY:
            return kernels(x).Dense(z, theta.w, b, x, scratch, tail)
        shape = pixel(len(z), z.shape[1], x.shape[1])
        image, into = z[:, None, None], x[:, None, None]
        return rows.forward(shape, image, theta, into, scratch, b, tail)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        k, made = kernels(epsilon), []
        if delta is not None and len(delta) < MANY:
            made.append(k.DenseDelta(epsilon, theta.w, delta))
        elif delta is not None:
            n, i = delta.shape
            shape, into = pixel(n, i, self.units), delta[:, None, None]
            made += rows.delta(shape, theta.w, epsilon[:, None, None], into, scratch)
        if g.w is not None:
            made.append(k.DenseWeights(z, epsilon, g.w, scratch, theta.w))
        if self.bias and g.b is not None:
            made.append(sum_rows(epsilon, g.b, scratch))
        return made


def pixel(n: int, i: int, units: int) -> Geometry:
    """The convolution of one pixel that a dense layer is."""
    one, none = (1, 1), ((0, 0), (0, 0))
    return Geometry(n, one, one, i, units, one, one, one, none, 1, False)


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
