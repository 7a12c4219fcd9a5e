"""Pooling that learns: a weight and a bias for the sum of a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._ext import kernels
from .._ext.kernel import parts_of
from ..graph import Node
from ..init import constant
from ..spec import Array, Book, Pad, Param, Shape, Spec
from .average import CASES
from .pool import Pool, pooled
from .row import Case, Row
from .window import Grid


@dataclass(frozen=True)
class SumPool(Pool):
    """x = w S + b, S(j) = sum_r z(s j + r);   delta(s j + r) += w epsilon(j),
    g.w = sum epsilon S, g.b = sum epsilon"""

    kernel: Any
    stride: Any = None
    pad: Pad = "valid"
    ceil: bool = False
    per_map: bool = True

    def grid(self, z: Shape) -> Grid:
        return pooled(self, z)

    def infer(self, *z: Shape) -> Spec:
        grid, c = self.grid(z[0]), z[0][-1]
        shape = (c if self.per_map else 1,)
        mean = constant(1 / math.prod(axis.kernel for axis in grid.axes))
        return Spec(grid.x(c), {"w": Param(shape, mean), "b": Param(shape)})

    def partial(self, x: Shape) -> int:
        """How many numbers the parts of g.w and g.b are."""
        size, c = math.prod(x), x[-1]
        return 2 * c * parts_of(size // c, size)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        most = max(math.prod(x), self.partial(x))
        return Book({"sum": Array(x)}, adjoint_scratch=most * itemsize)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        found, total = kernels(x), getattr(tape, "sum", x)
        return [
            found.WindowSum(z, None, total, 1, self.frame(z.shape)),
            found.PerMap(total, theta.w, theta.b, x),
        ]

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        found, part, calls = kernels(epsilon), scratch.view(epsilon.dtype), []
        if g.w is not None or g.b is not None:
            partial = part[: self.partial(epsilon.shape)]
            calls.append(found.PerMapAdjoint(epsilon, tape.sum, partial, g.w, g.b))
        if delta is not None:
            weighted = part[: epsilon.size].reshape(epsilon.shape)
            frame = self.frame(delta.shape)
            calls.append(found.PerMap(epsilon, theta.w, None, weighted))
            calls.append(found.WindowSpread(weighted, None, delta, 1, frame))
        return calls


def sum_pool(
    z: Node,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    pad: Pad = "valid",
    ceil: bool = False,
    per_map: bool = True,
    name: str | None = None,
    share: Node | None = None,
) -> Node:
    """The sum of each window, times a weight that learns, plus a bias that learns.

    Parameters
    ----------
    z, kernel, stride, pad, ceil
        As in `avg_pool`, which it equals before it has learned.
    per_map
        Whether each map has a weight and a bias of its own, or all have one.
    name
        The node's name.
    share
        A node whose parameters to use.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.sum_pool(dl.Input((28, 28, 6)), 2, name="S2")
    <S2: sum_pool 14x14x6>
    """
    return Node(SumPool(kernel, stride, pad, ceil, per_map), (z,), name, share)


ROWS = (
    Row(SumPool, sum_pool, (
        *CASES,
        Case(((7, 5, 17),), {"kernel": 2, "per_map": False}),
    )),
)
