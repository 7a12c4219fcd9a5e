"""One number in, one number out."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from ...graph import Node, Op
from ...ops.activation import (
    LeakyRelu,
    Relu,
    Relu6,
    ScaledTanh,
    Sigmoid,
    Swish,
    Tanh,
    leaky_relu,
    relu,
    relu6,
    sigmoid,
    tanh,
)
from ...ops.affine import Prelu, prelu
from ...ops.arithmetic import Scale, scale
from ...ops.bent import (
    Clip,
    Elu,
    HardSigmoid,
    HardSwish,
    ThresholdedRelu,
    clip,
    elu,
    hard_sigmoid,
    hard_swish,
    thresholded_relu,
)
from ...ops.dropout import Dropout, Identity, dropout
from ...ops.normalise import normalise
from . import into, out
from .into import Step, alike
from .out import Call
from .value import Refused, Value


def _plain(kind: str) -> out.Rule:
    return lambda call: call(kind, *call.z)


def _scaled(call: Call, z: str, name: str, factor: float) -> str:
    return z if factor == 1 else call("Mul", z, call.real(name, factor))


def _scale(call: Call) -> str:
    op: Any = call.op
    x = _scaled(call, call.z[0], "factor", op.factor)
    return call("Add", x, call.real("shift", op.shift)) if op.shift else x


def _scaled_tanh(call: Call) -> str:
    op: Any = call.op
    x = call("Tanh", _scaled(call, call.z[0], "slope", op.slope))
    return _scaled(call, x, "amplitude", op.amplitude)


def _relu6(call: Call) -> str:
    return call("Clip", call.z[0], call.real("low", 0), call.real("high", 6))


def _leaky_relu(call: Call) -> str:
    op: Any = call.op
    return call("LeakyRelu", call.z[0], alpha=float(op.slope))


def _swish(call: Call) -> str:
    return call("Mul", call.z[0], call("Sigmoid", call.z[0]))


def _dropout(call: Call) -> str:
    op: Any = call.op
    return call("Dropout", call.z[0], call.real("rate", op.rate))


def _clip(call: Call) -> str:
    op: Any = call.op
    low = call.real("low", op.low) if op.low > -inf else ""
    high = (call.real("high", op.high),) if op.high < inf else ()
    return call("Clip", call.z[0], low, *high)


def _elu(call: Call) -> str:
    """ELU and CELU by name; with a factor SELU; else what they are made of."""
    op: Any = call.op
    alpha, width, factor = float(op.alpha), float(op.width), float(op.factor)
    if factor == 1 and width == 1:
        return call("Elu", call.z[0], alpha=alpha)
    if factor == 1 and width == alpha:
        return call("Celu", call.z[0], alpha=alpha)
    if width == 1:
        return call("Selu", call.z[0], alpha=alpha, gamma=factor)
    below = call("Celu", call.z[0], alpha=width)
    below = call("Clip", below, "", call.real("zero", 0))
    below = _scaled(call, below, "below", factor * alpha / width)
    return call("Add", _scaled(call, call("Relu", call.z[0]), "above", factor), below)


def _hard_sigmoid(call: Call) -> str:
    op: Any = call.op
    return call("HardSigmoid", call.z[0], alpha=float(op.slope), beta=float(op.shift))


def _thresholded(call: Call) -> str:
    op: Any = call.op
    return call("ThresholdedRelu", call.z[0], alpha=float(op.threshold))


def _prelu(call: Call) -> str:
    slope = call.array("slope")
    turned = slope.transpose([axis - 1 for axis in out.to_first(slope.ndim)[1:]])
    return call("PRelu", call.z[0], call.param("slope", turned))


def _each(build: Callable[..., Node], **settings: tuple[str, float]) -> into.Rule:
    """A function of each number; its settings by ONNX's name and default."""

    def rule(step: Step) -> Value:
        z = step.value()
        given = {k: step.get(name, default) for k, (name, default) in settings.items()}
        return alike(z, build(z.node, **given))

    return rule


