"""More, fewer, joined: pad, crop, concat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Shape, ShapeError, Spec, several
from .row import Case, Row
from .window import Axis, pointwise

Amount = int | tuple[int | tuple[int, int], ...]
Sides = tuple[tuple[int, ...], ...]


def amounts(amount: Any, axes: int) -> Sides:
    """(before, after) for each of the axes before the channels, and for these."""
    if axes < 1:
        raise ShapeError("expected an axis before the channels")
    each = tuple(amount) if isinstance(amount, tuple | list) else (amount,) * axes
    if len(each) == axes:
        each += (0,)
    if len(each) != axes + 1:
        raise ShapeError(
            f"amount: expected a number, or one or a (before, after) pair for each of "
            f"the {axes} axes before the channels (and for the channels), got "
            f"{amount!r}"
        )
    return tuple(several("amount", one, 2, 0) for one in each)


def _inner(x: Any, sides: Sides) -> Any:
    """The part of x that the sides leave."""
    cuts = [slice(a, n - b) for n, (a, b) in zip(x.shape[1:], sides, strict=True)]
    return x[(slice(None), *cuts)]


def _frame(x: Any, sides: Sides, value: float) -> list[Any]:
    """Kernels that write `value` around the inner part of x."""
    move, constant = kernels(x).Move, np.full((), value, x.dtype)
    inner, found = [slice(None)], []
    for n, (before, after) in zip(x.shape[1:], sides, strict=True):
        for side in (slice(0, before), slice(n - after, n)):
            part = x[(*inner, side)]
            if part.size:
                found.append(move(np.broadcast_to(constant, part.shape), part))
        inner.append(slice(before, n - after))
    return found


def _moved(z: Shape, sides: Sides, sign: int) -> tuple[Axis, ...]:
    """Windows of one place, from so far outside of z, or inside."""
    return tuple(
        Axis(n, before=sign * a, after=sign * b, count=n + sign * (a + b))
        for n, (a, b) in zip(z[:-1], sides[:-1], strict=True)
    )


@dataclass(frozen=True)
class Pad(Op):
    """x(j + before) = z(j), value around it;   delta(j) = epsilon(j + before)"""

    amount: Amount
    value: float = 0.0
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        sizes = zip(z[0], amounts(self.amount, len(z[0]) - 1), strict=True)
        if not isinstance(self.value, int | float):
            raise ShapeError(f"value: expected a number, got {self.value!r}")
        return Spec(tuple(n if n is None else n + sum(side) for n, side in sizes))

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return _moved(z[0], amounts(self.amount, len(z[0]) - 1), 1)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        sides = amounts(self.amount, z.ndim - 2)
        return [*_frame(x, sides, self.value), kernels(x).Move(z, _inner(x, sides))]

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        sides = amounts(self.amount, epsilon.ndim - 2)
        return kernels(delta).Move(_inner(epsilon, sides), delta)


def pad(
    z: Node, amount: Amount, value: float = 0.0, name: str | None = None
) -> Node:
    """Put `value` around height and width, and beside the channels if asked to.

    Parameters
    ----------
    z
        The node to pad.
    amount
        A number for every side, one per axis, or (before, after) per axis; the channels
        come last, and may be left out.
    value
        What to put there.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.pad(dl.Input((4, 4, 3)), ((0, 1), (2, 2)))
    <pad: pad 5x8x3>
    >>> dl.pad(dl.Input((4, 4, 3)), (0, 0, (2, 3)))
    <pad: pad 4x4x8>
    """
    return Node(Pad(amount, value), (z,), name)


@dataclass(frozen=True)
class Crop(Op):
    """x(j) = z(j + before);   delta(j + before) = epsilon(j), zeros around it"""

    amount: Amount
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        sizes = list(zip(z[0], amounts(self.amount, len(z[0]) - 1), strict=True))
        for n, (before, after) in sizes:
            if n is not None and before + after >= n:
                raise ShapeError(f"{before} + {after} of {n} leave nothing; use less")
        return Spec(tuple(n if n is None else n - sum(side) for n, side in sizes))

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return _moved(z[0], amounts(self.amount, len(z[0]) - 1), -1)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Move(_inner(z, amounts(self.amount, z.ndim - 2)), x)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        sides = amounts(self.amount, delta.ndim - 2)
        inner = _inner(delta, sides)
        return [*_frame(delta, sides, 0.0), kernels(delta).Move(epsilon, inner)]


def crop(z: Node, amount: Amount, name: str | None = None) -> Node:
    """Cut `amount` off height and width, and off the channels if asked to.

    Parameters
    ----------
    z
        The node to crop.
    amount
        A number for every side, one per axis, or (before, after) per axis; the channels
        come last, and may be left out.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.crop(dl.Input((8, 8, 3)), (1, 2))
    <crop: crop 6x4x3>
    """
    return Node(Crop(amount), (z,), name)


@dataclass(frozen=True)
class Concat(Op):
    """x = [z1, z2, ...] along an axis;   delta1, delta2, ... = the parts of epsilon"""

    axis: int = -1
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        if not z:
            raise ShapeError("expected at least one node, got none")
        count = len(z[0])
        if not isinstance(self.axis, int) or not -count <= self.axis < count:
            raise ShapeError(
                f"axis: expected -{count} to {count - 1}, got {self.axis!r}"
            )
        axis, x = self.axis % count, []
        alike = all(len(one) == count for one in z)
        for at, sizes in enumerate(zip(*z, strict=False)):
            known = set(sizes) - {None}
            alike = alike and (at == axis or len(known) < 2)
            if at == axis:
                x.append(None if None in sizes else sum(sizes))
            else:
                x.append(known.pop() if known else None)
        if not alike:
            raise ShapeError(
                f"{', '.join(map(show, z))} differ in more than axis {axis}; "
                "crop, pad or resize some of them"
            )
        return Spec(tuple(x))

    def windows(self, *z: Shape) -> tuple[Axis, ...] | None:
        count = len(z[0])
        return pointwise(self, *z) if self.axis % count == count - 1 else None

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        if self.windows(*z) is not None:
            return super().field(share, *z)
        axis = self.axis % len(z[0])
        ends = np.cumsum([one[axis] for one in z])
        return tuple(np.split(share, ends[:-1], axis))

    def parts(self, x: Any, z: Any) -> list[Any]:
        """The views of x where each z stands."""
        axis = 1 + self.axis if self.axis >= 0 else x.ndim + self.axis
        ends = np.cumsum([one.shape[axis] for one in z])
        return np.split(x, ends[:-1], axis)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        z = z if isinstance(z, tuple) else (z,)
        pairs = zip(z, self.parts(x, z), strict=True)
        return [
            kernels(x).Move(one, part) for one, part in pairs
            if one.ctypes.data != part.ctypes.data  # else it was made there
        ]

    def slices(self, z: Any, x: Shape, itemsize: int) -> tuple[str, ...]:
        return ("z", "x")

    def starts(self, *z: Shape) -> tuple[int, ...]:
        if self.windows(*(one[1:] for one in z)) is None:  # not along the channels
            return ()
        return tuple(accumulate((one[-1] for one in z[:-1]), initial=0))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        delta = delta if isinstance(delta, tuple) else (delta,)
        z = z if isinstance(z, tuple) else (z,)
        pairs = zip(self.parts(epsilon, z), delta, strict=True)
        return [kernels(epsilon).Move(*pair) for pair in pairs if pair[1] is not None]


def concat(nodes: Sequence[Node], axis: int = -1, name: str | None = None) -> Node:
    """Nodes side by side.

    Parameters
    ----------
    nodes
        What to join: all sizes are equal but those of `axis`.
    axis
        An axis of one example, -1 for the channels, 0 for the height.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((4, 4, 3))
    >>> dl.concat([z, dl.relu(z)])
    <concat: concat 4x4x6>
    """
    return Node(Concat(axis), tuple(nodes), name)


ROWS = (
    Row(Pad, pad, (
        Case(((1, 1, 1),), {"amount": 1}),
        Case(((7, 5, 3),), {"amount": (0, 2), "value": -1.5}),
        Case(((7, 5, 17),), {"amount": ((1, 2), (3, 0))}),
        Case(((9, 2),), {"amount": ((4, 0),)}),
        Case(((7, 5, 3),), {"amount": (0, 0, (1, 2))}),
        Case(((3, 2, 17),), {"amount": (1, (0, 2), 3), "value": 2.5}),
    )),
    Row(Crop, crop, (
        Case(((3, 3, 1),), {"amount": 1}),
        Case(((7, 5, 3),), {"amount": (0, 2)}),
        Case(((7, 5, 17),), {"amount": ((1, 2), (3, 0))}),
        Case(((3, 2, 17),), {"amount": (1, 0, (4, 3))}),
    )),
    Row(Concat, concat, (
        Case(((1, 1, 1),)),
        Case(((7, 5, 3), (7, 5, 1), (7, 5, 17))),
        Case(((7, 5, 3), (2, 5, 3)), {"axis": 0}),
        Case(((7, 5, 3), (7, 1, 3)), {"axis": -2}),
        Case(((17,), (3,))),
    ), variadic=True),
)
