"""Pixels to numbers around 0, inside the graph: bytes may come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op, show
from ..spec import Shape, ShapeError, Spec, number
from .row import Case, Row
from .window import pointwise

Channels = float | Sequence[float]


@dataclass(frozen=True)
class Normalise(Op):
    """x = (z - mean) / std by channel;   delta = epsilon / std"""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    keeps: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("real uint8",)
    windows = pointwise

    def infer(self, *z: Shape) -> Spec:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not z[0] or len(values) not in (1, z[0][-1]):
                raise ShapeError(
                    f"{name}: expected one number, or one for each channel of "
                    f"{show(z[0])}, got {len(values)}"
                )
        return Spec(z[0])

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        mean = np.array(self.mean) / self.std
        return self._kernel(z, x, -mean)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        return self._kernel(epsilon, delta, np.zeros(1))

    def _kernel(self, z: Any, x: Any, shift: Any) -> Any:
        """Factors and summands for every channel, as often as fills whole vectors."""
        repeat = (*x.shape[-1:], 16)  # 16 is a multiple of every vector's length
        repeated = (
            np.resize(np.broadcast_to(a, repeat[:1]), repeat).astype(x.dtype)
            for a in (1 / np.array(self.std), shift)
        )
        return kernels(x).Normalise(z, x, *repeated)


def normalise(
    z: Node, mean: Channels, std: Channels, name: str | None = None
) -> Node:
    """Subtract a mean and divide by a standard deviation, by channel.

    Parameters
    ----------
    z
        Images; an input may hold bytes (dtype="uint8"), as image files do.
    mean, std
        One number for all channels, or one for each, in the units of z.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> image = dl.Input((32, 32, 3), name="image", dtype="uint8")
    >>> dl.normalise(image, (125.3, 123.0, 113.9), 64.0)
    <normalise: normalise 32x32x3>
    """
    mean, std = _numbers("mean", mean), _numbers("std", std, above=0)
    return Node(Normalise(mean, std), (z,), name)


def _numbers(name: str, values: Any, **bounds: float) -> tuple[float, ...]:
    many = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    return tuple(
        number(name, float(v) if isinstance(v, np.generic) else v, **bounds)
        for v in (values if many else (values,))
    )


ROWS = (
    Row(
        Normalise,
        normalise,
        (
            Case(((1, 1, 1),), {"mean": 0.5, "std": 2.0}),
            Case(((7, 5, 3),), {"mean": (0.1, -0.2, 3.0), "std": (0.5, 1.5, 4.0)}),
            Case(((17,),), {"mean": 0.25, "std": 0.125}),
        ),
    ),
)
