"""Images of another size: the values of a grid between the pixels of another."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node, Op
from ..spec import Shape, ShapeError, Spec, number, several
from .row import Case, Row
from .window import inner

MODES = ("nearest", "linear", "cubic")
# Where pixel i of `out` stands on the `n` of z; s is how many come from one
ALIGN: dict[str, Any] = {
    "centres": lambda i, n, out, s: (i + 0.5) / s - 0.5,
    "centres_or_zero": lambda i, n, out, s: ((i + 0.5) / s - 0.5) * (out > 1),
    "middle": lambda i, n, out, s: (n - out / s) / 2 + (i + 0.5) / s - 0.5,
    "corners": lambda i, n, out, s: i * (out > 1) * (n - 1) / max(n * s - 1, 1e-9),
    "edges": lambda i, n, out, s: i / s,
}
ROUND: dict[str, Any] = {
    "half_down": lambda at: np.ceil(at - 0.5),
    "half_up": lambda at: np.floor(at + 0.5),
    "down": np.floor,
    "up": np.ceil,
}


def _tent(t: Any, a: float) -> Any:
    return np.maximum(0, 1 - abs(t))


def _cubic(t: Any, a: float) -> Any:
    """R. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    t = abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


@dataclass(frozen=True)
class Resize(Op):
    """x(j) = sum_i w(i, j) z(i);   delta(i) = sum_j w(i, j) epsilon(j)

    w is the product of a weight for each axis: 1 at the nearest pixel, a tent, or
    Keys' cubic, around the place on z where pixel j stands; edges are repeated.
    """

    size: Any = None
    factor: Any = None
    mode: str = "linear"
    align: str = "centres"
    round: str = "half_down"
    cubic: float = -0.75
    smooth: bool = False
    inside: bool = False
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        sizes = inner(z[0])
        known: Any = {"mode": MODES, "align": tuple(ALIGN), "round": tuple(ROUND)}
        for name, some in known.items():
            if getattr(self, name) not in some:
                raise ShapeError(
                    f"{name}: expected one of {some}, got {getattr(self, name)!r}"
                )
        number("cubic", self.cubic)
        if self.size is None and self.factor is None:
            raise ShapeError("expected a size or a factor")
        return Spec((*(out for _, out, _ in self.axes(sizes)), z[0][-1]))

    def axes(self, sizes: Shape) -> list[tuple[Any, Any, float]]:
        """The size before and after, and the factor, of each axis."""
        count, found = len(sizes), []
        outs: tuple[Any, ...] = (None,) * count
        if self.size is not None:
            outs = several("size", self.size, count)
        given = self.factor if isinstance(self.factor, tuple | list) else (
            (self.factor,) * count
        )
        if len(given) != count:
            raise ShapeError(f"factor: expected {count} numbers, got {self.factor!r}")
        for n, out, factor in zip(sizes, outs, given, strict=True):
            if factor is not None:
                factor = number("factor", factor, above=0)
            if n is not None and out is None:
                out = floor(n * factor)
                if out < 1:
                    raise ShapeError(f"{n} * {factor} leaves no pixel")
            if factor is None and n is not None:
                factor = out / n
            found.append((n, out, factor))
        return found

    def taps(self, n: int, out: int, s: float) -> tuple[Any, Any]:
        """For each pixel of x the pixels of z and their weights, [out, taps]."""
        at = ALIGN[self.align](np.arange(out), n, out, s)
        if self.mode == "nearest":
            index = np.clip(ROUND[self.round](at), 0, n - 1).astype(np.int64)
            return index[:, None], np.ones((out, 1))
        weigh, reach = (_tent, 1) if self.mode == "linear" else (_cubic, 2)
        narrow = min(s, 1.0) if self.smooth else 1.0
        first = floor(-reach / narrow) + 1
        index = np.floor(at).astype(np.int64)[:, None] + np.arange(first, 2 - first)
        w = weigh((index - at[:, None]) * narrow, self.cubic)
        if self.inside:
            w = np.where((index < 0) | (index >= n), 0, w)
        return np.clip(index, 0, n - 1), w / w.sum(1, keepdims=True)

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        for along, (n, out, s) in enumerate(self.axes(z[0][:-1])):
            index, w = self.taps(n, out, s)
            full = np.zeros((out, n))
            np.add.at(full, (np.arange(out)[:, None], index), abs(w))
            full /= full.sum(1, keepdims=True)
            share = np.moveaxis(np.tensordot(share, full, (along, 0)), -1, along)
        return (share,)

    def tables(self, z: Shape, dtype: Any, back: bool = False) -> list[Any]:
        """Indices and weights for height and width; a signal is of height 1."""
        found: list[Any] = []
        axes = [(1, 1, 1.0), *self.axes(z[1:-1])][-2:]
        for n, out, s in axes:
            index, w = self.taps(n, out, s)
            full = np.zeros((out, n))
            np.add.at(full, (np.arange(out)[:, None], index), w)
            found += _sparse(full.T if back else full, dtype)
        return found

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return kernels(x).Resample(z, x, *self.tables(z.shape, x.dtype))

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        tables = self.tables(delta.shape, delta.dtype, back=True)
        return kernels(delta).Resample(epsilon, delta, *tables)


