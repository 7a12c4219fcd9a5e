"""Batch normalisation, in training and frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from .._ext.kernel import parts_of
from ..graph import Node, Op
from ..spec import Array, Book, Param, Shape, ShapeError, Spec
from .row import Case, Row
from .window import pointwise


def _scratch(z: Shape, itemsize: int) -> int:
    """Two sums in double and two in real for each part; three rows of real."""
    rows, c = math.prod(z[:-1]), z[-1]
    return c * (parts_of(rows, rows * c) * (2 * 8 + 2 * itemsize) + 3 * itemsize)


@dataclass(frozen=True)
class BatchNorm(Op):
    """x = gamma zhat + beta, zhat = (z - m) / s, s = sqrt(v + tiny)

    m and v: the mean and variance of a channel over batch, height and width. Then
    mean <- momentum mean + (1 - momentum) m, and var likewise from v, or from
    v N / (N - 1) where `unbiased`, N the number of values.

    delta = gamma / s (epsilon - <epsilon> - zhat <epsilon zhat>), <> the mean over them
    g.gamma = sum epsilon zhat,   g.beta = sum epsilon
    """

    momentum: float = 0.9
    tiny: float = 1e-5
    unbiased: bool = True
    keeps: ClassVar[tuple[str, ...]] = ("z",)
    inplace: ClassVar[bool] = True
    absorbs: ClassVar[bool] = True
    folds: ClassVar[bool] = True
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        if not isinstance(self.momentum, int | float) or not 0 <= self.momentum <= 1:
            raise ShapeError(
                f"momentum: expected the weight of the old statistics, from 0 to 1, "
                f"got {self.momentum!r}"
            )
        if not isinstance(self.tiny, int | float) or not 0 < self.tiny < math.inf:
            raise ShapeError(f"tiny: expected a small number > 0, got {self.tiny!r}")
        if not z[0]:
            raise ShapeError("expected an axis of channels, got a scalar")
        c = z[0][-1:]
        return Spec(z[0], {
            "gamma": Param(c, "ones"),
            "beta": Param(c, "zeros"),
            "mean": Param(c, "zeros", buffer=True),
            "var": Param(c, "ones", buffer=True),
        })

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        row, scratch = Array(x[-1:]), _scratch(x, itemsize)
        return Book({"mean": row, "inverse": row}, {}, scratch, scratch)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        return kernels(x).BatchNorm(
            z, theta.gamma, theta.beta, theta.mean, theta.var, tape.mean, tape.inverse,
            x, scratch, self.momentum, self.tiny, self.unbiased, tail,
        )

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any, tail: Any = None,
    ) -> Any:
        return kernels(epsilon).BatchNormAdjoint(
            epsilon, z, theta.gamma, theta.beta, tape.mean, tape.inverse, delta,
            g.gamma, g.beta, scratch, tail, x if tail else None,
        )

    def slices(self, z: Any, x: Shape, itemsize: int) -> tuple[str, ...]:
        return ("z",)

    def inference(self) -> Op:
        return FrozenBatchNorm(self.momentum, self.tiny, self.unbiased)


@dataclass(frozen=True)
class FrozenBatchNorm(BatchNorm):
    """x = scale z + shift, scale = gamma / sqrt(var + tiny), shift = beta - scale mean

    delta = scale epsilon
    g.gamma = sum epsilon (z - mean) / sqrt(var + tiny),   g.beta = sum epsilon
    """

    keeps: ClassVar[tuple[str, ...]] = ("z", "const")
    joins: ClassVar[str | None] = "affine"
    folds: ClassVar[bool] = False

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        row = Array(x[-1:])
        const = {"inverse": row, "scale": row, "shift": row}
        return Book({}, const, 0, _scratch(x, itemsize))

    def prepare(self, theta: Any) -> Any:
        return kernels(theta.gamma).BatchNormFold(
            theta.gamma, theta.beta, theta.mean, theta.var,
            theta.inverse, theta.scale, theta.shift, self.tiny,
        )

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        return kernels(x).ScaleShift(z, theta.scale, theta.shift, x, tail)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any, tail: Any = None,
    ) -> Any:
        work = []  # delta last: it may lie where epsilon is
        if g.gamma is not None or g.beta is not None:
            work.append(kernels(epsilon).BatchNormAdjoint(
                epsilon, z, theta.gamma, theta.beta, theta.mean, theta.inverse, None,
                g.gamma, g.beta, scratch,
            ))
        if delta is not None:
            work.append(kernels(epsilon).ScaleShift(epsilon, theta.scale, None, delta))
        return work

    def inference(self) -> Op:
        return self

    def tail(self, others: tuple[Any, ...], theta: Any) -> dict[str, Any]:
        return {"scale": theta.scale, "shift": theta.shift}


def batch_norm(
    z: Node,
    momentum: float = 0.9,
    tiny: float = 1e-5,
    unbiased: bool = True,
    name: str | None = None,
    share: Node | None = None,
) -> Node:
    """Give each channel the mean beta and the deviation gamma.

    In training the statistics are those of the batch. Running ones are kept in the
    buffers `mean` and `var`, which take their place at inference.

    Parameters
    ----------
    z
        The node to normalise.
    momentum
        The weight of the old statistics in the running ones. Keras means the same by it
        (there 0.99 unless told otherwise); PyTorch's is the weight of the new ones, so
        that its 0.1 is 0.9 here.
    tiny
        What is added to the variance; others call it epsilon.
    unbiased
        Whether the running variance is the unbiased one, as in PyTorch.
    name
        The node's name.
    share
        A node whose parameters and running statistics this one uses.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.batch_norm(dl.Input((8, 8, 16)))
    >>> z, list(z.spec.theta)
    (<batch_norm: batch_norm 8x8x16>, ['gamma', 'beta', 'mean', 'var'])
    """
    return Node(BatchNorm(momentum, tiny, unbiased), (z,), name, share)


CASES = (
    Case(((1, 1, 1),)),
    Case(((7, 5, 3),), {"momentum": 0.5}),
    Case(((3, 2, 17),), {"tiny": 0.1, "unbiased": False}),
    Case(((70,),)),
)
ROWS = (Row(BatchNorm, batch_norm, CASES),)
