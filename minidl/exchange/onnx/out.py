"""A graph on its way out: nodes, constants and names of an ONNX file.

Arrays with axes before the channels are turned, n h w c to n c h w; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...graph import Op
from ...spec import Error, Shape

Axes = Sequence[int]


def to_first(rank: int) -> tuple[int, ...]:
    """The axes of n ... c in the order n c ..., for examples of `rank` axes.

    Examples
    --------
    >>> to_first(3), to_last(3)
    ((0, 3, 1, 2), (0, 2, 3, 1))
    """
    return (0, rank, *range(1, rank)) if rank > 1 else tuple(range(rank + 1))


def to_last(rank: int) -> tuple[int, ...]:
    """The way back."""
    return (0, *range(2, rank + 1), 1) if rank > 1 else tuple(range(rank + 1))


def outer(axis: int, rank: int) -> int:
    """Where an axis of an example, of `rank` axes, lies in the file.

    Examples
    --------
    >>> outer(0, 3), outer(-1, 3)
    (2, 1)
    """
    return to_first(rank).index(1 + axis % rank)


def package() -> Any:
    """The onnx package, or how to get it."""
    try:
        import onnx
    except ImportError:
        raise Error(
            "ONNX files need the package onnx; pip install minidl[onnx]"
        ) from None
    return onnx


class Sheet:
    """What is written: nodes in order, constants by name, and the names in use."""

    def __init__(self, names: Sequence[str], onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.names = set(names)

    def fresh(self, name: str) -> str:
        """`name`, or with a number behind it if it is taken."""
        found, i = name, 1
        while found in self.names:
            i += 1
            found = f"{name}.{i}"
        self.names.add(found)
        return found

    def constant(self, name: str, array: Any) -> str:
        """Write an array once: a parameter that two nodes share is one constant."""
        array = np.asarray(array, order="C")
        old = self.constants.get(name)
        if old is not None and old.shape == array.shape and (old == array).all():
            return name
        name = self.fresh(name)
        self.constants[name] = array
        return name


class Call:
    """One node of the graph while its rule says it in ONNX."""

    def __init__(
        self,
        sheet: Sheet,
        name: str,
        op: Op,
        z: tuple[str, ...],
        shapes: tuple[Shape, ...],
        x: Shape,
        theta: dict[str, tuple[str, np.ndarray]],
        dtype: str,
    ) -> None:
        self.sheet, self.name, self.op = sheet, name, op
        self.z, self.shapes, self.x, self.theta = z, shapes, x, theta
        self.dtype = dtype

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node; the name of what it gives."""
        made = self.sheet.fresh(f"{self.name}/{kind}")
        node = self.sheet.onnx.helper.make_node(
            kind, inputs, [made], made, **attributes
        )
        self.sheet.nodes.append(node)
        return made

    def array(self, local: str) -> np.ndarray:
        """A parameter."""
        return self.theta[local][1]

    def param(self, local: str, array: Any = None) -> str:
        """A parameter, or what became of it, as a constant of its own name."""
        name, value = self.theta[local]
        return self.sheet.constant(name, value if array is None else array)

    def real(self, local: str, array: Any) -> str:
        """Numbers of the model's own type."""
        name = f"{self.name}/{local}"
        return self.sheet.constant(name, np.asarray(array, self.dtype))

    def whole(self, local: str, array: Any) -> str:
        """Whole numbers: shapes, axes."""
        return self.sheet.constant(f"{self.name}/{local}", np.asarray(array, np.int64))

    def turn(self, z: str, axes: Axes) -> str:
        """The axes in another order, if it is another."""
        if tuple(axes) == tuple(range(len(axes))):
            return z
        return self("Transpose", z, perm=list(axes))

    def finish(self, made: str, before: int) -> None:
        """Give the last node the name of this one, so that names are kept."""
        nodes = self.sheet.nodes
        if len(nodes) == before or list(nodes[-1].output) != [made]:
            self("Identity", made)
        self.sheet.names.discard(nodes[-1].name)
        nodes[-1].name = nodes[-1].output[0] = self.name


Rule = Callable[[Call], str]
