"""Shapes, size formulas and errors: the words every other room uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

GAP = 16  # entries: every parameter begins on a cache line of its own
Shape = tuple[Any, ...]  # ints, or None where a size is known only to a plan


class Error(Exception):
    """Something minidl cannot do: what was expected, what came, where, what to do."""


class ShapeError(Error, ValueError):
    """A shape or a setting that does not fit."""


class GraphError(Error, ValueError):
    """A graph that is not one: a cycle, a double name, a stranger's node."""


class DataError(Error, ValueError):
    """Arrays or files that are not what they should be."""


class CheckpointError(Error, ValueError):
    """A file of weights that cannot be read, written or used."""


class DivergedError(Error, ArithmeticError):
    """A loss that is NaN or infinite."""


class SizeError(Error, MemoryError):
    """A plan that needs more memory than there is."""


@dataclass(frozen=True)
class Param:
    """One array of theta: its shape, how it starts, and whether it learns.

    `fan` is (fan_in, fan_out), which the initialisers scale by. A buffer is state
    that no gradient reaches: running statistics, fixed codes, a counter. The adjoint of
    one that may learn `at_once` takes an optimiser's step in place of an array for g.
    """

    shape: tuple[int, ...]
    init: Any = "zeros"
    fan: tuple[int, int] = (1, 1)
    buffer: bool = False
    dtype: str = "real"
    at_once: bool = False


@dataclass(frozen=True)
class Array:
    """A region of the arena: `real` is the model's own scalar type."""

    shape: tuple[int, ...]
    dtype: str = "real"


@dataclass(frozen=True)
class Spec:
    """What an op gives: the shape of x (no batch axis), its scalar type and theta."""

    x: Shape
    theta: Mapping[str, Param] = field(default_factory=dict)
    dtype: str = "real"


@dataclass(frozen=True)
class Book:
    """What an op needs besides z, theta and x; every region is handed to it.

    tape     what the adjoint rereads and is neither z nor x: mask, statistics
    const    what `prepare` derives from theta alone: packed weights
    scratch  bytes that live for one call, forward and adjoint
    seats    more of a tape, left out where no adjoint follows: argmax
    """

    tape: Mapping[str, Array] = field(default_factory=dict)
    const: Mapping[str, Array] = field(default_factory=dict)
    scratch: int = 0
    adjoint_scratch: int = 0
    seats: Mapping[str, Array] = field(default_factory=dict)


def entries(shape: Shape) -> int:
    """How many numbers an array of this shape holds.

    Examples
    --------
    >>> entries((5, 5, 3)), entries(())
    (75, 1)
    """
    return math.prod(shape)


def whole(name: str, value: Any, low: int = 1) -> int:
    """`value` as an int of at least `low`.

    Examples
    --------
    >>> whole("stride", 2)
    2
    """
    ok = isinstance(value, int) or hasattr(value, "__index__")
    if not ok or isinstance(value, bool) or int(value) < low:
        raise ShapeError(f"{name}: expected a whole number >= {low}, got {value!r}")
    return int(value)


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """`value` as a finite float: at least `low`, more than `above`, less than `below`.

    Examples
    --------
    >>> number("rate", 0, low=0, below=1)
    0.0
    """
    ok = isinstance(value, Real) and not isinstance(value, bool)
    if not ok or not (low <= value and above < value < below):
        bounds = ((">=", low), (">", above), ("<", below))
        words = " and ".join(f"{sign} {b}" for sign, b in bounds if math.isfinite(b))
        raise ShapeError(
            f"{name}: expected a finite number{words and ' ' + words}, got {value!r}"
        )
    return float(value)


def alike(a: Shape, b: Shape) -> bool:
    """Whether two shapes agree in all that is known of them.

    Examples
    --------
    >>> alike((None, 4), (3, 4)), alike((3, 4), (3, 5))
    (True, False)
    """
    return len(a) == len(b) and all(
        p == q or p is None or q is None for p, q in zip(a, b, strict=True)
    )


def several(name: str, value: Any, count: int, low: int = 1) -> tuple[int, ...]:
    """`value` once per axis: a number stands for all of them.

    Examples
    --------
    >>> several("kernel", 3, 2), several("kernel", (5, 1), 2)
    ((3, 3), (5, 1))
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * count
    if len(values) != count:
        raise ShapeError(
            f"{name}: expected one number or {count} of them, got {value!r}"
        )
    return tuple(whole(name, v, low) for v in values)


Pad = str | int | tuple[Any, ...]


def sides(
    pad: Pad, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """The zeros before and after each axis.

    "valid" none; "full" k - 1 on both sides; "same" k - 1 in all, the smaller half
    first (k is the dilated size); a number is for every side, one per axis for both
    of its sides, pairs for each side.

    Examples
    --------
    >>> sides("same", (5, 2), (1, 1)), sides("full", (3,), (2,)), sides(1, (3,), (1,))
    (((2, 2), (0, 1)), ((4, 4),), ((1, 1),))
    """
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if isinstance(pad, str):
        named: dict[str, Callable[[int], tuple[int, int]]] = {
            "valid": lambda r: (0, 0),
            "full": lambda r: (r, r),
            "same": lambda r: (r // 2, r - r // 2),
        }
        if pad not in named:
            raise ShapeError(
                f'pad: expected "same", "valid", "full", a number, one per axis or a '
                f"(before, after) pair per axis, got {pad!r}"
            )
        return tuple(named[pad](r) for r in reach)
    if isinstance(pad, tuple | list):
        if len(pad) != len(kernel):
            raise ShapeError(f"pad: expected {len(kernel)} entries, got {pad!r}")
        each = [p if isinstance(p, tuple | list) else (p, p) for p in pad]
    else:
        each = [(pad, pad)] * len(kernel)
    if any(len(p) != 2 for p in each):
        raise ShapeError(f"pad: expected (before, after) pairs, got {pad!r}")
    return tuple((whole("pad", a, 0), whole("pad", b, 0)) for a, b in each)


def size(
    what: str,
    n: int | None,
    k: int,
    stride: int = 1,
    pad: tuple[int, int] = (0, 0),
    dilation: int = 1,
    ceil: bool = False,
) -> int | None:
    """Positions of a window: floor((n + before + after - d (k-1) - 1) / s) + 1.

    With `ceil` the last window may start inside and end outside, but a window never
    starts beyond the data and the padding before it.

    Examples
    --------
    >>> size("height", 7, 3, 2), size("height", 6, 3, 2, ceil=True)
    (3, 3)
    """
    if n is None:
        return None
    before, after = pad
    padded, reach = n + before + after, dilation * (k - 1) + 1
    if reach > padded:
        raise ShapeError(
            f"kernel {k}{f' (dilated: {reach})' if dilation > 1 else ''} is larger "
            f"than the padded {what} {padded} ({n} + {before} + {after}); use more "
            "padding or a smaller kernel"
        )
    free = padded - reach
    count = free // stride + 1
    if ceil and free % stride and count * stride < n + before:
        count += 1
    return count
