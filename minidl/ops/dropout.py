"""Dropout, and what it is at inference: the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Array, Book, Param, Shape, Spec, number
from .row import Case, Row
from .window import pointwise

SHAPES = (Case(((1, 1, 1),)), Case(((7, 5, 3),)), Case(((17,),)))


def _anywhere(shape: tuple[int, ...], fan: Any, rng: Any, dtype: Any) -> Any:
    """A start for the counter: far from that of any other node."""
    return rng.integers(1 << 62, size=shape)


@dataclass(frozen=True)
class Identity(Op):
    """x = z;   delta = epsilon"""

    keeps: ClassVar[tuple[str, ...]] = ()
    view: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(z[0])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Linear(z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).Linear(epsilon, delta)


@dataclass(frozen=True)
class Dropout(Op):
    """x = z m / (1 - rate);   delta = epsilon m / (1 - rate)

    m is 0 with probability `rate`, else 1. It follows from the buffer `draws` alone,
    which counts the passes: the adjoint draws it again, and a saved model goes on as
    if it had never stopped. At inference x = z.
    """

    rate: float = 0.5
    keeps: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        number("rate", self.rate, low=0, below=1)
        draws = Param((1,), _anywhere, buffer=True, dtype="int64")
        return Spec(z[0], {"draws": draws})

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        return Book(tape={"draw": Array((1,), "int64")})

    def inference(self) -> Op:
        return Identity()

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        k = kernels(x)
        return [k.Draw(theta.draws, tape.draw), k.Drop(z, x, tape.draw, self.rate)]

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).Drop(epsilon, delta, tape.draw, self.rate)


def identity(z: Node, name: str | None = None) -> Node:
    """x = z: a name for something

    Examples
    --------
    >>> import minidl as dl
    >>> dl.identity(dl.Input((10,)), name="features")
    <features: identity 10>
    """
    return Node(Identity(), (z,), name)


def dropout(z: Node, rate: float = 0.5, name: str | None = None) -> Node:
    """Set numbers to 0 at random while training, and make up for it with the others.

    Parameters
    ----------
    z
        The node to thin out.
    rate
        The probability that a number is dropped.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.dropout(dl.Input((4096,)), rate=0.5)
    <dropout: dropout 4096>
    """
    return Node(Dropout(rate), (z,), name)


ROWS = (
    Row(Identity, identity, SHAPES),
    Row(Dropout, dropout, (*SHAPES, Case(((33,),), {"rate": 0.1}))),
)
