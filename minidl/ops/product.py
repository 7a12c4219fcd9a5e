"""What convolutions, their transposes and dense layers share: packing and products."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from .._ext import kernels
from ..graph import Op
from ..spec import Pad, Param, Shape, ShapeError, several, sides, whole
from .grid import Geometry, Grid

Init = Any


@dataclass(frozen=True)
class Window(Op):
    """What every op with filters that slide over one or two axes has in common."""

    filters: int
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    pad: Pad = "valid"
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = True
    flip: bool = False
    init: Init = "he"

    keeps: ClassVar[tuple[str, ...]] = ("z",)

    def axes(self, z: Shape) -> tuple[tuple[int, ...], ...]:
        """Kernel, stride and dilation, each with one entry per axis of the input."""
        if len(z) not in (2, 3):
            raise ShapeError(
                f"expected an input of (height, width, channels) or (width, channels), "
                f"got {len(z)} axes"
            )
        named = ("kernel", "stride", "dilation")
        return tuple(several(k, getattr(self, k), len(z) - 1) for k in named)

    def check(self, channels: int) -> None:
        """Groups must divide what goes in and what comes out."""
        whole("filters", self.filters)
        whole("groups", self.groups)
        for name, value in {"channels": channels, "filters": self.filters}.items():
            if value % self.groups:
                raise ShapeError(
                    f"groups={self.groups} does not divide the {value} {name}; choose "
                    "a divisor of both channels and filters"
                )

    def theta(self, shape: tuple[int, ...], fan: tuple[int, int]) -> dict[str, Param]:
        """w, and b where there is a bias."""
        found = {"w": Param(shape, self.init, fan)}
        return found | ({"b": Param((self.filters,))} if self.bias else {})


def flat(array: Any) -> Any:
    """n w c as n 1 w c: one dimension is two, of height 1."""
    return array if array.ndim == 4 else array[:, None]


def geometry(op: Window, image: Shape, out: Shape, pad: Any = None) -> Geometry:
    """The convolution that takes `image` (n, ..., c) to `out` (n, ..., f)."""
    kernel, stride, dilation = op.axes(image[1:])
    around: Any = sides(op.pad, kernel, dilation) if pad is None else pad
    pairs: list[Any] = [image[1:-1], out[1:-1], kernel, stride, dilation]
    if len(kernel) == 1:
        pairs, around = [(1, *v) for v in pairs], ((0, 0), *around)
    size, to, kernel, stride, dilation = pairs
    return Geometry(
        image[0], size, to, image[-1], out[-1], kernel, stride, dilation, around,
        op.groups, op.flip,
    )


def packed(grids: list[Grid], itemsize: int) -> int:
    """Entries of the packed weights of these grids."""
    columns = kernels(itemsize).COLUMNS
    return sum(-(-g.filters // columns) * columns * g.inner for g in grids)


def pack(grids: list[Grid], w: Any, into: Any, transposed: bool, f: int) -> list[Any]:
    """Kernels that pack w for each grid, one behind the other."""
    made, at = [], 0
    down, across = (1, f) if transposed else (f, 1)
    for grid in grids:
        size = packed([grid], w.dtype.itemsize)
        if size:
            part = into[at : at + size]
            made.append(kernels(w).Pack(w, part, grid, down, across))
        at += size
    return made


def multiply(
    grids: list[Grid], z: Any, weights: Any, x: Any, scratch: Any, b: Any = None,
    tail: Any = None,
) -> list[Any]:
    """Kernels for x = rows(z) weights."""
    made, at = [], 0
    for grid in grids:
        size = packed([grid], z.dtype.itemsize)
        part = weights[at : at + size]
        made.append(kernels(z).Product(z, part, x, grid, scratch, b, tail))
        at += size
    return made


def pointers(grids: list[Grid], threads: int, itemsize: int) -> int:
    """Bytes of scratch that `multiply` needs."""
    scratch = kernels(itemsize).Product.scratch
    return max((scratch(g, threads) for g in grids), default=0)


def bordered(shape: Geometry, z: Any, scratch: Any) -> tuple[list[Any], Any, Any]:
    """What the forward grids read: z, or a copy with a border at the start of scratch.

    The kernels that make it, the source, and the rest of the scratch.
    """
    if not shape.copied:
        return [], z, scratch
    end = bytes_of(shape, z.dtype.itemsize)
    copy = scratch[:end].view(z.dtype)[: prod(shape.bordered)]
    return [kernels(z).Border(z, copy, shape.pad)], copy, scratch[end:]


def weights_adjoint(
    shape: Geometry, z: Any, epsilon: Any, g: Any, scratch: Any
) -> list[Any]:
    """Kernels for g_w = im2col(z)^T epsilon."""
    made, source, rest = bordered(shape, z, scratch)
    for grid in shape.forward():
        made.append(correlate(grid, z)(source, epsilon, g, grid, rest))
    return made


def correlate(grid: Grid, array: Any) -> Any:
    """The kernel that serves `weights_adjoint` for the scalar type of an array."""
    k = kernels(array)
    return k.CorrelateFew if k.CorrelateFew.suits(grid) else k.Correlate


def bytes_of(shape: Geometry, itemsize: int) -> int:
    """Bytes of the bordered copy, a multiple of the alignment."""
    n, h, w, c = shape.bordered
    return -(-n * h * w * c * itemsize // 64) * 64 if shape.copied else 0


def correlate_bytes(shape: Geometry, threads: int, itemsize: int) -> int:
    """Bytes of scratch that `weights_adjoint` needs."""
    return bytes_of(shape, itemsize) + max(
        correlate(grid, itemsize).scratch(grid, threads) for grid in shape.forward()
    )


def sum_rows(epsilon: Any, g: Any, scratch: Any) -> Any:
    """The kernel for g_b: the sum over all positions."""
    return kernels(epsilon).SumRows(epsilon, g, scratch)


def sum_bytes(shape: Shape, itemsize: int) -> int:
    """Bytes of scratch that `sum_rows` needs."""
    return int(kernels(itemsize).SumRows.scratch(prod(shape[:-1]), shape[-1]))