def _sparse(full: Any, dtype: Any) -> tuple[Any, Any]:
    """The entries of each row that are not 0: columns and values, padded with 0."""
    width = max(1, int((full != 0).sum(1).max()))
    order = np.argsort(full == 0, axis=1, kind="stable")[:, :width]
    values = np.take_along_axis(full, order, 1)
    return np.ascontiguousarray(order, np.int64), np.ascontiguousarray(values, dtype)


def resize(
    z: Node,
    size: Any = None,
    factor: Any = None,
    mode: str = "linear",
    align: str = "centres",
    round: str = "half_down",
    cubic: float = -0.75,
    smooth: bool = False,
    inside: bool = False,
    name: str | None = None,
) -> Node:
    """An image, or a signal, of another size.

    Parameters
    ----------
    z
        The node to resize.
    size, factor
        The new height and width, or what they are multiplied by: numbers for all axes
        or one per axis.
    mode
        "nearest", "linear" or "cubic".
    align
        What stays where it is: pixels are areas and the "centres" of the whole agree
        ("centres_or_zero": a single pixel stands at 0; "middle": the middle stays where
        the factor does not fit the size); the middles of the outermost pixels, the
        "corners"; or the first "edges".
    round
        For "nearest", where a place between two pixels goes: "half_down", "half_up",
        "down" or "up".
    cubic
        The constant a of Keys' cubic.
    smooth
        Whether making it smaller averages (antialias).
    inside
        Whether pixels beyond the edge do not count, instead of repeating the edge.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.resize(dl.Input((7, 5, 3)), (10, 10)), dl.resize(dl.Input((8, 2)), factor=.5)
    (<resize: resize 10x10x3>, <resize: resize 4x2>)
    """
    op = Resize(size, factor, mode, align, round, cubic, smooth, inside)
    return Node(op, (z,), name)


ROWS = (
    Row(Resize, resize, (
        Case(((1, 1, 1),), {"size": 3}),
        Case(((7, 5, 3),), {"size": (4, 8)}),
        Case(((7, 5, 17),), {"factor": (0.6, 2.5), "mode": "cubic"}),
        Case(((9, 2),), {"size": 4, "mode": "nearest"}),
        Case(((6, 5, 3),), {"size": (3, 7), "align": "corners", "mode": "cubic",
                            "inside": True}),
        Case(((9, 7, 3),), {"factor": 0.4, "smooth": True}),
        Case(((5, 3, 2),), {"factor": 2, "align": "edges", "mode": "nearest",
                            "round": "up"}),
    )),
)
