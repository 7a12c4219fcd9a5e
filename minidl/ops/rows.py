"""The way of any convolution: a product whose rows are found by pointers."""

from __future__ import annotations

from typing import Any

from ..spec import Array, Book
from .grid import Geometry
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


def suits(shape: Geometry, itemsize: int) -> bool:
    """It serves every shape."""
    return True


def book(shape: Geometry, threads: int, itemsize: int) -> Book:
    """Packed weights; pointers, a bordered copy, sums."""
    forward, back = shape.forward(), shape.transposed()
    delta = packed(back, itemsize) * itemsize + pointers(back, threads, itemsize)
    return Book(
        const={"rows": Array((packed(forward, itemsize),))},
        scratch=bytes_of(shape, itemsize) + pointers(forward, threads, itemsize),
        adjoint_scratch=max(delta, correlate_bytes(shape, threads, itemsize)),
    )


def prepare(shape: Geometry, theta: Any) -> list[Any]:
    """Pack w."""
    return pack(shape.forward(), theta.w, theta.rows, False, shape.f)


def forward(
    shape: Geometry, z: Any, theta: Any, x: Any, scratch: Any, b: Any, tail: Any
) -> list[Any]:
    """x = rows(z) w + b and the tail."""
    made, source, rest = bordered(shape, z, scratch)
    return made + multiply(shape.forward(), source, theta.rows, x, rest, b, tail)


def delta(
    shape: Geometry, w: Any, epsilon: Any, into: Any, scratch: Any, tail: Any = None
) -> list[Any]:
    """delta: the transpose, with weights packed in scratch."""
    grids = shape.transposed()
    end = packed(grids, w.dtype.itemsize) * w.dtype.itemsize
    weights, rest = scratch[:end].view(w.dtype), scratch[end:]
    made = pack(grids, w, weights, True, shape.f)
    return made + multiply(grids, epsilon, weights, into, rest, None, tail)


weights = weights_adjoint
