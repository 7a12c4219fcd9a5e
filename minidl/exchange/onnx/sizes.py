"""More or fewer pixels: resize, upsample, decimate."""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np

from ...graph import Op
from ...ops.interpolate import Resize, resize
from ...ops.resize import Decimate, Upsample, upsample
from ...spec import several
from . import into, out
from .into import Step
from .out import Call
from .shapes import FAR
from .value import Refused, Value

ALIGN = {  # as ONNX calls them, as minidl does
    "half_pixel": "centres", "pytorch_half_pixel": "centres_or_zero",
    "half_pixel_symmetric": "middle", "align_corners": "corners",
    "asymmetric": "edges",
}
ROUND = {
    "round_prefer_floor": "half_down", "round_prefer_ceil": "half_up",
    "floor": "down", "ceil": "up",
}


def _named(table: dict[str, str], word: str) -> str:
    return next(key for key, value in table.items() if value == word)


def _scales(call: Call, factors: Any) -> str:
    array = np.array((1, 1, *factors), np.float32)
    return call.sheet.constant(f"{call.name}/scales", array)


def _upsample(call: Call) -> str:
    op: Any = call.op
    scales = _scales(call, several("factor", op.factor, len(call.x) - 1))
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if op.mode == "bilinear":
        how = {"coordinate_transformation_mode": "half_pixel"}
    mode = {"nearest": "nearest", "bilinear": "linear"}[op.mode]
    return call("Resize", call.z[0], "", scales, mode=mode, **how)


def _resize(call: Call) -> str:
    op: Any = call.op
    given: tuple[str, ...] = ()
    if op.size is None:
        factors = op.factor if isinstance(op.factor, tuple | list) else (
            (op.factor,) * (len(call.x) - 1)
        )
        given = ("", _scales(call, factors))
    else:
        shape = call("Shape", call.z[0], start=0, end=2)
        want = call.whole("size", several("size", op.size, len(call.x) - 1))
        given = ("", "", call("Concat", shape, want, axis=0))
        if op.factor is not None:
            raise Refused("ONNX has a size or a factor, not both")
    return call(
        "Resize", call.z[0], *given, mode=op.mode, cubic_coeff_a=float(op.cubic),
        coordinate_transformation_mode=_named(ALIGN, op.align),
        nearest_mode=_named(ROUND, op.round), antialias=int(op.smooth),
        exclude_outside=int(op.inside),
    )


def _decimate(call: Call) -> str:
    op: Any = call.op
    count = len(call.x) - 1
    return call(
        "Slice", call.z[0], call.whole("starts", [0] * count),
        call.whole("ends", [FAR] * count), call.whole("axes", range(2, 2 + count)),
        call.whole("steps", several("stride", op.stride, count)),
    )


def _read_resize(step: Step) -> Value:
    z = step.value()
    old = step.said.kind == "Upsample" or step.opset < 11
    mode = step.get("mode", "nearest")
    align = step.get("coordinate_transformation_mode", "half_pixel")
    rounding = step.get("nearest_mode", "round_prefer_floor")
    more = (
        step.get("cubic_coeff_a", -0.75), bool(step.get("antialias", 0)),
        bool(step.get("exclude_outside", 0)),
    )
    if old:
        align, rounding = "asymmetric", "floor"
    if align not in ALIGN or rounding not in ROUND:
        raise Refused(f"{align}, {rounding}: minidl has no such way to resize")
    sizes, scales = _wanted(step, z, old)
    axes = [axis for axis in range(z.rank) if scales[axis] != 1 or (
        sizes[axis] is not None and sizes[axis] != z.sizes[axis])]
    if not axes:
        return z
    if len(axes) > 2 or z.order[0] in axes:
        raise Refused("resizes the batch or more than two axes")
    image = _image(z, axes)
    places = image.order[1:-1]
    size = [sizes[axis] for axis in places]
    factor: Any = tuple(float(scales[axis]) for axis in places)
    whole = all(f == int(f) and f >= 1 for f in factor)
    plain = (mode, align, rounding) == ("nearest", "asymmetric", "floor")
    clean = whole and all(s is None or (n is not None and s == n * f)
                          for n, s, f in zip(image.node.shape, size, factor,
                                             strict=False))
    if clean and plain:
        node = upsample(image.node, tuple(int(f) for f in factor))
    elif clean and (mode, align) == ("linear", "half_pixel"):
        node = upsample(image.node, tuple(int(f) for f in factor), "bilinear")
    else:
        node = resize(
            image.node, None if None in size else tuple(size), factor, mode,
            ALIGN[align], ROUND[rounding], *more,
        )
    return Value(node, image.order)


def _image(z: Value, axes: list[int]) -> Value:
    """With the axes to be resized where height and width are."""
    if z.rank in (3, 4) and z.order[0] == 0 and set(axes) <= set(range(2, z.rank)):
        return z.image()
    if z.rank in (3, 4) and z.order[0] == 0 and z.order[-1] not in axes:
        return z
    raise Refused("resizes axes that are not height and width")


def _wanted(step: Step, z: Value, old: bool) -> tuple[list[Any], list[float]]:
    """The new sizes, where they are given, and the factors, axis by axis."""
    rank = z.rank
    at = 1 if old else 2
    policy = step.get("keep_aspect_ratio_policy", "stretch")
    given = step.ints("axes")
    axes = list(range(rank)) if given is None else [z.axis(axis) for axis in given]
    sizes: list[Any] = [None] * rank
    scales = [1.0] * rank
    if step.given(at) and step.constant(at, "scales").size:
        found = step.floats(at, "scales", 1).tolist()
        if len(found) != len(axes) or any(not 0 < one < 2**20 for one in found):
            raise Refused(f"scales: expected {len(axes)} positive numbers, got {found}")
        for axis, one in zip(axes, found, strict=True):
            scales[axis], n = one, z.sizes[axis]
            sizes[axis] = None if n is None else floor(n * one)
        return sizes, scales
    if step.opset < 9:
        raise Refused("scales are missing")
    if not step.given(3):
        raise Refused("neither scales nor sizes are given")
    want = step.constant(3, "sizes").ravel().tolist()
    if len(want) != len(axes):
        raise Refused(f"sizes: expected {len(axes)} numbers, got {want}")
    known = [
        (axis, into.whole("sizes", n)) for axis, n in zip(axes, want, strict=True)
        if axis != z.order[0] and not isinstance(n, str)
    ]
    if any(z.sizes[axis] is None for axis, _ in known):
        raise Refused("has sizes for an image of open size; give size=(h, w)")
    ratios = {axis: n / z.sizes[axis] for axis, n in known}
    if policy != "stretch":
        some = (min if policy == "not_larger" else max)(ratios.values())
        known = [(axis, floor(some * z.sizes[axis] + 0.5)) for axis, _ in known]
        ratios = dict.fromkeys(ratios, some)
    for axis, n in known:
        if n < 1:
            raise Refused(f"sizes: {n} pixels along axis {axis}")
        sizes[axis], scales[axis] = n, ratios[axis]
    return sizes, scales


WRITE: dict[type[Op], out.Rule] = {
    Upsample: _upsample,
    Resize: _resize,
    Decimate: _decimate,
}
READ: dict[str, into.Rule] = {"Resize": _read_resize, "Upsample": _read_resize}
