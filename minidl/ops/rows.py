"""The way of any convolution: a product whose rows are found by pointers."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from .._ext import kernels
from .._ext.kernel import pitch
from ..spec import Array, Book
from .grid import BESIDE, Geometry, Grid
from .product import (
    bordered,
    bytes_of,
    correlate_bytes,
    multiply,
    pack,
    packed,
    pointers,
    weights_adjoint,
)

FEW = 8  # channels
MOST = 4_000_000  # entries of epsilon w^T


def suits(shape: Geometry, itemsize: int) -> bool:
    """It serves every shape."""
    return True


def book(shape: Geometry, threads: int, itemsize: int) -> Book:
    """Packed weights; pointers, a bordered copy, sums."""
    forward, back = shape.forward(), spread(shape)
    delta = packed(back, itemsize) * itemsize + pointers(back, threads, itemsize)
    delta += columns(shape) * itemsize
    return Book(
        const={"rows": Array((packed(forward, itemsize),))},
        scratch=bytes_of(shape, itemsize) + pointers(forward, threads, itemsize),
        adjoint_scratch=max(delta, correlate_bytes(shape, threads, itemsize)),
    )


def slices(shape: Geometry) -> bool:
    """Whether x may be some channels of a larger array."""
    return shape.beside == 1


def prepare(shape: Geometry, theta: Any) -> list[Any]:
    """Pack w. How many positions share a row shows in the size alone."""
    grids = next(
        found for found in (shape.forward(beside=p) for p in BESIDE)
        if packed(found, theta.w.dtype.itemsize) == theta.rows.size
    )
    return pack(grids, theta.w, theta.rows, False, shape.f)


def forward(
    shape: Geometry, z: Any, theta: Any, x: Any, scratch: Any, b: Any, tail: Any
) -> list[Any]:
    """x = rows(z) w + b and the tail."""
    made, source, rest = bordered(shape, z, scratch)
    grids = shape.forward()
    if (apart := pitch(x)) != shape.f:
        grids = [replace(g, target=(*g.target[:3], apart)) for g in grids]
    return made + multiply(grids, source, theta.rows, x, rest, b, tail)


def delta(
    shape: Geometry, w: Any, epsilon: Any, into: Any, scratch: Any, tail: Any = None
) -> list[Any]:
    """delta: the transpose, with weights packed in scratch."""
    grids = spread(shape)
    end = packed(grids, w.dtype.itemsize) * w.dtype.itemsize
    weights, rest = scratch[:end].view(w.dtype), scratch[end:]
    made = pack(grids, w, weights, True, shape.f)
    if not (size := columns(shape)):
        return made + multiply(grids, epsilon, weights, into, rest, None, tail)
    end = size * w.dtype.itemsize
    x, rest = rest[:end].view(w.dtype), rest[end:]
    made += multiply(grids, epsilon, weights, x, rest)
    return [*made, kernels(w).Col2im(x, into, shape.frame(), tail)]


def columns(shape: Geometry) -> int:
    """Entries of epsilon w^T, if it is made and added up window by window: a row of
    products for few channels would leave most of a vector empty."""
    taps = prod(shape.kernel)
    size = shape.n * prod(shape.out) * taps * shape.c
    few = shape.c < FEW and taps > 1 and size <= MOST
    return size if few and shape.groups == 1 and not shape.flip else 0


def spread(shape: Geometry) -> list[Grid]:
    """The grids of delta: of the transpose, or of epsilon w^T."""
    if not columns(shape):
        return shape.transposed()
    one = (1, 1)
    return replace(
        shape, size=shape.out, kernel=one, stride=one, dilation=one,
        pad=((0, 0), (0, 0)), c=prod(shape.kernel) * shape.c,
    ).transposed()


weights = weights_adjoint
