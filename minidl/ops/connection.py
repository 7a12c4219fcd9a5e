"""Convolution with a connection table: each output map reads some of the input maps."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from .._ext import kernels
from ..graph import Node
from ..spec import Array, Book, Pad, Param, Shape, ShapeError, Spec
from .conv import Conv
from .product import Init
from .row import Case, Row


@dataclass(frozen=True)
class ConnectionConv(Conv):
    """x_h = sum over i in table[h] of z_i * w_hi + b_h;   delta, g as conv with w = 0 where the table has no entry"""  # noqa: E501

    algorithm: str = "rows"
    table: tuple[tuple[int, ...], ...] = ()

    keeps: ClassVar[tuple[str, ...]] = ("z", "const")

    def infer(self, *z: Shape) -> Spec:
        spec = super().infer(*z)
        channels = z[0][-1]
        for h, row in enumerate(self.table):
            if len(set(row)) < len(row) or not set(row) <= set(range(channels)):
                raise ShapeError(
                    f"table: row {h} is {row}; expected different input maps from 0 to "
                    f"{channels - 1}"
                )
        if len(self.table) != self.filters or not all(self.table):
            raise ShapeError(
                f"table: expected {self.filters} rows, one per filter, none empty; got "
                f"{len(self.table)}"
            )
        kernel, *_ = self.axes(z[0])
        pairs = sum(map(len, self.table))
        fan = (prod(kernel) * pairs // self.filters, prod(kernel) * pairs // channels)
        w = Param((*kernel, pairs), self.init, (fan[0], max(fan[1], 1)))
        return Spec(spec.x, {**spec.theta, "w": w})

    def macs(self, z: Shape, x: Shape) -> int:
        kernel, *_ = self.axes(z[1:])
        return prod(x[:-1]) * prod(kernel) * sum(map(len, self.table))

    def places(self, channels: int, taps: int) -> Any:
        """Where each weight lies in the full [taps, c, f]."""
        pairs = [(i, h) for h, row in enumerate(self.table) for i in row]
        inside = np.array([i * self.filters + h for i, h in pairs], np.int64)
        blocks = np.arange(taps, dtype=np.int64) * channels * self.filters
        return (blocks[:, None] + inside).ravel()

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        book = super().book(z, x, threads, itemsize)
        kernel, *_ = self.axes(z[1:])
        full = (*kernel, z[-1], self.filters)
        return Book(
            const={**book.const, "full": Array(full)},
            scratch=book.scratch,
            adjoint_scratch=book.adjoint_scratch + _bytes(full, itemsize),
        )

    def prepare(self, theta: Any) -> Any:
        *kernel, channels, _ = theta.full.shape
        at = self.places(channels, prod(kernel))
        scatter = kernels(theta.w).Scatter(theta.w, theta.full, at)
        full = SimpleNamespace(w=theta.full, rows=theta.rows)
        return [scatter, *super().prepare(full)]

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any, tail: Any = None,
    ) -> Any:
        shape = theta.full.shape
        end = _bytes(shape, z.dtype.itemsize)
        full_g = None
        if g.w is not None:
            full_g = scratch[:end].view(z.dtype)[: prod(shape)].reshape(shape)
        inner = SimpleNamespace(w=full_g, b=g.b if self.bias else None)
        weights = SimpleNamespace(w=theta.full)
        made = super().adjoint(
            epsilon, z, weights, x, tape, scratch[end:], delta, inner, tail
        )
        if full_g is not None:
            at = self.places(shape[-2], prod(shape[:-2]))
            made.append(kernels(z).Gather(full_g, g.w, at))
        return made


def _bytes(shape: Shape, itemsize: int) -> int:
    return -(-prod(shape) * itemsize // 64) * 64


def connection_conv(
    z: Node,
    table: tuple[tuple[int, ...], ...],
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    pad: Pad = "valid",
    dilation: int | tuple[int, ...] = 1,
    bias: bool = True,
    flip: bool = False,
    init: Init = "he",
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """A convolution whose output map h reads the input maps `table[h]` alone.

    w is [kh, kw, connections], in the order of the table.

    Examples
    --------
    >>> import minidl as dl
    >>> x = dl.connection_conv(dl.Input((8, 8, 3)), ((0, 1), (2,)), kernel=3)
    >>> x.shape, x.spec.theta["w"].shape
    ((6, 6, 2), (3, 3, 3))
    """
    rows = tuple(tuple(row) for row in table)
    op = ConnectionConv(
        len(rows), kernel, stride, pad, dilation, 1, bias, flip, init, "rows", rows
    )
    return Node(op, (z,), name, share)


ROWS = (
    Row(
        ConnectionConv,
        connection_conv,
        (
            Case(((1, 1, 1),), {"table": ((0,),), "kernel": 1}),
            Case(((7, 5, 3),), {"table": ((0, 1), (2,), (0, 1, 2)), "kernel": 3}),
            Case(
                ((7, 5, 17),),
                {"table": ((3,), (16, 2)), "kernel": (3, 2), "stride": 2, "pad": "same",
                 "flip": True, "bias": False},
            ),
        ),
    ),
)
