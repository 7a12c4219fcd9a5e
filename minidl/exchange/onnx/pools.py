"""Pooling: of windows, of whole maps, of any axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...graph import Node, Op
from ...ops.arithmetic import scale
from ...ops.average import (
    AvgPool,
    GlobalAvgPool,
    WeightedPool,
    avg_pool,
    global_avg_pool,
)
from ...ops.layout import reshape
from ...ops.pool import GlobalMaxPool, MaxPool, global_max_pool, max_pool
from ...ops.sumpool import SumPool
from ...ops.window import Axis
from ...spec import ShapeError
from . import into, out
from .grids import grid, short, tidy, window
from .into import Step
from .out import Call
from .value import NONE, Refused, Value


def _overhang(axes: Sequence[Axis], ceil: bool) -> dict[str, Any]:
    """The windows, and by how much the last ones stand out, as padding."""
    found = grid(axes)
    if not ceil:
        return found
    if any(axis.size is None for axis in axes):
        return found | {"ceil_mode": 1}
    ends = [
        max(0, (a.count - 1) * a.stride + a.reach - a.size - a.before) for a in axes
    ]
    befores = [axis.before for axis in axes]
    return found | {"pads": befores + ends}


def _max_pool(call: Call) -> str:
    op: Any = call.op
    axes = op.grid(call.shapes[0]).axes
    return call("MaxPool", call.z[0], **_overhang(axes, op.ceil))


def _avg_pool(call: Call) -> str:
    op: Any = call.op
    return call(
        "AveragePool", call.z[0], count_include_pad=int(op.count_pad),
        ceil_mode=int(op.ceil), **grid(op.grid(call.shapes[0]).axes),
    )


def _weighted_pool(call: Call) -> str:
    """A convolution of each map with the same weights; uneven windows are scaled."""
    op: Any = call.op
    grid, c = op.grid(call.shapes[0]), call.shapes[0][-1]
    kernel = tuple(axis.kernel for axis in grid.axes)
    table = op.table(kernel)
    weights = np.broadcast_to(table / table.sum(), (c, 1, *kernel))
    found = _known(grid.axes, op.ceil)
    x = call("Conv", call.z[0], call.real("weights", weights), group=c, **found)
    if op.even(grid):
        return x
    counts = table
    for at, axis in enumerate(grid.axes):
        counts = _counted(counts, at, axis, op.count_pad)
    return call("Mul", x, call.real("share", table.sum() / counts[None]))


def _counted(table: np.ndarray, at: int, axis: Axis, pads: bool) -> np.ndarray:
    return np.moveaxis(np.tensordot(_inside(axis, pads), table, (1, at)), 0, at)


def _inside(axis: Axis, pads: bool) -> np.ndarray:
    """Which taps of each window count: [windows, taps]."""
    at = np.arange(axis.count)[:, None] * axis.stride + np.arange(axis.kernel)
    low, high = (-axis.before, axis.after) if pads else (0, 0)
    return ((at >= axis.before + low) & (at < axis.before + axis.size + high)) * 1.0


def _known(axes: Sequence[Axis], ceil: bool) -> dict[str, Any]:
    found = _overhang(axes, ceil)
    if found.pop("ceil_mode", 0):
        raise ShapeError("with ceil its height and width must be known")
    return found


def _sum_pool(call: Call) -> str:
    """A convolution of each map with its own constant."""
    op: Any = call.op
    axes, c = op.grid(call.shapes[0]).axes, call.shapes[0][-1]
    kernel = [axis.kernel for axis in axes]
    w = np.broadcast_to(call.array("w"), (c,)).reshape(c, 1, *(1,) * len(kernel))
    given = call.z[0], call.param("w", np.broadcast_to(w, (c, 1, *kernel)))
    b = call.param("b", np.broadcast_to(call.array("b"), (c,)))
    return call("Conv", *given, b, group=c, **_known(axes, op.ceil))


def _global(kind: str) -> out.Rule:
    def rule(call: Call) -> str:
        op: Any = call.op
        x = call(kind, call.z[0])
        return x if op.keep else call("Flatten", x, axis=1)

    return rule


def _pool(step: Step, build: Callable[..., Node], settings: dict[str, Any]) -> Value:
    kernel = step.ints("kernel_shape")
    if kernel is None:
        raise Refused("kernel_shape is missing")
    z = step.value().image(len(kernel))
    how = window(step, z.node.shape[:-1], kernel)
    ceil = bool(step.get("ceil_mode", 0))
    how = {"kernel": kernel, **how}

    def pool(z: Node, some: slice, line: bool = False) -> Node:
        """Over some of the axes; `line` says that rows are not neighbours."""
        parts = {k: list(v[some]) for k, v in how.items()}
        if line:
            first = {"kernel": 1, "stride": 1, "dilation": 1, "pad": (0, 0)}
            parts = {k: [first[k], *v] for k, v in parts.items()}
        return build(
            z, short(parts["kernel"]), short(parts["stride"]), tidy(parts["pad"]),
            ceil, dilation=short(parts["dilation"]), **settings,
        )

    if len(kernel) < 3:
        return Value(pool(z.node, slice(None)), z.order)
    # the largest of the largest is the largest, and so it is with means
    *sizes, c = z.node.shape
    if len(kernel) > 3 or None in sizes:
        raise Refused("has more than three axes, or three of open size")
    node = pool(reshape(z.node, (*sizes[:2], sizes[2] * c)), slice(2))
    d, h, _ = node.shape
    node = pool(reshape(node, (d * h, sizes[2], c)), slice(2, 3), line=True)
    return Value(reshape(node, (d, h, node.shape[1], c)), z.order)


def _read_max(step: Step) -> Value:
    return _pool(step, max_pool, {})


def _read_avg(step: Step) -> Value:
    count = bool(step.get("count_include_pad", 0))
    return _pool(step, avg_pool, {"count_pad": count})


def _read_global(build: Callable[..., Node]) -> into.Rule:
    def rule(step: Step) -> Value:
        z = step.value().image()
        return Value(build(z.node, keep=True), z.order)

    return rule


def reduced(
    z: Value, axes: Sequence[int], keep: bool, build: Callable[..., Node]
) -> Value:
    """One number for all along some axes, by pooling over whole maps."""
    gone = sorted({z.free(axis) for axis in axes})
    order = z.order
    if order[-len(gone) - 1 : -1] != tuple(gone) or len(order) > len(gone) + 2:
        left = [axis for axis in order[1:] if axis not in gone]
        order = (order[0], *gone, *left)
    node, sizes = z.ordered(order), z.sizes
    left = list(order[1 + len(gone):])
    if len(left) != 1:
        if None in node.shape:
            raise Refused("works along several axes of open size; give size=(h, w)")
        count = prod(sizes[axis] for axis in gone)
        node = reshape(node, (count, prod(sizes[axis] for axis in left)))
    node = build(node)
    if keep:
        kept = [*gone, *left]
        shape = [1] * len(gone) + [sizes[axis] for axis in left]
        return Value(reshape(node, tuple(shape)), (order[0], *kept))
    stay = [axis for axis in range(z.rank) if axis not in gone]
    names = {axis: at for at, axis in enumerate(stay)} | {NONE: NONE}
    if len(left) != 1:
        node = reshape(node, tuple(sizes[axis] for axis in left))
    return Value(node, tuple(names[axis] for axis in (order[0], *left)))


def _read_reduce(build: Callable[..., Node], total: bool = False) -> into.Rule:
    def rule(step: Step) -> Value:
        z = step.value()
        axes = step.list_of(1, "axes")
        if not axes:
            if step.get("noop_with_empty_axes", 0):
                return z
            axes = [axis for axis in range(z.rank)]
        found = reduced(z, axes, bool(step.get("keepdims", 1)), build)
        if not total:
            return found
        sizes = [z.sizes[z.axis(axis)] for axis in set(axes)]
        if None in sizes:
            raise Refused("adds over open sizes; give size=(h, w)")
        return Value(scale(found.node, float(prod(sizes))), found.order)

    return rule


WRITE: dict[type[Op], out.Rule] = {
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    WeightedPool: _weighted_pool,
    SumPool: _sum_pool,
    GlobalMaxPool: _global("GlobalMaxPool"),
    GlobalAvgPool: _global("GlobalAveragePool"),
}
READ: dict[str, into.Rule] = {
    "MaxPool": _read_max,
    "AveragePool": _read_avg,
    "GlobalMaxPool": _read_global(global_max_pool),
    "GlobalAveragePool": _read_global(global_avg_pool),
    "ReduceMax": _read_reduce(global_max_pool),
    "ReduceMean": _read_reduce(global_avg_pool),
    "ReduceSum": _read_reduce(global_avg_pool, total=True),
}
