"""Losses: ops of a prediction and a target whose x is one number for the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Array, Book, Shape, ShapeError, Spec, alike, number
from .row import Case, Row

CLASSES = (
    Case(((3,), ())),
    Case(((10,), ())),
    Case(((17,), ())),
    Case(((7, 5, 3), (7, 5))),
)
BY_CLASS = ("real", "int64")  # the target is a class number per position
PAIRS = tuple(Case((shape, shape)) for shape in ((1, 1, 1), (7, 5, 3), (17,)))


class Loss(Op):
    """x = the mean over the batch, and over all positions"""

    keeps: ClassVar[tuple[str, ...]] = ("z",)
    reduces: ClassVar[bool] = True


def _of_classes(z: tuple[Shape, ...]) -> Spec:
    """A loss of scores [..., c] and of labels [...]"""
    scores, labels = z
    if not scores or not alike(scores[:-1], labels):
        wanted = show(scores[:-1]) if scores else "..."
        raise ShapeError(
            f"expected one label for each row of scores, that is labels of the shape "
            f"{wanted} for scores {show(scores)}, got {show(labels)}; declare them as "
            f'Input({scores[:-1]}, dtype="int64")'
        )
    return Spec(())


def _of_numbers(z: tuple[Shape, ...]) -> Spec:
    """A loss of two arrays of one shape"""
    if not alike(*z):
        raise ShapeError(
            f"expected a target of the shape {show(z[0])} of the prediction, got "
            f"{show(z[1])}"
        )
    return Spec(())


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """x = mean(log sum exp(z) - sum q z),   delta = epsilon (softmax(z) - q) / rows

    q = (1 - smoothing) [label] + smoothing / c
    """

    smoothing: float = 0.0
    reads: ClassVar[tuple[str, ...]] = BY_CLASS

    def infer(self, *z: Shape) -> Spec:
        number("smoothing", self.smoothing, low=0, below=1)
        return _of_classes(z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        return Book(tape={"top_share": Array((*z[1], 2))})

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).SoftmaxCrossEntropy(*z, x, tape.top_share, self.smoothing)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(epsilon).SoftmaxCrossEntropyAdjoint(
            epsilon, *z, tape.top_share, delta[0], self.smoothing
        )


@dataclass(frozen=True)
class SoftCrossEntropy(Loss):
    """x = mean(sum q (log sum exp(z) - z)) over the rows

    delta_z = epsilon (softmax(z) sum q - q) / rows
    delta_q = epsilon (log sum exp(z) - z) / rows
    """

    def infer(self, *z: Shape) -> Spec:
        if not z[0]:
            raise ShapeError("expected scores with an axis of channels, got a scalar")
        return _of_numbers(z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        return Book(tape={"top_share": Array((*z[0][:-1], 2))})

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).SoftCrossEntropy(*z, x, tape.top_share)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        k = kernels(epsilon)
        return k.SoftCrossEntropyAdjoint(epsilon, *z, tape.top_share, *delta)


@dataclass(frozen=True)
class Hinge(Loss):
    """x = mean(sum over j of max(0, z_j - z_label + margin)), j not the label

    delta_j = epsilon / rows where that is above 0,   delta_label = -(their sum)
    """

    margin: float = 1.0
    reads: ClassVar[tuple[str, ...]] = BY_CLASS
    kinks: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        number("margin", self.margin, low=0)
        return _of_classes(z)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Hinge(*z, x, self.margin)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return kernels(epsilon).HingeAdjoint(epsilon, *z, delta[0], self.margin)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """x = mean (z - t)^2;   delta_z = epsilon 2 (z - t) / size,   delta_t = -delta_z"""

    def infer(self, *z: Shape) -> Spec:
        return _of_numbers(z)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).MeanSquaredError(*z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        slope = kernels(epsilon).MeanSquaredErrorAdjoint
        pairs = zip((z, z[::-1]), delta, strict=True)
        return [slope(epsilon, *pair, d) for pair, d in pairs if d is not None]


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """x = mean(log(1 + exp(z)) - z t)

    delta_z = epsilon (sigmoid(z) - t) / size,   delta_t = -epsilon z / size
    """

    def infer(self, *z: Shape) -> Spec:
        return _of_numbers(z)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).BinaryCrossEntropy(*z, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        k = kernels(epsilon)
        slopes = (k.BinaryCrossEntropyAdjoint, k.BinaryCrossEntropyTarget)
        pairs = zip(slopes, delta, strict=True)
        return [slope(epsilon, *z, d) for slope, d in pairs if d is not None]


def softmax_cross_entropy(
    logits: Node, labels: Node, smoothing: float = 0.0, name: str | None = None
) -> Node:
    """The mean of -log softmax(logits)[label] over the batch and all positions.

    Parameters
    ----------
    logits
        Scores [..., c], before any softmax.
    labels
        Class numbers below c, an input of dtype "int64" without the axis of channels.
    smoothing
        How much of each label's 1 is spread evenly over all classes.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> labels = dl.Input((), dtype="int64")
    >>> dl.softmax_cross_entropy(dl.Input((10,)), labels)
    <softmax_cross_entropy: softmax_cross_entropy scalar>
    """
    return Node(SoftmaxCrossEntropy(smoothing), (logits, labels), name)


def soft_cross_entropy(logits: Node, q: Node, name: str | None = None) -> Node:
    """The mean of -sum q log softmax(logits) over the batch and all positions.

    Parameters
    ----------
    logits
        Scores [..., c], before any softmax.
    q
        How much of each class: shares for mixed images, or a label times its weight.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.soft_cross_entropy(dl.Input((10,)), dl.Input((10,)))
    <soft_cross_entropy: soft_cross_entropy scalar>
    """
    return Node(SoftCrossEntropy(), (logits, q), name)


def hinge(
    scores: Node, labels: Node, margin: float = 1.0, name: str | None = None
) -> Node:
    """The mean of sum_j max(0, z_j - z_label + margin), over all j but the label.

    Parameters
    ----------
    scores
        Scores [..., c].
    labels
        Class numbers below c, an input of dtype "int64" without the axis of channels.
    margin
        By how much the score of the label should exceed all others.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.hinge(dl.Input((10,)), dl.Input((), dtype="int64"))
    <hinge: hinge scalar>
    """
    return Node(Hinge(margin), (scores, labels), name)


def mean_squared_error(z: Node, target: Node, name: str | None = None) -> Node:
    """The mean of (z - target)^2 over all numbers.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.mean_squared_error(dl.Input((4, 4, 3)), dl.Input((4, 4, 3)))
    <mean_squared_error: mean_squared_error scalar>
    """
    return Node(MeanSquaredError(), (z, target), name)


def binary_cross_entropy(logits: Node, target: Node, name: str | None = None) -> Node:
    """The mean of -t log s - (1 - t) log(1 - s), s = sigmoid(logits), over all numbers.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.binary_cross_entropy(dl.Input((4, 4, 1)), dl.Input((4, 4, 1)))
    <binary_cross_entropy: binary_cross_entropy scalar>
    """
    return Node(BinaryCrossEntropy(), (logits, target), name)


ROWS = (
    Row(
        SoftmaxCrossEntropy,
        softmax_cross_entropy,
        (*CLASSES, Case(((10,), ()), {"smoothing": 0.1})),
        labels=3,
    ),
    Row(SoftCrossEntropy, soft_cross_entropy, PAIRS),
    Row(Hinge, hinge, (*CLASSES, Case(((10,), ()), {"margin": 0.5})), labels=3),
    Row(MeanSquaredError, mean_squared_error, PAIRS),
    Row(BinaryCrossEntropy, binary_cross_entropy, PAIRS),
)
