"""An array of the file as minidl holds it: a node, and which of its axes is which.

A transpose in the file relabels the axes and moves nothing. Entries move where an
operation needs an order that the array does not have: a convolution wants n h w c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ...graph import Node
from ...ops.layout import reshape, transpose
from ...spec import Error, Shape, ShapeError

NONE = -1  # in place of the batch: no axis of the file is


class Refused(Error, ValueError):
    """What cannot be imported, and why."""


@dataclass(frozen=True)
class Value:
    """`order[i]` is the axis in the file of axis i of the array, whose first is the
    batch. An array that belongs to one example has NONE there."""

    node: Node
    order: tuple[int, ...]

    @property
    def rank(self) -> int:
        """How many axes it has in the file."""
        return len(self.order) - (self.order[0] == NONE)

    @property
    def sizes(self) -> Shape:
        """The sizes in the order of the file; None for the batch and open ones."""
        found = dict(zip(self.order[1:], self.node.shape, strict=True))
        return tuple(found.get(axis) for axis in range(self.rank))

    def axis(self, axis: int) -> int:
        """An axis of the file, counted from the end where it is negative."""
        if not -self.rank <= axis < self.rank:
            raise Refused(f"axis {axis} of an array of {self.rank} axes")
        return axis % self.rank

    def free(self, axis: int) -> int:
        """The same, and it is not the batch."""
        axis = self.axis(axis)
        if axis == self.order[0]:
            raise Refused(
                f"works along axis {axis}, the batch, and minidl keeps examples apart; "
                "with batch=False the file is read as what is done to one example"
            )
        return axis

    def relabelled(self, axes: Sequence[int]) -> Value:
        """Transposed as the file says: axis i was axes[i]."""
        if sorted(axes) != list(range(self.rank)):
            raise Refused(f"orders {self.rank} axes by {list(axes)}")
        new = {old: at for at, old in enumerate(axes)}
        return Value(self.node, tuple(new.get(axis, NONE) for axis in self.order))

    def ordered(self, order: Sequence[int]) -> Node:
        """The node with its axes in this order; moves entries only if it must."""
        order = tuple(order)
        if order == self.order:
            return self.node
        if order[0] != self.order[0]:
            raise Refused(
                f"the batch is axis {self.order[0]} here and axis {order[0]} there; "
                "minidl keeps examples apart"
            )
        shape = self.node.shape
        at = [self.order.index(axis) - 1 for axis in order[1:]]
        long = [axis for axis in at if shape[axis] != 1]
        if long == sorted(long) and None not in shape:
            return reshape(self.node, tuple(shape[axis] for axis in at))
        return transpose(self.node, tuple(at))

    def last(self, axis: int) -> Value:
        """With one axis behind all others; n h w c where axis 1 is wanted."""
        rest = [one for one in self.order[1:] if one != axis]
        if self.order[-1] == axis:
            return self
        rest = sorted(rest) if axis == 1 and self.order[0] == 0 else rest
        order = (self.order[0], *rest, axis)
        return Value(self.ordered(order), order)

    def image(self, axes: int = 0) -> Value:
        """n h w c, or n w c: what convolutions and pooling read."""
        value = self
        if value.order[0] == NONE and value.rank > 2 and value.sizes[0] == 1:
            value = value.batched()
        if value.order[0] != 0:
            raise Refused("expected the batch as the first axis")
        if axes and value.rank != axes + 2:
            raise Refused(f"expected {axes + 2} axes, got {value.rank}")
        order = (0, *range(2, value.rank), 1)
        return Value(value.ordered(order), order)

    def batched(self) -> Value:
        """A first axis of size 1 taken as the batch."""
        order = (NONE, *range(self.rank))
        node = reshape(self.ordered(order), self.node_shape(order)[1:])
        return Value(node, order[1:])

    def node_shape(self, order: Sequence[int]) -> Shape:
        """The shape of an example in this order."""
        sizes = self.sizes
        return tuple(sizes[axis] for axis in order[1:])

    def regrouped(self, shape: Sequence[int | None]) -> Value:
        """In another shape of the file, the batch kept as its first axis or none.

        Neighbouring axes that become one, and axes that become several, are found by
        their sizes; entries move only where those that become one lie apart.
        """
        shape = list(shape)
        old: list[int] = [a for a in range(self.rank) if a != self.order[0]]
        skip = self.order[0] != NONE
        if skip and self.order[0] != 0:
            raise Refused(f"reshapes an array whose axis {self.order[0]} is the batch")
        blocks = _blocks([(a, self.sizes[a]) for a in old],
                         list(enumerate(shape[skip:], skip)))
        place = {axis: at for at, axis in enumerate(self.order)}
        blocks.sort(key=lambda block: min((place[a] for a in block[0]), default=0))
        before = [a for block in blocks for a in block[0]]
        node = self.ordered((self.order[0], *before))
        after = [a for block in blocks for a in block[1]]
        wanted = tuple(shape[a] for a in after)
        if wanted != node.shape:
            if None in wanted:
                raise Refused(
                    "reshapes an array of open height or width; give size=(h, w)"
                )
            node = reshape(node, wanted)  # type: ignore[arg-type]
        return Value(node, (0 if skip else NONE, *after))


def _blocks(
    old: list[tuple[int, int | None]], new: list[tuple[int, int | None]]
) -> list[tuple[list[int], list[int]]]:
    """Pairs of runs of axes, old and new, with as many entries."""
    blocks: list[tuple[list[int], list[int]]] = []
    old, new = old[:], new[:]
    while old or new:
        a, b = ([old.pop(0)] if old else []), ([new.pop(0)] if new else [])
        if not (a and b):  # only axes of size 1 can be left
            rest = a + old + b + new
            if any(n != 1 for _, n in rest):
                raise ShapeError(f"reshapes {_show(a + old)} to {_show(b + new)}")
            last = blocks[-1] if blocks else ([], [])
            last[0].extend(axis for axis, _ in a + old)
            last[1].extend(axis for axis, _ in b + new)
            if not blocks:
                blocks.append(last)
            break
        while (m := _count(a)) != (n := _count(b)):
            if None in (m, n) or (m < n and not old) or (m > n and not new):  # type: ignore[operator]
                raise ShapeError(f"reshapes {_show(a + old)} to {_show(b + new)}")
            if m < n:  # type: ignore[operator]
                a.append(old.pop(0))
            else:
                b.append(new.pop(0))
        blocks.append(([axis for axis, _ in a], [axis for axis, _ in b]))
    return blocks


def _count(axes: list[tuple[int, int | None]]) -> int | None:
    sizes = [n for _, n in axes]
    return None if None in sizes else prod(n for n in sizes if n is not None)


def _show(axes: list[tuple[int, int | None]]) -> str:
    return "x".join("?" if n is None else str(n) for _, n in axes) or "a number"