def _read_clip(step: Step) -> Value:
    z = step.value()
    if step.opset < 11:
        low, high = step.get("min", -inf), step.get("max", inf)
    else:
        low, high = step.number(1, "min", -inf), step.number(2, "max", inf)
    if low >= high:  # ONNX takes the upper one last
        return alike(z, scale(z.node, 0.0, high))
    if (low, high) == (0, 6):
        return alike(z, relu6(z.node))
    if (low, high) == (0, inf):
        return alike(z, relu(z.node))
    return alike(z, clip(z.node, low, high))


def _read_celu(step: Step) -> Value:
    z, alpha = step.value(), step.get("alpha", 1.0)
    return alike(z, elu(z.node, alpha, alpha))


def _read_prelu(step: Step) -> Value:
    z = step.value()
    slope = step.floats(1, "the slopes")
    if slope.ndim > z.rank:
        raise Refused(f"slopes of {slope.ndim} axes for an array of {z.rank}")
    slope = slope.reshape((1,) * (z.rank - slope.ndim) + slope.shape)
    if z.order[0] >= 0 and slope.shape[z.order[0]] != 1:
        raise Refused("has a slope for each example")
    if z.order[0] >= 0:
        slope = slope.transpose(z.order)[0]
    else:
        slope = slope.transpose(z.order[1:])
    node = prelu(z.node, slope.shape)
    return alike(z, step.owned(node, slope=slope))


def _read_dropout(step: Step) -> Value:
    z = step.value()
    rate = step.get("ratio", 0.5) if step.opset < 12 else step.number(1, "ratio", 0.5)
    training = step.given(2) and bool(step.constant(2, "training_mode").any())
    if training and rate:
        raise Refused("draws at random; minidl draws in training only")
    return alike(z, dropout(z.node, rate)) if 0 < rate < 1 else z


def _read_identity(step: Step) -> Value:
    return step.value()


def _read_cast(step: Step) -> Value:
    if step.get("to", 0) not in (1, 10, 11):
        raise Refused("casts a computed array to whole numbers")
    z = step.value()
    if z.node.spec.dtype == "uint8":
        return alike(z, normalise(z.node, 0.0, 1.0))
    return z


def _read_neg(step: Step) -> Value:
    z = step.value()
    return alike(z, scale(z.node, -1.0))


WRITE: dict[type[Op], out.Rule] = {
    Scale: _scale,
    Relu: _plain("Relu"),
    Relu6: _relu6,
    LeakyRelu: _leaky_relu,
    Prelu: _prelu,
    Sigmoid: _plain("Sigmoid"),
    Tanh: _plain("Tanh"),
    ScaledTanh: _scaled_tanh,
    Swish: _swish,
    Clip: _clip,
    Elu: _elu,
    HardSigmoid: _hard_sigmoid,
    HardSwish: _plain("HardSwish"),
    ThresholdedRelu: _thresholded,
    Dropout: _dropout,
    Identity: _plain("Identity"),
}
READ: dict[str, into.Rule] = {
    "Relu": _each(relu),
    "LeakyRelu": _each(leaky_relu, slope=("alpha", 0.01)),
    "PRelu": _read_prelu,
    "Sigmoid": _each(sigmoid),
    "Tanh": _each(tanh),
    "Clip": _read_clip,
    "Elu": _each(elu, alpha=("alpha", 1.0)),
    "Selu": _each(elu, alpha=("alpha", 1.6732632), factor=("gamma", 1.0507010)),
    "Celu": _read_celu,
    "HardSigmoid": _each(hard_sigmoid, slope=("alpha", 0.2), shift=("beta", 0.5)),
    "HardSwish": _each(hard_swish),
    "ThresholdedRelu": _each(thresholded_relu, threshold=("alpha", 1.0)),
    "Dropout": _read_dropout,
    "Identity": _read_identity,
    "Cast": _read_cast,
    "Neg": _read_neg,
}
