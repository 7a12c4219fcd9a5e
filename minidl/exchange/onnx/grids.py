"""Windows on a grid, as ONNX and minidl say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ops.window import Axis
from ...spec import Shape, several
from .into import Step
from .value import Refused

FAR = 2**12  # a transposed convolution has work for each step between two pixels


def pads(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """All that come before, then all that come after."""
    return [before for before, _ in pairs] + [after for _, after in pairs]


def grid(axes: Sequence[Axis]) -> dict[str, Any]:
    """The settings of ONNX for these windows."""
    found = {
        "kernel_shape": [axis.kernel for axis in axes],
        "strides": [axis.stride for axis in axes],
        "pads": pads([(axis.before, axis.after) for axis in axes]),
    }
    dilations = [axis.dilation for axis in axes]
    return found if set(dilations) == {1} else found | {"dilations": dilations}


def tidy(pairs: Sequence[tuple[int, int]]) -> Any:
    """Padding, as short as it can be said."""
    same = [a for a, b in pairs if a == b]
    if len(same) < len(pairs):
        return tuple(pairs)
    return same[0] if len(set(same)) == 1 else tuple(same)


def short(values: Sequence[int]) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)


def window(step: Step, sizes: Shape, kernel: Sequence[int]) -> dict[str, Any]:
    """stride, dilation and pad, as minidl says them; the pads as pairs."""
    count = len(kernel)
    if count != len(sizes):
        raise Refused(f"a kernel of {count} axes on an image of {len(sizes)}")
    stride = step.ints("strides") or [1] * count
    dilation = step.ints("dilations") or [1] * count
    several("strides", stride, count)
    several("dilations", dilation, count)
    if max(stride) > FAR:
        raise Refused(f"strides: {stride} are more than {FAR}")
    given = step.ints("pads") or [0] * 2 * count
    if len(given) != 2 * count:
        raise Refused(f"pads: expected {2 * count} numbers, got {given}")
    pairs = list(zip(given[:count], given[count:], strict=True))
    auto = step.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            if n is None and s > 1:
                raise Refused("pads by the size, which is open; give size=(h, w)")
            reach = d * (k - 1) + 1
            more = reach - 1 if n is None else max((-(-n // s) - 1) * s + reach - n, 0)
            half = (more // 2, more - more // 2)
            pairs.append(half if auto == "SAME_UPPER" else half[::-1])
    elif auto == "VALID":
        pairs = [(0, 0)] * count
    elif auto != "NOTSET":
        raise Refused(f"auto_pad: {auto!r:.40} is not known")
    return {"stride": stride, "dilation": dilation, "pad": pairs}
