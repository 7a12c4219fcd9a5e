"""Maxout: pooling across channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Array, Book, Shape, ShapeError, Spec, whole
from .row import Case, Row
from .window import pointwise

MOST = 256  # pieces: the place of the largest is kept in a byte


@dataclass(frozen=True)
class Maxout(Op):
    """x(f) = max_{i < p} z(p f + i);   delta(p f + i) = epsilon(f) at the first max"""

    pieces: int
    keeps: ClassVar[tuple[str, ...]] = ()
    kinks: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        *axes, c = z[0]
        pieces = whole("pieces", self.pieces)
        if pieces > MOST:
            raise ShapeError(f"pieces: at most {MOST}, got {pieces}")
        if c % pieces:
            raise ShapeError(
                f"{c} channels cannot be split into groups of {pieces}; use a number "
                f"of channels that is a multiple of {pieces}"
            )
        return Spec((*axes, c // pieces))

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        return Book({"at": Array(x, "uint8")})

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Maxout(z, x, getattr(tape, "at", None), self.pieces)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).MaxoutAdjoint(epsilon, tape.at, delta, self.pieces)


def maxout(z: Node, pieces: int, name: str | None = None) -> Node:
    """The largest of every `pieces` neighbouring channels.

    Parameters
    ----------
    z
        A node with a multiple of `pieces` channels.
    pieces
        How many channels become one.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.maxout(dl.Input((4, 4, 6)), 3)
    <maxout: maxout 4x4x2>
    """
    return Node(Maxout(pieces), (z,), name)


ROWS = (
    Row(Maxout, maxout, (
        Case(((1, 1, 1),), {"pieces": 1}),
        Case(((7, 5, 6),), {"pieces": 2}),
        Case(((7, 5, 51),), {"pieces": 3}),
        Case(((7, 5, 68),), {"pieces": 4}),
        Case(((17,),), {"pieces": 17}),
    )),
)
