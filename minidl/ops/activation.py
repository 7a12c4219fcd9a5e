"""Activations: one number in, one number out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Shape, Spec
from .row import Case, Row

SHAPES = (Case(((1, 1, 1),)), Case(((7, 5, 3),)), Case(((17,),)))


class Activation(Op):
    """x = f(z) for each number; the adjoint rereads x alone."""

    keeps: ClassVar[tuple[str, ...]] = ("x",)
    inplace: ClassVar[bool] = True
    joins: ClassVar[str | None] = "act"

    def infer(self, *z: Shape) -> Spec:
        """The shape of z."""
        return Spec(z[0])

    def tail(self, others: tuple[Any, ...], theta: Any) -> dict[str, Any]:
        """Its name, which the kernels know it by."""
        return {"act": self.kind}


@dataclass(frozen=True)
class Relu(Activation):
    """x = max(z, 0);   delta = epsilon * (x > 0)"""

    kinks: ClassVar[bool] = True

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        """x = max(z, 0)"""
        return kernels(x).Relu(z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        """delta = epsilon * (x > 0)"""
        return kernels(x).ReluAdjoint(epsilon, x, delta)


def relu(z: Node, name: str | None = None) -> Node:
    """x = max(z, 0)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.relu(dl.Input((4, 4, 3)))
    <relu: relu 4x4x3>
    """
    return Node(Relu(), (z,), name)


ROWS = (Row(Relu, relu, SHAPES),)
