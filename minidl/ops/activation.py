"""Activations: one number in, one number out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Shape, Spec, number
from .row import Case, Row
from .window import pointwise

SHAPES = (Case(((1, 1, 1),)), Case(((7, 5, 3),)), Case(((17,),)))


class Activation(Op):
    """x = f(z) for each number; the kernels know f by its kind, and its settings in
    their order."""

    keeps: ClassVar[tuple[str, ...]] = ("x",)
    inplace: ClassVar[bool] = True
    joins: ClassVar[str | None] = "act"
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        return Spec(z[0])

    def tail(self, others: tuple[Any, ...], theta: Any) -> dict[str, Any]:
        return {"act": self.kind}

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Activate(z, x, self.kind, *vars(self).values())

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        kept = x if "x" in self.keeps else z
        return kernels(delta).ActivateAdjoint(
            epsilon, kept, delta, self.kind, *vars(self).values()
        )


@dataclass(frozen=True)
class Relu(Activation):
    """x = max(z, 0);   delta = epsilon * (x > 0)"""

    kinks: ClassVar[bool] = True


@dataclass(frozen=True)
class Relu6(Activation):
    """x = min(max(z, 0), 6);   delta = epsilon * (0 < x < 6)"""

    kinks: ClassVar[bool] = True


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x = z if z > 0 else slope * z;   delta = epsilon * (1 if x > 0 else slope)"""

    slope: float = 0.01
    kinks: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        number("slope", self.slope, low=0)
        return Spec(z[0])

    def tail(self, others: tuple[Any, ...], theta: Any) -> dict[str, Any]:
        return {"act": self.kind, "slope": self.slope}


@dataclass(frozen=True)
class Sigmoid(Activation):
    """x = 1 / (1 + exp(-z));   delta = epsilon * x (1 - x)"""


@dataclass(frozen=True)
class Tanh(Activation):
    """x = tanh(z);   delta = epsilon * (1 - x^2)"""


@dataclass(frozen=True)
class ScaledTanh(Activation):
    """x = a tanh(s z), a amplitude, s slope;   delta = epsilon * (s / a) (a^2 - x^2)"""

    amplitude: float = 1.7159
    slope: float = 2 / 3

    def infer(self, *z: Shape) -> Spec:
        for name in ("amplitude", "slope"):
            number(name, getattr(self, name), above=0)
        return Spec(z[0])

    @property
    def joins(self) -> str | None:  # type: ignore[override]
        """A tail knows the default constants alone."""
        return None if self.settings() else "act"


@dataclass(frozen=True)
class Swish(Activation):
    """x = z s, s = 1 / (1 + exp(-z));   delta = epsilon * (s + z s (1 - s))"""

    keeps: ClassVar[tuple[str, ...]] = ("z",)


def relu(z: Node, name: str | None = None) -> Node:
    """x = max(z, 0)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.relu(dl.Input((4, 4, 3)))
    <relu: relu 4x4x3>
    """
    return Node(Relu(), (z,), name)


def relu6(z: Node, name: str | None = None) -> Node:
    """x = min(max(z, 0), 6)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.relu6(dl.Input((4, 4, 3)))
    <relu6: relu6 4x4x3>
    """
    return Node(Relu6(), (z,), name)


def leaky_relu(z: Node, slope: float = 0.01, name: str | None = None) -> Node:
    """x = z where z > 0, else slope * z

    Examples
    --------
    >>> import minidl as dl
    >>> dl.leaky_relu(dl.Input((4, 4, 3)), slope=0.1)
    <leaky_relu: leaky_relu 4x4x3>
    """
    return Node(LeakyRelu(slope), (z,), name)


def sigmoid(z: Node, name: str | None = None) -> Node:
    """x = 1 / (1 + exp(-z))

    Examples
    --------
    >>> import minidl as dl
    >>> dl.sigmoid(dl.Input((10,)))
    <sigmoid: sigmoid 10>
    """
    return Node(Sigmoid(), (z,), name)


def tanh(z: Node, name: str | None = None) -> Node:
    """x = tanh(z)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.tanh(dl.Input((10,)))
    <tanh: tanh 10>
    """
    return Node(Tanh(), (z,), name)


def scaled_tanh(
    z: Node, amplitude: float = 1.7159, slope: float = 2 / 3, name: str | None = None
) -> Node:
    """x = amplitude * tanh(slope * z), which maps 1 to 1 and -1 to -1 by default

    Examples
    --------
    >>> import minidl as dl
    >>> dl.scaled_tanh(dl.Input((10,)))
    <scaled_tanh: scaled_tanh 10>
    """
    return Node(ScaledTanh(amplitude, slope), (z,), name)


def swish(z: Node, name: str | None = None) -> Node:
    """x = z / (1 + exp(-z)), also called SiLU

    Examples
    --------
    >>> import minidl as dl
    >>> dl.swish(dl.Input((10,)))
    <swish: swish 10>
    """
    return Node(Swish(), (z,), name)


ROWS = (
    Row(Relu, relu, SHAPES),
    Row(Relu6, relu6, SHAPES, range=(-3.0, 9.0)),
    Row(LeakyRelu, leaky_relu, (*SHAPES, Case(((5, 3),), {"slope": 0.25}))),
    Row(Sigmoid, sigmoid, SHAPES),
    Row(Tanh, tanh, SHAPES),
    Row(
        ScaledTanh,
        scaled_tanh,
        (*SHAPES, Case(((5, 3),), {"amplitude": 2.0, "slope": 0.5})),
    ),
    Row(Swish, swish, SHAPES),
)
