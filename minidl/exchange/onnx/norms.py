"""Norms: batch norm, local response normalisation, softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Op
from ...ops.lrn import Lrn, lrn
from ...ops.norm import BatchNorm, batch_norm
from ...ops.normalise import Normalise
from ...ops.softmax import Softmax, softmax
from ...spec import ShapeError
from . import into, out
from .into import Step, alike
from .out import Call
from .value import Refused, Value


def _softmax(call: Call) -> str:
    return call("Softmax", call.z[0], axis=1)


def _lrn(call: Call) -> str:
    op: Any = call.op
    if op.size % 2 == 0:
        raise ShapeError("ONNX has another window of an even size; use an odd one")
    alpha = op.alpha if op.divide else op.alpha * op.size
    settings = {"size": op.size, "beta": float(op.beta), "bias": float(op.k)}
    more = range(len(call.x) + 1, 4)  # ONNX Runtime wants four axes
    z = call("Unsqueeze", call.z[0], call.whole("more", more)) if more else call.z[0]
    x = call("LRN", z, alpha=float(alpha), **settings)
    return call("Squeeze", x, call.whole("more", more)) if more else x


def _batch_norm(call: Call) -> str:
    op: Any = call.op
    theta = [call.param(local) for local in ("gamma", "beta", "mean", "var")]
    return call(
        "BatchNormalization", call.z[0], *theta, epsilon=float(op.tiny),
        momentum=float(op.momentum),
    )


def _normalise(call: Call) -> str:
    """Bytes become numbers first."""
    op: Any = call.op
    kind = call.sheet.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(call.dtype))
    x = call("Cast", call.z[0], to=kind)
    for word, local in (("Sub", "mean"), ("Div", "std")):
        numbers = np.reshape(getattr(op, local), (-1,) + (1,) * (len(call.x) - 1))
        x = call(word, x, call.real(local, numbers))
    return x


def _read_batch_norm(step: Step) -> Value:
    if step.get("training_mode", 0) or not step.get("spatial", 1):
        raise Refused("takes statistics of the batch or of places; minidl's come from "
                      "training, by channel")
    z = step.value()
    if z.rank < 2:
        raise Refused("expected axes for the batch and the channels")
    z = z.image()
    names = ("gamma", "beta", "mean", "var")
    theta = {k: step.floats(i, k, 1) for i, k in enumerate(names, 1)}
    node = batch_norm(
        z.node, step.get("momentum", 0.9), step.get("epsilon", 1e-5)
    )
    return alike(z, step.owned(node, **theta))


def _read_lrn(step: Step) -> Value:
    z = step.value().image()
    size = step.get("size", 0)
    if size % 2 == 0:
        raise Refused(f"has a window of {size} channels, minidl's are odd")
    settings = {k: step.get(name, usual) for k, name, usual in (
        ("alpha", "alpha", 1e-4), ("beta", "beta", 0.75), ("k", "bias", 1.0))}
    return alike(z, lrn(z.node, size, **settings))


def _read_softmax(step: Step) -> Value:
    """Along one axis; before opset 13 along all from it on."""
    z = step.value()
    old = step.opset < 13
    first = z.axis(step.get("axis", 1 if old else -1))
    axes = range(first, z.rank) if old else [first]
    long = [axis for axis in axes if z.sizes[axis] != 1 or axis == z.order[0]]
    if len(long) > 1:
        shape = z.sizes
        one = z.regrouped((*shape[:first], *joined(shape[first:])))
        one = one.last(one.free(first))
        return alike(one, softmax(one.node)).regrouped(shape)
    z = z.last(z.free(long[0] if long else first))
    return alike(z, softmax(z.node))


def joined(sizes: Any) -> tuple[int]:
    """Several axes as one."""
    if None in sizes:
        raise Refused("works along several axes of open size; give size=(h, w)")
    count = 1
    for n in sizes:
        count *= n
    return (count,)


WRITE: dict[type[Op], out.Rule] = {
    Softmax: _softmax,
    Lrn: _lrn,
    BatchNorm: _batch_norm,
    Normalise: _normalise,
}
READ: dict[str, into.Rule] = {
    "Softmax": _read_softmax,
    "LRN": _read_lrn,
    "BatchNormalization": _read_batch_norm,
}
