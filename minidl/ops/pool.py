"""Max pooling: of windows, and of whole maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Array, Book, Pad, Shape, ShapeError, Spec
from .row import Case, Row
from .window import Axis, Grid, windows

TIES = ("first", "last", "all", "share")


class Pool(Op):
    """x = something of the values of each map in each window."""

    keeps: ClassVar[tuple[str, ...]] = ()

    def grid(self, z: Shape) -> Grid:
        """The windows on a z of this shape, which has no batch axis."""
        raise NotImplementedError

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return self.grid(z[0]).axes

    def frame(self, z: Shape) -> dict[str, Any]:
        """The same for the kernels; this shape begins with the batch."""
        return self.grid(z[1:]).frame(z[0], z[-1])

    def infer(self, *z: Shape) -> Spec:
        return Spec(self.grid(z[0]).x(z[0][-1]))


def pooled(op: Any, z: Shape) -> Grid:
    """The windows that the settings of an op ask for."""
    stride = op.kernel if op.stride is None else op.stride
    dilation = getattr(op, "dilation", 1)
    grid = windows(z, op.kernel, stride, op.pad, dilation, op.ceil)
    for axis in grid.axes:
        most = max(axis.before, axis.after)
        if most >= axis.reach:
            raise ShapeError(
                f"pad {most} is not smaller than the kernel {axis.reach}, so a window "
                "could hold padding alone; use a smaller pad"
            )
    return grid


def whole_map(z: Shape) -> Grid:
    """One window as large as the map, of any number of axes."""
    if len(z) < 2:
        raise ShapeError(
            f"expected axes before the channels to pool over, got {z}; "
            "leave the pooling out"
        )
    rows = None if None in z[:-2] else math.prod(z[:-2])
    return Grid((Axis(rows, rows), Axis(z[-2], z[-2])))


def global_spec(z: Shape, keep: bool) -> Spec:
    """One value per map, with or without axes of size 1."""
    return Spec((1,) * (len(z) - 1) * keep + z[-1:])


def all_places(op: Any, *z: Shape) -> tuple[Axis, ...]:
    """One window as large as the map, an axis for each of its own."""
    return tuple(Axis(n, n) for n in z[0][:-1])


class Max(Pool):
    """The largest of each window, and who gets epsilon where several are as large."""

    ties: str
    kinks: ClassVar[bool] = True

    @property
    def keeps(self) -> tuple[str, ...]:  # type: ignore[override]
        """The seat of one maximum is on the tape; several are found again."""
        return ("z", "x") if self.ties in ("all", "share") else ()

    @property
    def ends(self) -> str | None:  # type: ignore[override]
        """What an activation made of the maximum is in x."""
        return None if self.ties in ("all", "share") else "x"

    def infer(self, *z: Shape) -> Spec:
        if self.ties not in TIES:
            raise ShapeError(f"ties: expected one of {TIES}, got {self.ties!r}")
        return super().infer(*z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        if self.ties == "all":
            return Book()
        if self.ties == "share":
            return Book(adjoint_scratch=math.prod(x) * itemsize)
        grid = self.grid(z[1:])
        words = -(-grid.axes[-1].count * self.bits(grid) // (8 * itemsize))
        rows = math.prod(axis.count for axis in grid.axes[:-1])
        return Book(seats={"seats": Array((z[0], rows, words, z[-1]))})

    def bits(self, grid: Grid) -> int:
        """What it takes to tell the taps of a window apart."""
        most = math.prod(axis.kernel for axis in grid.axes) - 1
        return next(bits for bits in (4, 8, 16, 32) if most < 1 << bits)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        seats, bits = getattr(tape, "seats", None), self.bits(self.grid(z.shape[1:]))
        return kernels(x).MaxPool(
            z, x, seats, bits, self.ties == "first", self.frame(z.shape)
        )

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any, tail: Any = None,
    ) -> Any:
        found, frame = kernels(delta), self.frame(delta.shape)
        if self.ties == "all":
            return found.MaxPoolAllAdjoint(epsilon, z, x, delta, frame)
        if self.ties == "share":
            even = scratch.view(epsilon.dtype).reshape(epsilon.shape)
            return [
                found.MaxPoolShare(epsilon, z, x, even, frame),
                found.MaxPoolAllAdjoint(even, z, x, delta, frame),
            ]
        bits = self.bits(self.grid(delta.shape[1:]))
        return found.MaxPoolAdjoint(epsilon, tape.seats, bits, delta, frame, tail)


@dataclass(frozen=True)
class MaxPool(Max):
    """x(j) = max_r z(s j + r);   delta(s j + r) += epsilon(j) where z = x(j)"""

    kernel: Any
    stride: Any = None
    pad: Pad = "valid"
    ceil: bool = False
    ties: str = "first"
    dilation: Any = 1

    def grid(self, z: Shape) -> Grid:
        grid = pooled(self, z)
        taps = math.prod(axis.kernel for axis in grid.axes)
        if taps > 2**32:
            raise ShapeError(f"kernel: a window of {taps} entries, at most 2^32 do")
        return grid


@dataclass(frozen=True)
class GlobalMaxPool(Max):
    """x = max_j z(j);   delta(j) = epsilon where z(j) = x"""

    keep: bool = False
    ties: str = "first"
    windows = all_places

    def grid(self, z: Shape) -> Grid:
        return whole_map(z)

    def infer(self, *z: Shape) -> Spec:
        super().infer(*z)
        return global_spec(z[0], self.keep)


def max_pool(
    z: Node,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    pad: Pad = "valid",
    ceil: bool = False,
    ties: str = "first",
    dilation: int | tuple[int, ...] = 1,
    name: str | None = None,
) -> Node:
    """The largest value of each map in each window.

    Parameters
    ----------
    z
        The node to pool: an image, or a signal with a kernel of one axis.
    kernel
        The size of the window.
    stride
        From window to window; as large as the kernel if not given.
    pad
        Room around the data, which is never the maximum: "valid", "same", "full", a
        number, one per axis or (before, after) per axis.
    ceil
        Whether a last window may stand out over the end.
    ties
        Which of equal maxima gets epsilon: the "first" or the "last" of the window,
        row by row; "all" of them, each the whole; or all in equal parts ("share").
    dilation
        The distance between the pixels of a window.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.max_pool(dl.Input((55, 55, 96)), 3, stride=2)
    <max_pool: max_pool 27x27x96>
    """
    return Node(MaxPool(kernel, stride, pad, ceil, ties, dilation), (z,), name)


def global_max_pool(
    z: Node, keep: bool = False, ties: str = "first", name: str | None = None
) -> Node:
    """The largest value of each map.

    Parameters
    ----------
    z
        The node to pool; its height and width may be unknown.
    keep
        Whether height and width stay, as 1 and 1.
    ties
        Which of equal maxima gets epsilon, as in `max_pool`.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.global_max_pool(dl.Input((None, None, 64)))
    <global_max_pool: global_max_pool 64>
    """
    return Node(GlobalMaxPool(keep, ties), (z,), name)


ROWS = (
    Row(MaxPool, max_pool, (
        Case(((1, 1, 1),), {"kernel": 1}),
        Case(((7, 5, 3),), {"kernel": 2}),
        Case(((7, 5, 17),), {"kernel": 3, "stride": 2, "pad": "same", "ties": "last"}),
        Case(((7, 5, 1),), {"kernel": (2, 3), "stride": 1, "ties": "all"}),
        Case(((8, 6, 3),), {"kernel": 3, "stride": 2, "ceil": True, "ties": "share"}),
        Case(((7, 5, 3),), {"kernel": 2, "stride": 3, "pad": "full"}),
        Case(((7, 5, 3),), {"kernel": 2, "stride": 1, "pad": ((0, 1), (0, 1))}),
        Case(((40, 17),), {"kernel": 17, "stride": 3, "pad": ((3, 9),)}),
        Case(((18, 17, 3),), {"kernel": (17, 16), "stride": 1}),
        Case(((9, 8, 3),), {"kernel": (3, 2), "stride": 2, "dilation": (2, 3)}),
        Case(((8, 7, 2),), {"kernel": 2, "stride": 1, "dilation": 3, "ties": "all",
                            "pad": 1}),
    )),
    Row(GlobalMaxPool, global_max_pool, (
        Case(((1, 1, 1),)),
        Case(((7, 5, 3),)),
        Case(((7, 5, 17),), {"keep": True}),
        Case(((9, 2),), {"ties": "share"}),
    )),
)
