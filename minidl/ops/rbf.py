"""Radial basis functions: how far z is from the code of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op, show
from ..init import uniform, values
from ..spec import Param, Shape, ShapeError, Spec, whole
from .row import Case, Row

ANYWHERE = uniform(1.0)  # codes are made of -1 and 1


@dataclass(frozen=True)
class Rbf(Op):
    """x_f = sum_i (z_i - w_if)^2

    delta_i = sum_f 2 (z_i - w_if) epsilon_f;   g_if = sum_n 2 (w_if - z_i) epsilon_f
    """

    features: int
    init: Any = ANYWHERE
    trainable: bool = False
    keeps: ClassVar[tuple[str, ...]] = ("z",)

    def infer(self, *z: Shape) -> Spec:
        f = whole("features", self.features)
        if len(z[0]) != 1:
            raise ShapeError(f"expected a vector, got {show(z[0])}; use flatten before")
        c = z[0][0]
        w = Param((c, f), self.init, (c, f), buffer=not self.trainable)
        return Spec((f,), {"w": w})

    def macs(self, z: Any, x: Shape) -> int:
        n, c = z
        return int(n * c * self.features)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Distances(z, theta.w, x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        k = kernels(epsilon)
        pairs = ((k.DistancesDelta, delta), (k.DistancesGradient, g.w))
        return [do(z, theta.w, epsilon, out) for do, out in pairs if out is not None]


def rbf(
    z: Node,
    features: int,
    init: Any = ANYWHERE,
    trainable: bool = False,
    name: str | None = None,
    share: Node | None = None,
) -> Node:
    """x_f = sum_i (z_i - w_if)^2: the squared distances to `features` codes.

    Parameters
    ----------
    z
        A vector.
    features
        How many codes there are.
    init
        The codes, for example `init.values` of an array [in, features].
    trainable
        Whether they learn; fixed codes are a buffer.
    name
        The node's name.
    share
        A node whose codes this one uses.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.rbf(dl.Input((84,)), 10)
    <rbf: rbf 10>
    """
    return Node(Rbf(features, init, trainable), (z,), name, share)


SIGNS = values([[(-1) ** (i * f) for f in range(10)] for i in range(84)])
ROWS = (
    Row(
        Rbf,
        rbf,
        (
            Case(((1,),), {"features": 1, "trainable": True}),
            Case(((17,),), {"features": 10, "trainable": True}),
            Case(((5,),), {"features": 33, "trainable": True}),
            Case(((84,),), {"features": 10, "init": SIGNS}),
        ),
    ),
)
