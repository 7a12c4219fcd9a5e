"""Softmax: positive numbers that sum to 1 over the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Shape, Spec
from .row import Case, Row
from .window import pointwise


@dataclass(frozen=True)
class Softmax(Op):
    """x = exp(z) / sum exp(z), over channels;   delta = x (epsilon - sum epsilon x)"""

    keeps: ClassVar[tuple[str, ...]] = ("x",)
    inplace: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(z[0])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Softmax(z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(delta).SoftmaxAdjoint(epsilon, x, delta)


def softmax(z: Node, name: str | None = None) -> Node:
    """x = exp(z) / sum exp(z) over the channels, at each position by itself

    The largest z is subtracted before, which changes nothing but keeps exp in range.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.softmax(dl.Input((10,)))
    <softmax: softmax 10>
    """
    return Node(Softmax(), (z,), name)


SHAPES = (Case(((1,),)), Case(((17,),)), Case(((7, 5, 3),)), Case(((1, 1, 33),)))
ROWS = (Row(Softmax, softmax, SHAPES),)
