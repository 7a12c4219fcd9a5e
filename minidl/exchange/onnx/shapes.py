"""The same numbers in another place: flatten, reshape, transpose, concat, pad, crop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

from ...graph import Node, Op
from ...ops.average import GlobalAvgPool
from ...ops.layout import Flatten, Reshape, Transpose, flatten, reshape
from ...ops.pool import GlobalMaxPool
from ...ops.resize import decimate
from ...ops.structure import Concat, Crop, Pad, amounts, concat, crop, pad
from . import fold, into, out
from .into import Step, alike, whole
from .out import Call, outer, to_first, to_last
from .value import NONE, Refused, Value

FAR = 2**63 - 1  # an end of a slice that is beyond all


def _flatten(call: Call) -> str:
    op: Any = call.op
    rank = len(call.shapes[0])
    order = (0, *(1 + axis for axis in op.axes_of(rank)))
    inside = to_first(rank)
    z = call.turn(call.z[0], [inside.index(axis) for axis in order])
    return z if rank == 1 else call("Flatten", z, axis=1)


def _reshape(call: Call) -> str:
    z = call.turn(call.z[0], to_last(len(call.shapes[0])))
    x = call("Reshape", z, call.whole("shape", [0, *call.x]))
    return call.turn(x, to_first(len(call.x)))


def _transpose(call: Call) -> str:
    op: Any = call.op
    rank = len(call.x)
    inside = to_first(rank)
    order = (0, *(1 + axis for axis in op.axes))  # of n h w c
    return call.turn(call.z[0], [inside.index(order[axis]) for axis in inside])


def _concat(call: Call) -> str:
    op: Any = call.op
    return call("Concat", *call.z, axis=outer(op.axis, len(call.x)))


def _pad(call: Call) -> str:
    op: Any = call.op
    rank = len(call.x)
    around = ((0, 0), *amounts(op.amount, rank - 1))
    turned = [around[axis] for axis in to_first(rank)]
    pads = [before for before, _ in turned] + [after for _, after in turned]
    value = call.real("value", op.value)
    return call("Pad", call.z[0], call.whole("pads", pads), value)


def _crop(call: Call) -> str:
    op: Any = call.op
    rank = len(call.x)
    cuts = [
        (outer(axis, rank), before, -after or FAR)
        for axis, (before, after) in enumerate(amounts(op.amount, rank - 1))
        if before or after
    ]
    if not cuts:
        return call("Identity", call.z[0])
    axes, starts, ends = zip(*cuts, strict=True)
    parts = {"starts": starts, "ends": ends, "axes": axes}
    return call("Slice", call.z[0], *(call.whole(k, v) for k, v in parts.items()))


# -- on the way in -------------------------------------------------------------------


def _read_flatten(step: Step) -> Value:
    """All axes before one, and all from it on; minidl keeps the batch apart."""
    z = step.value()
    axis = step.get("axis", 1)
    at = z.rank if axis == z.rank else z.axis(axis)
    if z.order[0] == NONE:
        if None in z.sizes:
            raise Refused("flattens open sizes; give size=(h, w)")
        return z.regrouped((prod(z.sizes[:at]), prod(z.sizes[at:])))
    if z.order[0] != 0 or at == 0 or any(n != 1 for n in z.sizes[1:at]):
        raise Refused(
            f"makes one axis of the batch and others (axis={axis}); with batch=False "
            "the file is read as what is done to one example"
        )
    return _flat(z)


def _flat(z: Value) -> Value:
    """All axes but the batch in one, as the file has them."""
    op: Any = z.node.op
    if isinstance(op, GlobalAvgPool | GlobalMaxPool) and op.keep:
        return Value(Node(replace(op, keep=False), z.node.inputs), (0, 1))
    if z.order == (0, *range(2, z.rank), 1) and z.rank > 2:
        maps = any(n != 1 for n in z.node.shape[:-1])
        return Value(flatten(z.node, "channel" if maps else "row"), (0, 1))
    return Value(flatten(z.ordered(range(z.rank))), (0, 1))


def _read_reshape(step: Step) -> Value:
    z = step.value()
    old = [into.OPEN if n is None else n for n in z.sizes]
    new = fold.reshaped(step, old)
    if z.order[0] == NONE:
        return z.regrouped([whole("shape", n) for n in new])
    rest = [n for axis, n in enumerate(old) if axis != z.order[0]]
    if -1 in new and into.OPEN not in rest:
        known = [n for n in new[1:] if n != -1]
        if new[0] != -1:
            new[new.index(-1)] = prod(rest) // max(1, prod(known))
        elif into.OPEN not in known and prod(known) == prod(rest):
            new[0] = into.OPEN
    new = _kept(new, rest)
    if len(new) == 2 and z.rank > 2 and z.order[0] == 0 and into.OPEN not in rest:
        return _flat(z)
    return z.regrouped([None if n == into.OPEN else n for n in new])


def _kept(new: list[Any], rest: list[Any]) -> list[Any]:
    """The new sizes, if the first is still the batch."""
    same = into.OPEN in rest or (
        into.OPEN not in new[1:] and prod(new[1:]) == prod(rest)
    )
    if not new or not same or (new[0] != into.OPEN and new[0] < 1):
        raise Refused(
            f"makes {new} of examples of {rest}, so the first axis would not be the "
            "batch any more; with batch=False the file is read as what is done to one "
            "example"
        )
    return [into.OPEN, *new[1:]]


def _read_transpose(step: Step) -> Value:
    z = step.value()
    axes = step.ints("perm")
    return z.relabelled(list(range(z.rank))[::-1] if axes is None else axes)


def _read_squeeze(step: Step) -> Value:
    z = step.value()
    given = fold.axes_of(step)
    axes = [i for i, n in enumerate(z.sizes) if n == 1] if given is None else [
        z.axis(axis) for axis in given
    ]
    if z.order[0] in axes:
        raise Refused(
            "drops the batch; with batch=False the file is read as what is done to one "
            "example"
        )
    if any(z.sizes[axis] != 1 for axis in axes):
        raise Refused(f"drops the axes {axes} of sizes {z.sizes}, which are not 1")
    stay = [axis for axis in range(z.rank) if axis not in axes]
    order = [axis for axis in z.order if axis not in axes]
    names = {axis: at for at, axis in enumerate(stay)} | {NONE: NONE}
    shape = tuple(z.sizes[axis] for axis in order[1:])
    if not axes:
        return z
    return Value(reshape(z.node, shape), tuple(names[axis] for axis in order))


def _read_unsqueeze(step: Step) -> Value:
    z = step.value()
    given = fold.axes_of(step)
    if given is None:
        raise Refused("axes are missing")
    rank = z.rank + len(given)
    new = [axis + rank if axis < 0 else axis for axis in given]
    if len(set(new)) < len(new) or not all(0 <= axis < rank for axis in new):
        raise Refused(f"adds the axes {given} to an array of {z.rank}")
    old = [axis for axis in range(rank) if axis not in new]
    order = [axis if axis == NONE else old[axis] for axis in z.order]
    node = reshape(z.node, (*(1,) * len(new), *z.node.shape))
    return Value(node, (order[0], *sorted(new), *order[1:]))


def _read_concat(step: Step) -> Value:
    parts = [step.value(i) for i in range(len(step.inputs))]
    first = parts[0]
    axis = first.free(step.get("axis", 1))
    if any(one.rank != first.rank for one in parts):
        raise Refused("joins arrays of different numbers of axes")
    nodes = [one.ordered(first.order) for one in parts]
    return alike(first, concat(nodes, first.order.index(axis) - 1))


def _changed(z: Value, build: Any, around: dict[int, tuple[int, int]]) -> Value:
    """Pad or crop by pairs for some axes."""
    pairs = tuple(around.get(axis, (0, 0)) for axis in z.order[1:])
    if not any(map(any, pairs)):
        return z
    if len(pairs) == 1:  # one axis: as the channels of a single place
        node = reshape(build(reshape(z.node, (1, -1)), ((0, 0), *pairs)), -1)
        return alike(z, node)
    return alike(z, build(z.node, pairs if any(pairs[-1]) else pairs[:-1]))


def _read_pad(step: Step) -> Value:
    z = step.value()
    mode = step.get("mode", "constant")
    if mode != "constant":
        raise Refused(f"mode {mode!r:.20}: minidl pads with a constant only")
    given = step.list_of(1, "pads")
    if given is None:
        raise Refused("pads are missing")
    value = step.get("value", 0.0) if step.opset < 11 else step.number(2, "value", 0.0)
    axes = step.list_of(3, "axes") or list(range(z.rank))
    if len(given) != 2 * len(axes):
        raise Refused(f"pads: expected {2 * len(axes)} numbers, got {given}")
    around = {}
    for axis, a, b in zip(axes, given, given[len(axes):], strict=False):
        if a or b:
            around[z.free(axis)] = (a, b)
    more = {k: (max(a, 0), max(b, 0)) for k, (a, b) in around.items()}
    less = {k: (max(-a, 0), max(-b, 0)) for k, (a, b) in around.items()}
    z = _changed(z, crop, less)
    return _changed(z, lambda node, pairs: pad(node, pairs, value), more)


def _read_slice(step: Step) -> Value:
    z = step.value()
    cuts, strides = {}, {}
    for axis, part in fold.slices(step, z.rank).items():
        n = z.sizes[axis]
        if part.step < 0:
            raise Refused("reads backwards")
        if n is None:
            if part.start or 0 <= part.stop < 2**31 - 1 or part.step > 1:
                z.free(axis)
                raise Refused("cuts an axis of open size; give size=(h, w)")
            continue
        start, stop, by = part.indices(n)
        if stop <= start:
            raise Refused("takes nothing")
        cuts[axis] = (start, n - stop)
        if by > 1:
            strides[axis] = by
    z = _changed(z, crop, cuts)
    if not strides:
        return z
    if z.rank in (3, 4) and z.order[0] == 0 and 1 not in strides:
        z = z.image()
    if z.node.shape and len(z.node.shape) in (2, 3) and z.order[-1] not in strides:
        each = tuple(strides.get(axis, 1) for axis in z.order[1:-1])
        return alike(z, decimate(z.node, each))
    raise Refused("takes every other entry of an axis that is not height or width")


def _read_split(step: Step) -> list[Value]:
    z = step.value()
    axis = z.free(step.get("axis", 0))
    n, count = z.sizes[axis], len(step.said.outputs)
    if step.get("num_outputs", count) != count:
        raise Refused(f"num_outputs: expected {count}, as many as it has outputs")
    if n is None:
        raise Refused("splits an axis of open size; give size=(h, w)")
    part = -(-n // count)
    parts = step.list_of(1, "split") or [
        max(0, min(part, n - i * part)) for i in range(count)
    ]
    if len(parts) != count or sum(parts) != n or min(parts) < 1:
        raise Refused(f"splits {n} into {parts}")
    ends = [sum(parts[:i]) for i in range(count + 1)]
    return [
        _changed(z, crop, {axis: (a, n - b)})
        for a, b in pairwise(ends)
    ]


def _read_depth_to_space(step: Step) -> Value:
    z, b = step.value().image(2), step.get("blocksize", 0)
    _, c, h, w = z.sizes
    if None in (h, w) or b < 1 or c % (b * b):
        raise Refused(f"blocks of {b} in {c} channels of {h}x{w}")
    shape: tuple[int, ...] = (b, b, c // (b * b))
    order = [0, 3, 4, 1, 5, 2]
    if step.get("mode", "DCR") == "CRD":
        shape, order = (c // (b * b), b, b), [0, 1, 4, 2, 5, 3]
    z = z.regrouped((None, *shape, h, w)).relabelled(order)
    return z.regrouped((None, c // (b * b), h * b, w * b))


def _read_space_to_depth(step: Step) -> Value:
    z, b = step.value().image(2), step.get("blocksize", 0)
    _, c, h, w = z.sizes
    if None in (h, w) or b < 1 or h % b or w % b:
        raise Refused(f"blocks of {b} in an image of {h}x{w}")
    order = [0, 3, 5, 1, 2, 4]
    if step.get("mode", "DCR") == "CRD":
        order = [0, 1, 3, 5, 2, 4]
    z = z.regrouped((None, c, h // b, b, w // b, b)).relabelled(order)
    return z.regrouped((None, c * b * b, h // b, w // b))


WRITE: dict[type[Op], out.Rule] = {
    Flatten: _flatten,
    Reshape: _reshape,
    Transpose: _transpose,
    Concat: _concat,
    Pad: _pad,
    Crop: _crop,
}
READ: dict[str, into.Rule] = {
    "Flatten": _read_flatten,
    "Reshape": _read_reshape,
    "Transpose": _read_transpose,
    "Squeeze": _read_squeeze,
    "Unsqueeze": _read_unsqueeze,
    "Concat": _read_concat,
    "Pad": _read_pad,
    "Slice": _read_slice,
    "Split": _read_split,
    "DepthToSpace": _read_depth_to_space,
    "SpaceToDepth": _read_space_to_depth,
}
