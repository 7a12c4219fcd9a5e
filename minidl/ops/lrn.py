"""Local response normalisation across channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from .._ext.kernel import parts_of
from ..graph import Node, Op
from ..spec import Array, Book, Shape, ShapeError, Spec, whole
from .row import Case, Row
from .window import pointwise


@dataclass(frozen=True)
class Lrn(Op):
    """x = z B^-beta, B = k + a near(z^2);   a = alpha, or alpha / size
    delta = epsilon B^-beta - 2 a beta z near(epsilon x / B)

    near(v)(i) is the sum of v over `size` channels around i.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    divide: bool = True
    keeps: ClassVar[tuple[str, ...]] = ("z",)
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        whole("size", self.size)
        for name in ("alpha", "beta", "k"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and 0 <= value < math.inf
            if not number or (name == "k" and value == 0):
                raise ShapeError(
                    f"{name}: expected a number {'>' if name == 'k' else '>='} 0, got "
                    f"{value!r}"
                )
        return Spec(z[0])

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        size, c = math.prod(x), x[-1]
        scratch = parts_of(size // c, size) * (2 * c + self.size - 1) * itemsize
        return Book({"base": Array(x)}, scratch=scratch, adjoint_scratch=scratch)

    def constants(self) -> tuple[float, ...]:
        """size, a, beta, k"""
        a = self.alpha / self.size if self.divide else self.alpha
        return self.size, a, self.beta, self.k

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        base, row = getattr(tape, "base", None), scratch.view(x.dtype)
        return kernels(x).Lrn(z, x, base, row, self.constants())

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        row = scratch.view(epsilon.dtype)
        return kernels(delta).LrnAdjoint(
            epsilon, z, tape.base, delta, row, self.constants()
        )


def lrn(
    z: Node,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    divide: bool = True,
    name: str | None = None,
) -> Node:
    """Local response normalisation: each channel against its neighbours.

    Parameters
    ----------
    z
        The node to normalise, channels last.
    size
        How many channels count: from i - size // 2 on.
    alpha, beta, k
        The constants of the formula.
    divide
        Whether alpha is divided by `size`, as PyTorch and Caffe do and the paper of
        AlexNet does not.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.lrn(dl.Input((27, 27, 96)), divide=False)
    <lrn: lrn 27x27x96>
    """
    return Node(Lrn(size, alpha, beta, k, divide), (z,), name)


ROWS = (
    Row(Lrn, lrn, (
        Case(((1, 1, 1),), {"alpha": 0.5}),
        Case(((7, 5, 3),), {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 1.0}),
        Case(((7, 5, 17),), {"alpha": 0.5, "divide": False}),
        Case(((4, 2, 17),), {"size": 4, "alpha": 0.5}),
        Case(((17,),), {"size": 1, "alpha": 0.5}),
    )),
)
