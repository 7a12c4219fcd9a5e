"""How the arrays of theta begin.

An initialiser is called with the shape of a parameter, its (fan_in, fan_out), a
generator and a dtype. Those below are frozen settings, in lower case because that is
how `Param.init` names them: "he", or he("fan_out") where the defaults do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .spec import Error, Param

if TYPE_CHECKING:  # importing numpy.random takes a tenth of importing minidl
    Random = np.random.Generator

Shape = tuple[int, ...]
Fan = tuple[int, int]


@dataclass(frozen=True)
class constant:
    """w = value"""

    value: float = 0.0

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        return np.full(shape, self.value, dtype)


@dataclass(frozen=True)
class values:
    """w = the given numbers, kept as nested tuples"""

    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _frozen(np.asarray(self.value).tolist()))

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        return np.array(self.value, dtype)


@dataclass(frozen=True)
class normal:
    """w ~ N(0, std^2)"""

    std: float = 0.01

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        w = rng.standard_normal(shape, dtype)
        w *= self.std
        return w


@dataclass(frozen=True)
class uniform:
    """w ~ U(-limit, limit)"""

    limit: float = 0.05

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        w = rng.random(shape, dtype)
        w -= 0.5
        w *= 2 * self.limit
        return w


@dataclass(frozen=True)
class he:
    """w ~ N(0, 2 / fan): keeps the variance through a relu, forward with "fan_in",
    of the gradients with "fan_out"."""

    mode: str = "fan_in"

    def __post_init__(self) -> None:
        if self.mode not in ("fan_in", "fan_out"):
            raise Error(f'he: expected mode "fan_in" or "fan_out", got {self.mode!r}')

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        n = fan[0] if self.mode == "fan_in" else fan[1]
        return normal(math.sqrt(2 / max(n, 1)))(shape, fan, rng, dtype)


@dataclass(frozen=True)
class glorot:
    """w ~ U(-a, a), a = sqrt(6 / (fan_in + fan_out)): for tanh, both ways at once"""

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        return uniform(math.sqrt(6 / max(sum(fan), 1)))(shape, fan, rng, dtype)


@dataclass(frozen=True)
class lecun:
    """w ~ N(0, 1 / fan_in)"""

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        return normal(math.sqrt(1 / max(fan[0], 1)))(shape, fan, rng, dtype)


@dataclass(frozen=True)
class lecun_uniform:
    """w ~ U(-2.4 / fan_in, 2.4 / fan_in), as LeNet's paper has it"""

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        return uniform(2.4 / max(fan[0], 1))(shape, fan, rng, dtype)


@dataclass(frozen=True)
class orthogonal:
    """w^T w = gain^2 I (w w^T if wide), w as a matrix [all other axes, last axis]"""

    gain: float = 1.0

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        columns = shape[-1] if shape else 1
        rows = math.prod(shape[:-1])
        w = rng.standard_normal((max(rows, columns), min(rows, columns)), dtype)
        q, r = np.linalg.qr(w)
        q *= self.gain * np.copysign(1, np.diagonal(r))  # uniform over all of them
        return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


@dataclass(frozen=True)
class gabor:
    """w(y, x) = a exp(-(u^2 + v^2) / (2 s^2)) cos(2 pi u / l + phase)

    over [kh, kw, c, f], with u = x cos t + y sin t, v = y cos t - x sin t, y and x from
    the middle, and a such that each of the f filters has the length `gain`. They are
    pairs of an even and an odd phase, at evenly spaced orientations t, for each of
    `scales` wavelengths l = k, k / sqrt(2), k / 2, ... (at least 2.5 positions);
    s = l / 3. All c channels are alike.
    """

    scales: int = 1
    gain: float = 1.0

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        kh, kw, _, filters = _four("gabor", shape)
        angles = math.ceil(filters / (2 * self.scales))
        i = np.arange(filters)
        phase = -np.pi / 2 * (i % 2)
        t = np.pi * (i // 2 % angles) / angles
        wave = np.maximum(max(kh, kw) / np.sqrt(2) ** (i // (2 * angles)), 2.5)
        y = (np.arange(kh) - (kh - 1) / 2)[:, None, None, None]
        x = (np.arange(kw) - (kw - 1) / 2)[:, None, None]
        u, v = x * np.cos(t) + y * np.sin(t), y * np.cos(t) - x * np.sin(t)
        bell = np.exp(-(u * u + v * v) / (2 * (wave / 3) ** 2))
        w = np.broadcast_to(bell * np.cos(2 * np.pi * u / wave + phase), shape)
        length = np.sqrt((w * w).sum(axis=(0, 1, 2)))
        return (w * (self.gain / np.maximum(length, 1e-6))).astype(dtype)


@dataclass(frozen=True)
class bilinear:
    """w(y, x, i, i) = tent(y) tent(x): a transposed convolution then interpolates"""

    def __call__(self, shape: Shape, fan: Fan, rng: Random, dtype: Any) -> Any:
        kh, kw, c, f = _four("bilinear", shape)
        if c != f and 1 not in (c, f):
            raise Error(
                f"bilinear: expected as many channels in as out, got {c} and {f}; use "
                "equal numbers, or a group per channel"
            )
        between = np.eye(c, f) if c == f else np.ones((c, f))
        tents = np.outer(_tent(kh), _tent(kw))
        return (tents[:, :, None, None] * between).astype(dtype)


NAMED: dict[str, Callable[[Shape, Fan, Random, Any], Any]] = {
    "zeros": constant(0.0),
    "ones": constant(1.0),
    "normal": normal(),
    "uniform": uniform(),
    "he": he(),
    "glorot": glorot(),
    "lecun": lecun(),
    "lecun_uniform": lecun_uniform(),
    "orthogonal": orthogonal(),
    "gabor": gabor(),
    "bilinear": bilinear(),
}


def make(param: Param, rng: Random, dtype: Any) -> Any:
    """A new array for `param`, drawn from `rng`; `dtype` is the model's own type.

    Examples
    --------
    >>> from minidl.init import Param, constant, make
    >>> import numpy as np
    >>> make(Param((2, 3), constant(0.5)), np.random.default_rng(0), "float32")
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]], dtype=float32)
    """
    init = NAMED.get(param.init) if isinstance(param.init, str) else param.init
    if not callable(init):
        raise Error(
            f"init: expected an initialiser or one of {', '.join(NAMED)}, "
            f"got {param.init!r}"
        )
    scalar = np.dtype(dtype if param.dtype == "real" else param.dtype)
    w = np.asarray(init(param.shape, param.fan, rng, scalar), scalar)
    if w.shape != param.shape:
        raise Error(f"init: {param.init!r} gave {w.shape}, expected {param.shape}")
    return w


def _frozen(nested: Any) -> Any:
    return tuple(map(_frozen, nested)) if isinstance(nested, list) else nested


def _four(name: str, shape: Shape) -> Shape:
    if len(shape) != 4:
        raise Error(f"{name}: expected filters [kh, kw, c, f], got the shape {shape}")
    return shape


def _tent(k: int) -> Any:
    """1 at the middle, falling to 0 just outside the k positions."""
    reach = (k + 1) // 2
    middle = reach - 1 if k % 2 else reach - 0.5
    return 1 - np.abs(np.arange(k) - middle) / reach
