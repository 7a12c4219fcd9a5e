"""Convolutions and their relatives: filters that slide over height and width."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...graph import Op
from ...ops.connection import ConnectionConv
from ...ops.conv import Conv, conv
from ...ops.conv_transpose import ConvTranspose, conv_transpose
from ...ops.im2col import Col2im, Im2col
from ...ops.local import Local, Tiled
from ...ops.window import windows
from ...spec import Shape, ShapeError, several, sides
from . import into, out
from .grids import grid, pads, short, tidy, window
from .into import Step
from .out import Call
from .value import Refused, Value


def _filters(w: np.ndarray, flip: bool) -> np.ndarray:
    """[kh, kw, c, f] as [f, c, kh, kw], as correlation reads them."""
    w = w.transpose(-1, -2, *range(w.ndim - 2))
    return np.flip(w, tuple(range(2, w.ndim))) if flip else w


def _window(op: Any, call: Call) -> dict[str, Any]:
    kernel, stride, dilation = op.axes(call.shapes[0])
    return {
        "kernel_shape": kernel, "strides": stride, "dilations": dilation,
        "pads": pads(sides(op.pad, kernel, dilation)), "group": op.groups,
    }


def _conv(call: Call) -> str:
    op: Any = call.op
    w = call.array("w")
    if isinstance(op, ConnectionConv):
        *kernel, _ = w.shape
        c = call.shapes[0][-1]
        full = np.zeros((*kernel, c, op.filters), w.dtype)
        full.ravel()[op.places(c, prod(kernel))] = w.ravel()
        w = full
    given = [call.z[0], call.param("w", _filters(w, op.flip))]
    given += [call.param("b")] if op.bias else []
    return call("Conv", *given, **_window(op, call))


def _conv_transpose(call: Call) -> str:
    op: Any = call.op
    given = [call.z[0], call.param("w", _filters(call.array("w"), op.flip))]
    given += [call.param("b")] if op.bias else []
    extra = several("extra", op.extra, len(call.x) - 1, 0)
    return call("ConvTranspose", *given, output_padding=extra, **_window(op, call))


def _patches(call: Call, op: Any) -> str:
    """The windows as channels, tap by tap: a convolution with ones and zeros."""
    c = call.shapes[0][-1]
    axes = windows(call.shapes[0], op.kernel, op.stride, op.pad, op.dilation).axes
    kernel = [axis.kernel for axis in axes]
    taps = prod(kernel)
    one = np.eye(taps * c).reshape(taps * c, taps, c).transpose(0, 2, 1)
    return call(
        "Conv", call.z[0], call.real("taps", one.reshape(taps * c, c, *kernel)),
        **grid(axes),
    )


def _local(call: Call) -> str:
    """Every position's row of taps times that position's matrix."""
    op: Any = call.op
    h, w, f = call.x
    rows = call("Transpose", _patches(call, op), perm=[2, 3, 0, 1])
    at = np.ix_(np.arange(h), np.arange(w))
    tile = call.array("w").shape[:2]
    at = (at[0] % tile[0], at[1] % tile[1])
    weights = call.array("w")[at].reshape(h, w, -1, f)
    x = call("MatMul", rows, call.param("w", weights))
    x = call("Transpose", x, perm=[2, 3, 0, 1])
    if not op.bias:
        return x
    return call("Add", x, call.param("b", call.array("b")[at].transpose(2, 0, 1)))


def _col2im(call: Call) -> str:
    op: Any = call.op
    *counts, c = call.shapes[0]
    if None in counts:
        raise ShapeError("the number of windows must be known")
    axes = windows(call.x, op.kernel, op.stride, op.pad, op.dilation).axes
    taps = prod(axis.kernel for axis in axes)
    z = call("Reshape", call.z[0], call.whole("split", [0, taps, c // taps, -1]))
    z = call("Transpose", z, perm=[0, 2, 1, 3])
    z = call("Reshape", z, call.whole("columns", [0, c, -1]))
    found = grid(axes)
    return call(
        "Col2Im", z, call.whole("shape", op.shape),
        call.whole("block", found.pop("kernel_shape")), **found,
    )


def _axes(w: np.ndarray, step: Step) -> tuple[int, ...]:
    """The kernel, of one axis or two."""
    kernel, given = w.shape[2:], step.ints("kernel_shape")
    if len(kernel) not in (1, 2):
        raise Refused(f"has a kernel of {len(kernel)} axes; minidl has one and two")
    if given is not None and tuple(given) != kernel:
        raise Refused(f"kernel_shape {given} for filters of shape {w.shape}")
    return kernel


def _read_conv(step: Step) -> Value:
    w = step.floats(1, "the filters", 3, 4, 5)
    kernel = _axes(w, step)
    z = step.value().image(len(kernel))
    how = window(step, z.node.shape[:-1], kernel)
    theta = {"w": w.transpose(*range(2, w.ndim), 1, 0)}
    if step.given(2):
        theta["b"] = step.floats(2, "the bias", 1)
    node = conv(
        z.node, w.shape[0], short(kernel), short(how["stride"]), tidy(how["pad"]),
        short(how["dilation"]), step.get("group", 1), bias="b" in theta,
    )
    return Value(step.owned(node, **theta), z.order)


def _read_conv_transpose(step: Step) -> Value:
    w = step.floats(1, "the filters", 3, 4, 5)
    kernel = _axes(w, step)
    z = step.value().image(len(kernel))
    how = window(step, z.node.shape[:-1], kernel)
    count, groups = len(kernel), step.get("group", 1)
    extra = step.ints("output_padding") or [0] * count
    pairs = _transposed_pads(step, z.node.shape[:-1], kernel, how, extra)
    theta = {"w": w.transpose(*range(2, w.ndim), 1, 0)}
    if step.given(2):
        theta["b"] = step.floats(2, "the bias", 1)
    node = conv_transpose(
        z.node, w.shape[1] * groups, short(kernel), short(how["stride"]),
        tidy(pairs), short(how["dilation"]), groups, bias="b" in theta,
        extra=short(extra),
    )
    return Value(step.owned(node, **theta), z.order)


def _transposed_pads(
    step: Step, sizes: Shape, kernel: Sequence[int], how: dict[str, Any],
    extra: list[int],
) -> list[tuple[int, int]]:
    """What is taken away at each side; `extra` may grow."""
    shape, auto = step.ints("output_shape"), step.get("auto_pad", "NOTSET")
    if shape is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        return how["pad"]
    pairs = []
    for i, (n, k, s, d) in enumerate(
        zip(sizes, kernel, how["stride"], how["dilation"], strict=True)
    ):
        if n is None:
            raise Refused("pads by the size, which is open; give size=(h, w)")
        want = n * s if shape is None else shape[-len(kernel):][i]
        more = s * (n - 1) + extra[i] + d * (k - 1) + 1 - want
        if more < 0:
            extra[i] -= more
        half = (max(more, 0) // 2, max(more, 0) - max(more, 0) // 2)
        pairs.append(half if auto == "SAME_UPPER" else half[::-1])
    return pairs


WRITE: dict[type[Op], out.Rule] = {
    Conv: _conv,
    ConnectionConv: _conv,
    ConvTranspose: _conv_transpose,
    Im2col: lambda call: _patches(call, call.op),
    Col2im: _col2im,
    Local: _local,
    Tiled: _local,
}
READ: dict[str, into.Rule] = {
    "Conv": _read_conv,
    "ConvTranspose": _read_conv_transpose,
}
