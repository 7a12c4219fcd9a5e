"""Sums and products of two arrays, or of one and constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...graph import Node, Op
from ...ops.activation import Sigmoid, swish
from ...ops.affine import Affine, affine
from ...ops.arithmetic import Add, Multiply, Subtract, add, multiply, scale, subtract
from ...ops.broadcast import Broadcast, broadcast
from ...ops.layout import reshape
from ...spec import Shape
from . import into, out
from .into import Step, alike, joint
from .out import Call
from .value import NONE, Refused, Value


def _pair(kind: str) -> out.Rule:
    return lambda call: call(kind, *call.z)


def _affine(call: Call) -> str:
    op: Any = call.op
    x = call.z[0]
    for kind, local, used in (("Mul", "w", op.factor), ("Add", "b", op.bias)):
        if used:
            array = call.array(local)
            axes = [axis - 1 for axis in out.to_first(array.ndim)[1:]]
            x = call(kind, x, call.param(local, array.transpose(axes)))
    return x


def _broadcast(call: Call) -> str:
    z, shape, rank = call.z[0], call.shapes[0], len(call.x)
    if len(shape) < rank:
        wide = (1,) * (rank - len(shape)) + tuple(shape)
        if None in wide:
            raise Refused("has more axes than an array of open size")
        z = call.turn(z, out.to_last(len(shape)))
        z = call("Reshape", z, call.whole("wide", [0, *wide]))
        z = call.turn(z, out.to_first(rank))
    sizes = [1 if n is None else n for n in (1, *call.x)]
    turned = [sizes[axis] for axis in out.to_first(rank)]
    return call("Expand", z, call.whole("shape", turned))


# -- on the way in -------------------------------------------------------------------


def lifted(z: Value, rank: int) -> Value:
    """With axes of size 1 before its own, until there are `rank`."""
    more = rank - z.rank
    if not more:
        return z
    order = tuple(axis if axis == NONE else axis + more for axis in z.order)
    node = reshape(z.node, (*(1,) * more, *z.node.shape))
    return Value(node, (order[0], *range(more), *order[1:]))


def stretched(node: Node, shape: Shape) -> Node:
    """Repeated to this shape, if it has another."""
    if node.shape == tuple(shape):
        return node
    return broadcast(
        node, tuple(None if n == m else m for n, m in zip(node.shape, shape,
                                                         strict=True))
    )


def together(a: Value, b: Value) -> tuple[Value, Value]:
    """Both with as many axes, in the same order."""
    rank = max(a.rank, b.rank)
    a, b = lifted(a, rank), lifted(b, rank)
    if sum(n != 1 for n in b.sizes) > sum(n != 1 for n in a.sizes):
        return Value(a.ordered(b.order), b.order), b
    return a, Value(b.ordered(a.order), a.order)


def laid(constant: np.ndarray, z: Value) -> np.ndarray:
    """A constant in the order of a value of as many axes, without the batch."""
    constant = constant.reshape((1,) * (z.rank - constant.ndim) + constant.shape)
    if z.order[0] == NONE:
        return constant.transpose(z.order[1:])
    if constant.shape[z.order[0]] != 1:
        raise Refused(
            "has a constant for each example of the batch, whose size minidl leaves "
            "open; with batch=False the file is read as what is done to one example"
        )
    return constant.transpose(z.order)[0]


def shifted(step: Step, z: Value, by: np.ndarray, times: bool = False) -> Value:
    """z plus, or times, a constant."""
    if by.dtype.kind not in "fiu":
        raise Refused(f"its constant holds {by.dtype}, expected numbers")
    if by.size == 1 and by.ndim <= z.rank:
        one = float(by.ravel()[0])
        return alike(z, scale(z.node, one) if times else scale(z.node, 1.0, one))
    z = lifted(z, max(z.rank, by.ndim))
    by = laid(by, z)
    z = alike(z, stretched(z.node, joint(z.node.shape, by.shape)))
    if times:
        return alike(z, step.owned(affine(z.node, by.shape, bias=False), w=by))
    return alike(z, step.owned(affine(z.node, by.shape, factor=False), b=by))


def _both(step: Step, build: Callable[[Node, Node], Node], a: Value, b: Value) -> Value:
    a, b = together(a, b)
    shape = joint(a.node.shape, b.node.shape)
    return alike(a, build(stretched(a.node, shape), stretched(b.node, shape)))


def added(step: Step, a: Any, b: Any) -> Value:
    if not isinstance(a, Value):
        a, b = b, a
    if isinstance(b, Value):
        return _both(step, add, a, b)
    return shifted(step, a, b)


def _read_sum(step: Step) -> Value:
    """Constants are added at the end."""
    if not all(step.given(i) for i in range(len(step.inputs))):
        raise Refused("an input is missing")
    given = sorted(step.inputs, key=lambda one: not isinstance(one, Value))
    total = given[0]
    for one in given[1:]:
        total = added(step, total, one)
    return total


def _two(step: Step) -> tuple[Any, Any]:
    if not (step.given(0) and step.given(1)):
        raise Refused("an input is missing")
    a, b = step.inputs[:2]
    return a, b


def _read_sub(step: Step) -> Value:
    a, b = _two(step)
    if not isinstance(b, Value):
        return shifted(step, a, -b)
    if not isinstance(a, Value):
        return shifted(step, alike(b, scale(b.node, -1.0)), a)
    return _both(step, subtract, a, b)


def _read_mul(step: Step) -> Value:
    a, b = _two(step)
    if not isinstance(a, Value):
        a, b = b, a
    if not isinstance(b, Value):
        return shifted(step, a, b, times=True)
    for one, other in ((a, b), (b, a)):
        gate = one.node.op
        if isinstance(gate, Sigmoid) and one.node.inputs == (other.node,) and (
            one.order == other.order
        ):
            return alike(other, swish(other.node))
    a, b = together(a, b)
    few = b.node.shape
    if len(few) > 1 and few[-1] == a.node.shape[-1] and all(n == 1 for n in few[:-1]):
        return alike(a, multiply(a.node, b.node))
    return _both(step, multiply, a, b)


def _read_div(step: Step) -> Value:
    a, b = _two(step)
    if isinstance(b, Value):
        raise Refused("divides by a computed array")
    if b.dtype.kind != "f" or not np.all(b):
        raise Refused("divides by whole numbers or by 0")
    return shifted(step, a, 1 / b, times=True)


def _read_expand(step: Step) -> Value:
    z = step.value()
    want = step.constant(1, "shape").ravel().tolist()
    z = lifted(z, max(z.rank, len(want)))
    want = [1] * (z.rank - len(want)) + want
    if z.order[0] >= 0 and want[z.order[0]] not in (1, into.OPEN):
        raise Refused("repeats examples")
    shape = tuple(into.whole("shape", want[axis]) for axis in z.order[1:])
    return alike(z, stretched(z.node, joint(z.node.shape, shape)))


WRITE: dict[type[Op], out.Rule] = {
    Add: _pair("Add"),
    Subtract: _pair("Sub"),
    Multiply: _pair("Mul"),
    Affine: _affine,
    Broadcast: _broadcast,
}
READ: dict[str, into.Rule] = {
    "Add": _read_sum,
    "Sum": _read_sum,
    "Sub": _read_sub,
    "Mul": _read_mul,
    "Div": _read_div,
    "Expand": _read_expand,
}
