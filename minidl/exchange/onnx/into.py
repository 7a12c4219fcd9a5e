"""A node of the file on its way in: what it reads, its settings, what it may ask for.

A rule takes a Step and gives a Value, or raises an Error that says why it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...graph import Node
from ...spec import Shape
from .proto import Said
from .value import Refused, Value

Arrays = dict[str, np.ndarray]
Theta = dict[Any, list[tuple[Node, Arrays]]]  # of nodes, by where they came from
# what changes nothing here: how an output lies that is refused, what only the training
# of others reads, the value outside a frame that is refused
HARMLESS = ("storage_order", "seed", "consumed_inputs", "extrapolation_value")
OPEN = "open"  # a size that only a batch knows, in an array of sizes


class Step:
    """One node of the file."""

    def __init__(
        self, said: Said, inputs: Sequence[Any], opset: int, theta: Theta
    ) -> None:
        self.said, self.inputs, self.opset, self.theta = said, inputs, opset, theta
        self.asked = set(HARMLESS)  # settings that a rule has looked at

    # -- what it reads ------------------------------------------------------------

    def given(self, i: int) -> bool:
        """Whether there is an input `i`."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def value(self, i: int = 0) -> Value:
        """An input that depends on what the caller passes."""
        if not self.given(i):
            raise Refused(f"its input {i} is missing")
        if not isinstance(self.inputs[i], Value):
            raise Refused(f"its input {i} is a constant, expected a computed array")
        found: Value = self.inputs[i]
        return found

    def constant(self, i: int, what: str) -> np.ndarray:
        """An input that is known."""
        if not self.given(i):
            raise Refused(f"{what} (input {i}) is missing")
        found = self.inputs[i]
        if isinstance(found, Value):
            raise Refused(f"{what} (input {i}) is computed, expected a constant")
        return np.asarray(found)

    def floats(self, i: int, what: str, *ranks: int) -> np.ndarray:
        """A constant of real numbers."""
        found = self.constant(i, what)
        if found.dtype.kind != "f":
            raise Refused(f"{what} holds {found.dtype}, expected floats")
        if ranks and found.ndim not in ranks:
            raise Refused(
                f"{what} has {found.ndim} axes, expected {' or '.join(map(str, ranks))}"
            )
        return found

    def number(self, i: int, what: str, default: float) -> float:
        """A constant that is one number."""
        if not self.given(i):
            return default
        found = self.constant(i, what)
        if found.size != 1:
            raise Refused(f"{what} has {found.size} numbers, expected one")
        return float(found.ravel()[0])

    # -- its settings -------------------------------------------------------------

    def get(self, name: str, default: Any, kind: type | None = None) -> Any:
        """A setting, of the type of its default."""
        self.asked.add(name)
        found = self.said.settings.get(name, default)
        want = kind or type(default)
        if found is default:
            return found
        if not isinstance(found, want):
            raise Refused(f"{name}: expected {want.__name__}, got {found!r:.40}")
        return found

    def ints(self, name: str, default: Sequence[int] | None = None) -> list[int] | None:
        """A setting of several whole numbers."""
        found = self.get(name, default, list)
        return None if found is None else [whole(name, one) for one in found]

    def list_of(self, i: int, name: str) -> list[int] | None:
        """Whole numbers that are a setting, or in newer files an input."""
        if not self.given(i):
            return self.ints(name)
        return [whole(name, one) for one in self.constant(i, name).ravel().tolist()]

    # -- what it makes ------------------------------------------------------------

    def owned(self, node: Node, **theta: np.ndarray) -> Node:
        """The node with its parameters, which are copied when the model is there.

        Where an earlier one has the same constants of the file, they are shared.
        """
        for local, array in theta.items():
            want = node.spec.theta[local].shape
            if array.shape != want:
                raise Refused(f"{local} has shape {array.shape}, expected {want}")
        source = (self.said.kind, *self.said.inputs[1:])
        same = self.theta.setdefault(source, [])
        for owner, arrays in same:
            if owner.spec.theta == node.spec.theta and all(
                np.array_equal(arrays[local], theta[local]) for local in theta
            ):
                return Node(node.op, node.inputs, share=owner)
        same.append((node, theta))
        return node

    def rest(self) -> None:
        """Refuse if there are settings that the rule did not look at."""
        unknown = set(self.said.settings) - self.asked
        if unknown:
            raise Refused(f"has settings that minidl does not know: {sorted(unknown)}")


def whole(name: str, value: Any) -> int:
    """A whole number that is known."""
    if isinstance(value, str):
        raise Refused(f"{name} depends on the size of the batch or of the image")
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**63:
        raise Refused(f"{name}: expected whole numbers, got {value!r:.40}")
    return value


def alike(value: Value, node: Node) -> Value:
    """The same axes for a node of as many."""
    return Value(node, value.order)


def joint(*shapes: Shape) -> Shape:
    """The shape that all of these stretch to, as NumPy does it."""
    rank = max(map(len, shapes), default=0)
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    found = []
    for sizes in zip(*wide, strict=True):
        some = {n for n in sizes if n != 1}
        if len(some - {None}) > 1:
            raise Refused(f"shapes {shapes} do not stretch to one another")
        found.append(next(iter(some - {None} or some), 1))
    return tuple(found)


Rule = Callable[[Step], Value | list[Value]]
