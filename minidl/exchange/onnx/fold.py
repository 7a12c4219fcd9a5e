"""What is known before anything runs: constants, shapes, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .into import OPEN, Step, joint, whole
from .proto import AXES, TYPES
from .value import Refused

MOST = 2**27  # numbers that a constant may become; larger ones come as weights
TOTAL = 2**31  # bytes of all such constants of a file


def _bounded(shape: Any) -> tuple[int, ...]:
    sizes = tuple(whole("shape", one) for one in shape)
    if any(n < 0 for n in sizes) or prod(sizes) > MOST or len(sizes) > AXES:
        raise Refused(f"makes a constant of shape {sizes}")
    return sizes


def _constant(step: Step) -> Any:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        found = step.get(name, None, object)
        if found is not None:
            if isinstance(found, np.ndarray):
                return found
            kind = np.float32 if "float" in name else np.int64
            return np.asarray(found, kind)
    raise Refused("holds neither an array nor a number")


def _constant_of_shape(step: Step) -> Any:
    value = step.get("value", np.zeros(1, np.float32))
    if value.size != 1:
        raise Refused("value: expected an array of one number")
    shape = _bounded(step.constant(0, "shape").ravel().tolist())
    return np.broadcast_to(value.reshape(()), shape)  # one number in memory


def _cast(step: Step) -> Any:
    found, kind = step.constant(0, "input"), TYPES.get(step.get("to", 0))
    if kind is None:
        raise Refused(f"casts to the type {step.get('to', 0)}")
    return found if found.dtype == object else found.astype(kind)


def sizes(step: Step) -> Any:
    """Shape: the batch and what is open stand as words."""
    value = step.inputs[0]
    found = list(np.shape(value) if isinstance(value, np.ndarray) else value.sizes)
    found = found[step.get("start", 0):step.get("end", len(found))]
    if None in found:
        return np.array([OPEN if n is None else n for n in found], object)
    return np.array(found, np.int64)


def _gather(step: Step) -> Any:
    at = step.constant(1, "indices")
    data = step.constant(0, "data")
    if at.size * max(1, data.size) > MOST:
        raise Refused("gathers too much")
    found = np.take(data, at.astype(np.int64), axis=step.get("axis", 0))
    return np.asarray(found, data.dtype)  # a word alone would become text


def axes_of(step: Step, i: int = 1) -> list[int] | None:
    """The axes that it works on, which newer files give as an input."""
    return step.list_of(i, "axes")


def _unsqueeze(step: Step) -> Any:
    found = step.constant(0, "input")
    axes = axes_of(step) or []
    return np.expand_dims(found, tuple(axes)) if axes else found


def _squeeze(step: Step) -> Any:
    axes = axes_of(step)
    return np.squeeze(step.constant(0, "input"), None if axes is None else tuple(axes))


def reshaped(step: Step, old: list[Any]) -> list[Any]:
    """The new shape, 0 and -1 resolved; `old` may hold None or words."""
    given = step.ints("shape") if step.opset < 5 else None
    new: list[Any] = given or step.constant(1, "shape").ravel().tolist()
    if not step.get("allowzero", 0):
        if any(n == 0 and i >= len(old) for i, n in enumerate(new)):
            raise Refused(f"shape {new} copies an axis that is not there")
        new = [old[i] if n == 0 else n for i, n in enumerate(new)]
    if new.count(-1) == 1 and not any(isinstance(n, str) or n is None
                                      for n in [*old, *new]):
        known = prod(n for n in new if n != -1)
        if known <= 0 or prod(old) % known:
            raise Refused(f"{old} has no shape {new}")
        new[new.index(-1)] = prod(old) // known
    return new


def _reshape(step: Step) -> Any:
    found = step.constant(0, "input")
    return found.reshape(_bounded(reshaped(step, list(found.shape))))


def _transpose(step: Step) -> Any:
    return step.constant(0, "input").transpose(step.ints("perm"))


def _concat(step: Step) -> Any:
    parts = [step.constant(i, "input") for i in range(len(step.inputs))]
    if sum(one.size for one in parts) > MOST:
        raise Refused("makes too large a constant")
    return np.concatenate(parts, step.get("axis", 0, int))


def slices(step: Step, rank: int) -> dict[int, slice]:
    """The parts that Slice takes, by axis."""
    words = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (step.list_of(i, w) for i, w in enumerate(words, 1))
    if starts is None or ends is None:
        raise Refused("starts or ends are missing")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found = {}
    for start, end, axis, by in zip(starts, ends, axes, steps, strict=True):
        if not -rank <= axis < rank or not by:
            raise Refused(f"takes each {by}th of axis {axis} of {rank} axes")
        found[axis % rank] = slice(start, end, by)
    return found


def _slice(step: Step) -> Any:
    found = step.constant(0, "input")
    parts = slices(step, found.ndim)
    return found[tuple(parts.get(i, slice(None)) for i in range(found.ndim))]


def _expand(step: Step) -> Any:
    found = step.constant(0, "input")
    shape = _bounded(step.constant(1, "shape").ravel().tolist())
    return np.broadcast_to(found, joint(found.shape, shape))


def _pair(do: Callable[..., Any]) -> Callable[[Step], Any]:
    def rule(step: Step) -> Any:
        parts = [step.constant(i, "input") for i in range(len(step.inputs))]
        if prod(joint(*(one.shape for one in parts))) > MOST:
            raise Refused("makes too large a constant")
        return do(*parts)

    return rule


def _divide(a: Any, b: Any) -> Any:
    if a.dtype.kind in "iu":
        return (np.abs(a) // np.abs(b)) * np.sign(a) * np.sign(b)
    return a / b


RULES: dict[str, Callable[[Step], Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Shape": sizes,
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Expand": _expand,
    "Identity": lambda step: step.constant(0, "input"),
    "Add": _pair(np.add),
    "Sub": _pair(np.subtract),
    "Mul": _pair(np.multiply),
    "Div": _pair(_divide),
    "Neg": _pair(np.negative),
    "Sqrt": _pair(np.sqrt),
    "Floor": _pair(np.floor),
    "Ceil": _pair(np.ceil),
}
