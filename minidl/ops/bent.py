"""Activations with corners of their own: clip, elu, hard and thresholded ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import ClassVar

from ..graph import Node
from ..spec import Shape, ShapeError, Spec, number
from .activation import SHAPES, Activation
from .row import Case, Row


@dataclass(frozen=True)
class Clip(Activation):
    """x = min(max(z, low), high);   delta = epsilon * (low < x < high)"""

    low: float = -inf
    high: float = inf
    kinks: ClassVar[bool] = True
    joins: ClassVar[str | None] = None

    def infer(self, *z: Shape) -> Spec:
        for name in ("low", "high"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isnan(value):
                raise ShapeError(f"{name}: expected a number, got {value!r}")
        if not self.low < self.high:
            raise ShapeError(f"expected low < high, got {self.low} and {self.high}")
        return Spec(z[0])


@dataclass(frozen=True)
class Elu(Activation):
    """x = factor (z if z > 0 else alpha (exp(z / width) - 1))

    delta = epsilon * (factor if x > 0 else (x + factor alpha) / width)
    """

    alpha: float = 1.0
    width: float = 1.0
    factor: float = 1.0
    kinks: ClassVar[bool] = True
    joins: ClassVar[str | None] = None

    def infer(self, *z: Shape) -> Spec:
        number("alpha", self.alpha, low=0)
        for name in ("width", "factor"):
            number(name, getattr(self, name), above=0)
        return Spec(z[0])


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """x = min(max(slope z + shift, 0), 1);   delta = epsilon * slope * (0 < x < 1)"""

    slope: float = 1 / 6
    shift: float = 0.5
    kinks: ClassVar[bool] = True
    joins: ClassVar[str | None] = None

    def infer(self, *z: Shape) -> Spec:
        number("slope", self.slope)
        number("shift", self.shift)
        return Spec(z[0])


@dataclass(frozen=True)
class HardSwish(Activation):
    """x = z min(max(z / 6 + 1/2, 0), 1)

    delta = epsilon * (0 if z < -3, 1 if z > 3, else z / 3 + 1/2)
    """

    keeps: ClassVar[tuple[str, ...]] = ("z",)
    kinks: ClassVar[bool] = True


@dataclass(frozen=True)
class ThresholdedRelu(Activation):
    """x = z if z > threshold else 0;   delta = epsilon * (z > threshold)"""

    threshold: float = 1.0
    keeps: ClassVar[tuple[str, ...]] = ("z",)
    kinks: ClassVar[bool] = True
    joins: ClassVar[str | None] = None

    def infer(self, *z: Shape) -> Spec:
        number("threshold", self.threshold)
        return Spec(z[0])


def clip(
    z: Node, low: float = -inf, high: float = inf, name: str | None = None
) -> Node:
    """x = min(max(z, low), high)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.clip(dl.Input((4, 4, 3)), -1, 1)
    <clip: clip 4x4x3>
    """
    return Node(Clip(low, high), (z,), name)


def elu(
    z: Node,
    alpha: float = 1.0,
    width: float = 1.0,
    factor: float = 1.0,
    name: str | None = None,
) -> Node:
    """x = factor * z where z > 0, else factor * alpha * (exp(z / width) - 1)

    With alpha = 1.6733 and factor = 1.0507 it is SELU, with alpha = width CELU.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.elu(dl.Input((4, 4, 3)))
    <elu: elu 4x4x3>
    """
    return Node(Elu(alpha, width, factor), (z,), name)


def hard_sigmoid(
    z: Node, slope: float = 1 / 6, shift: float = 0.5, name: str | None = None
) -> Node:
    """x = min(max(slope * z + shift, 0), 1)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.hard_sigmoid(dl.Input((10,)))
    <hard_sigmoid: hard_sigmoid 10>
    """
    return Node(HardSigmoid(slope, shift), (z,), name)


def hard_swish(z: Node, name: str | None = None) -> Node:
    """x = z * min(max(z / 6 + 1/2, 0), 1)

    Examples
    --------
    >>> import minidl as dl
    >>> dl.hard_swish(dl.Input((10,)))
    <hard_swish: hard_swish 10>
    """
    return Node(HardSwish(), (z,), name)


def thresholded_relu(
    z: Node, threshold: float = 1.0, name: str | None = None
) -> Node:
    """x = z where z > threshold, else 0

    Examples
    --------
    >>> import minidl as dl
    >>> dl.thresholded_relu(dl.Input((10,)), 0.5)
    <thresholded_relu: thresholded_relu 10>
    """
    return Node(ThresholdedRelu(threshold), (z,), name)


ROWS = (
    Row(Clip, clip, (*SHAPES, Case(((5, 3),), {"low": -1, "high": 0.5}))),
    Row(Elu, elu, (
        *SHAPES, Case(((5, 3),), {"alpha": 2.0, "width": 0.5, "factor": 1.5}),
    )),
    Row(HardSigmoid, hard_sigmoid, (
        *SHAPES, Case(((5, 3),), {"slope": 0.5, "shift": 0.25}),
    )),
    Row(HardSwish, hard_swish, SHAPES, range=(-4.0, 4.0)),
    Row(ThresholdedRelu, thresholded_relu, (
        *SHAPES, Case(((5, 3),), {"threshold": -0.5}),
    )),
)
