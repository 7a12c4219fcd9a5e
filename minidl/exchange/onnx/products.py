"""Products: with a matrix of constants, or of two arrays."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...graph import Node, Op
from ...ops.arithmetic import scale
from ...ops.broadcast import Matmul, matmul
from ...ops.conv import conv
from ...ops.dense import Dense, dense
from ...ops.layout import reshape
from ...ops.maxout import Maxout
from ...ops.rbf import Rbf
from . import into, out, pairs
from .into import Step, joint
from .out import Call, to_first, to_last
from .value import NONE, Refused, Value


def _dense(call: Call) -> str:
    op: Any = call.op
    b = [call.param("b")] if op.bias else []
    return call("Gemm", call.z[0], call.param("w"), *b)


def _rbf(call: Call) -> str:
    """(z - w)^2 for each input and feature, then the sum over the inputs."""
    z = call("Unsqueeze", call.z[0], call.whole("last", [2]))
    away = call("Sub", z, call.param("w", call.array("w")[None]))
    return call(
        "ReduceSum", call("Mul", away, away), call.whole("axes", [1]), keepdims=0
    )


def _maxout(call: Call) -> str:
    """Pooling over the channels: what was the width is then a map."""
    op: Any = call.op
    rank, pieces = len(call.x), op.pieces
    if rank == 1:
        z = call("Reshape", call.z[0], call.whole("groups", [0, call.x[0], pieces]))
        return call("ReduceMax", z, call.whole("axes", [2]), keepdims=0)
    z = call.turn(call.z[0], to_last(rank))
    steps = [1] * (rank - 2) + [pieces]
    x = call("MaxPool", z, kernel_shape=steps, strides=steps)
    return call.turn(x, to_first(rank))


def _matmul(call: Call) -> str:
    rank = len(call.x)
    a, b = (call.turn(z, to_last(rank)) for z in call.z)
    return call.turn(call("MatMul", a, b), to_first(rank))


# -- on the way in -------------------------------------------------------------------


def contracted(
    step: Step, z: Value, axis: int, w: np.ndarray, b: np.ndarray | None = None
) -> Value:
    """One axis times a matrix [in, out]; the others stay."""
    z = z.last(z.free(axis))
    *rest, n = z.node.shape
    if n != w.shape[0]:
        raise Refused(f"multiplies {n} numbers by a matrix {w.shape[0]}x{w.shape[1]}")
    theta = {"w": w} if b is None else {"w": w, "b": b}
    if not rest:
        node = dense(z.node, w.shape[1], bias=b is not None)
        return Value(step.owned(node, **theta), z.order)
    if len(rest) > 2 and None in rest:
        raise Refused("multiplies an array of more than three axes, some open")
    flat = z.node if len(rest) < 3 else reshape(z.node, (prod(rest), n))
    axes = len(flat.shape) - 1
    theta["w"] = w.reshape(*(1,) * axes, *w.shape)
    node = step.owned(conv(flat, w.shape[1], 1, bias=b is not None), **theta)
    node = node if flat is z.node else reshape(node, (*rest, w.shape[1]))
    return Value(node, z.order)


def _read_gemm(step: Step) -> Value:
    alpha, beta = step.get("alpha", 1.0), step.get("beta", 1.0)
    turned = [bool(step.get(k, 0)) for k in ("transA", "transB")]
    found: list[Any] = []
    for i, turn in enumerate(turned):
        one = step.inputs[i]
        array = step.value(i) if isinstance(one, Value) else step.floats(i, "it", 2)
        rank = array.rank if isinstance(array, Value) else array.ndim
        if rank != 2:
            raise Refused(f"its input {i} has {rank} axes, expected 2")
        if turn:
            array = array.relabelled((1, 0)) if isinstance(array, Value) else array.T
        found.append(array)
    a, b = found
    c = step.inputs[2] if step.given(2) else None
    if isinstance(a, Value) and not isinstance(b, Value):
        w = b if alpha == 1 else b * np.float32(alpha)
        bias = None
        if isinstance(c, np.ndarray) and c.dtype.kind == "f" and c.size in (
            1, w.shape[1]) and (c.ndim < 2 or c.shape[0] == 1):
            bias, c = np.broadcast_to(c.ravel() * c.dtype.type(beta), w.shape[1:]), None
        x = contracted(step, a, 1, w, bias)
    elif isinstance(b, Value) and not isinstance(a, Value):
        x = contracted(step, b, 0, a.T if alpha == 1 else a.T * np.float32(alpha))
    else:
        x = _scaled(_product(a, b), alpha)
    if c is None or beta == 0:
        return x
    if isinstance(c, Value):
        return pairs.added(step, x, _scaled(c, beta))
    return pairs.added(step, x, c if beta == 1 else c * c.dtype.type(beta))


def _scaled(z: Value, by: float) -> Value:
    return z if by == 1 else Value(scale(z.node, by), z.order)


def _product(a: Value, b: Value) -> Value:
    """The product of two arrays, each with its two last axes as a matrix."""
    rank = max(a.rank, b.rank)
    a, b = pairs.lifted(a, rank), pairs.lifted(b, rank)
    for one in (a, b):
        if one.order[0] >= rank - 2:
            raise Refused(
                "adds over the batch, or multiplies by it; with batch=False the file "
                "is read as what is done to one example"
            )
    if a.order[0] != b.order[0]:
        raise Refused("multiplies arrays whose batches lie in different axes")
    order = (a.order[0], *(axis for axis in range(rank) if axis != a.order[0]))
    left, right = a.ordered(order), b.ordered(order)
    before = joint(left.shape[:-2], right.shape[:-2])
    left = pairs.stretched(left, (*before, *left.shape[-2:]))
    right = pairs.stretched(right, (*before, *right.shape[-2:]))
    return Value(matmul(left, right), order)


def _read_matmul(step: Step) -> Value:
    """A constant on one side is a matrix; a vector is a matrix of one row or column."""
    if not (step.given(0) and step.given(1)):
        raise Refused("an input is missing")
    a, b = step.inputs[:2]
    if isinstance(a, Value) and isinstance(b, Value):
        return _vectors(a, b)
    side = 0 if isinstance(a, Value) else 1
    z = step.value(side)
    w = step.floats(1 - side, "the matrix")
    while w.ndim > 2 and w.shape[0] == 1:
        w = w[0]
    if w.ndim > 2:
        raise Refused("multiplies by several matrices of constants")
    vector = w.ndim == 1
    if side:
        w = w.T if w.ndim == 2 else w[:, None]
        axis = z.rank - 2 if z.rank > 1 else 0
    else:
        w = w if w.ndim == 2 else w[:, None]
        axis = z.rank - 1
    x = contracted(step, z, axis, w)
    return dropped(x, axis) if vector else x


def dropped(z: Value, axis: int) -> Value:
    """Without an axis of size 1."""
    order = [one for one in z.order if one != axis]
    shape = tuple(z.sizes[one] for one in order[1:])
    moved = tuple(one - (one > axis) if one != NONE else one for one in order)
    return Value(reshape(z.node, shape), moved)


def _vectors(a: Value, b: Value) -> Value:
    rows, columns = a.rank == 1, b.rank == 1
    if rows:
        a = pairs.lifted(a, 2)
    if columns:
        node: Node = reshape(b.node, (*b.node.shape, 1))
        b = Value(node, (*b.order, 1))
    x = _product(a, b)
    if columns:
        x = dropped(x, x.rank - 1)
    return dropped(x, x.rank - (1 if columns else 2)) if rows else x


WRITE: dict[type[Op], out.Rule] = {
    Dense: _dense, Rbf: _rbf, Maxout: _maxout, Matmul: _matmul,
}
READ: dict[str, into.Rule] = {"Gemm": _read_gemm, "MatMul": _read_matmul}
