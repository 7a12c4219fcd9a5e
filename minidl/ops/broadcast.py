"""One number for many places: broadcasting; and products of two nodes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Shape, ShapeError, Spec, alike, whole
from .row import Case, Row


@dataclass(frozen=True)
class Broadcast(Op):
    """x = z, repeated along the axes where z has size 1;   delta = the sum of epsilon over them"""  # noqa: E501

    shape: tuple[int | None, ...]
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        rank = len(self.shape)
        wide = (1,) * (rank - len(z[0])) + tuple(z[0])
        x = tuple(
            n if size is None else whole("shape", size)
            for n, size in zip(wide, self.shape, strict=False)
        )
        if len(wide) != rank or any(n not in (1, m) for n, m in zip(wide, x,
                                                                    strict=True)):
            raise ShapeError(
                f"shape: {show(z[0])} does not stretch to {self.shape}; its last sizes "
                "must be those or 1 (None keeps one)"
            )
        return Spec(x)

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        inner = z[0][:-1]
        share = share.sum(tuple(range(share.ndim - len(inner))))
        once = tuple(i for i, n in enumerate(inner) if n == 1)
        return (share.sum(once, keepdims=True),)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        more = (1,) * (x.ndim - z.ndim)
        z = z.reshape(len(z), *more, *z.shape[1:])
        return kernels(x).Move(np.broadcast_to(z, x.shape), x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        more = (1,) * (epsilon.ndim - delta.ndim)
        into = delta.reshape(len(delta), *more, *delta.shape[1:])
        pairs = enumerate(zip(into.shape, epsilon.shape, strict=True))
        axes = tuple(axis for axis, (n, m) in pairs if n != m)
        np.sum(epsilon, axis=axes, keepdims=True, out=into)


@dataclass(frozen=True)
class Matmul(Op):
    """x = a b;   delta_a = epsilon b^T, delta_b = a^T epsilon

    The last two axes are matrices; those before them say which.
    """

    keeps: ClassVar[tuple[str, ...]] = ("z",)

    def infer(self, *z: Shape) -> Spec:
        a, b = z
        fits = len(a) == len(b) > 1 and alike(a[:-2], b[:-2])
        if not fits or not alike(a[-1:], b[-2:-1]):
            raise ShapeError(
                f"{show(a)} times {show(b)}: expected ... i x k and ... k x j; "
                "transpose, reshape or broadcast one of them"
            )
        before = (m if n is None else n for n, m in zip(a[:-2], b[:-2], strict=True))
        return Spec((*before, a[-2], b[-1]))

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        k = z[1][-2]
        rows = np.repeat(share.sum(-1, keepdims=True) / (2 * k), k, -1)
        return share / 2, rows

    def macs(self, z: Any, x: Shape) -> int:
        return prod(x) * int(z[0][-1])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> None:
        a, b = z
        np.matmul(a, b, out=x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        a, b = z
        if delta[0] is not None:
            np.matmul(epsilon, b.swapaxes(-1, -2), out=delta[0])
        if delta[1] is not None:
            np.matmul(a.swapaxes(-1, -2), epsilon, out=delta[1])


def broadcast(
    z: Node, shape: tuple[int | None, ...], name: str | None = None
) -> Node:
    """Repeat what has size 1 until it fills `shape`.

    Parameters
    ----------
    z
        The node to repeat.
    shape
        The sizes of the result; None keeps that of `z`. Sizes that `z` lacks are put
        before its own.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.broadcast(dl.Input((7, 1, 3)), (7, 5, 3))
    <broadcast: broadcast 7x5x3>
    """
    return Node(Broadcast(tuple(shape)), (z,), name)


def matmul(a: Node, b: Node, name: str | None = None) -> Node:
    """The product of two nodes, whose last two axes are matrices.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.matmul(dl.Input((8, 7, 5)), dl.Input((8, 5, 3)))
    <matmul: matmul 8x7x3>
    """
    return Node(Matmul(), (a, b), name)


ROWS = (
    Row(Broadcast, broadcast, (
        Case(((1, 1, 1),), {"shape": (7, 5, 3)}),
        Case(((7, 1, 3),), {"shape": (None, 5, 3)}),
        Case(((5, 1),), {"shape": (2, 5, 17)}),
        Case(((17,),), {"shape": (17,)}),
    )),
    Row(Matmul, matmul, (
        Case(((1, 1), (1, 1))),
        Case(((7, 5), (5, 3))),
        Case(((2, 3, 17), (2, 17, 1))),
    )),
)
