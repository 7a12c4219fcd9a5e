"""Transposed convolution: upsampling with learned filters."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from ..graph import Node
from ..spec import Array, Book, Pad, Shape, ShapeError, Spec, several, sides
from .product import (
    Init,
    Window,
    bordered,
    bytes_of,
    correlate_bytes,
    flat,
    geometry,
    multiply,
    pack,
    packed,
    pointers,
    sum_bytes,
    sum_rows,
    weights_adjoint,
)
from .row import Case, Row
from .window import Axis

PHASES = 1 << 14  # of a stride of 128 x 128; each is a grid of its own


@dataclass(frozen=True)
class ConvTranspose(Window):
    """x = col2im(z w^T) + b;   delta = im2col(epsilon) w, g_w = im2col(epsilon)^T z, g_b = sum epsilon"""  # noqa: E501

    extra: int | tuple[int, ...] = 0

    absorbs: ClassVar[bool] = True

    def infer(self, *z: Shape) -> Spec:
        kernel, stride, dilation = self.axes(z[0])
        self.check(z[0][-1])
        if prod(stride) > PHASES:
            raise ShapeError(
                f"stride {stride}: expected at most {PHASES} positions of x for each "
                f"of z, got {prod(stride)}; use several nodes of smaller strides, or "
                "resize"
            )
        pad = sides(self.pad, kernel, dilation)
        extra = several("extra", self.extra, len(kernel), 0)
        out = []
        for n, k, s, d, (a, b), e in zip(
            z[0][:-1], kernel, stride, dilation, pad, extra, strict=True
        ):
            if e >= s:
                raise ShapeError(f"extra={e} must be smaller than the stride {s}")
            x = None if n is None else (n - 1) * s + d * (k - 1) + 1 - a - b + e
            if x is not None and x < 1:
                raise ShapeError(
                    f"({n} - 1) * {s} + {d} * ({k} - 1) + 1 - {a} - {b} + {e} = {x} "
                    "positions; use less padding"
                )
            out.append(x)
        taps = prod(kernel)
        f, c = self.filters // self.groups, z[0][-1]
        spec = self.theta((*kernel, f, c), (taps * c // self.groups, taps * f))
        return Spec((*out, self.filters), spec)

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        kernel, stride, dilation = self.axes(z[0])
        pad = sides(self.pad, kernel, dilation)
        sizes = zip(share.shape, z[0][:-1], kernel, stride, dilation, pad, strict=True)
        for along, (x, n, k, s, d, (a, b)) in enumerate(sizes):
            share = Axis(x, k, s, d, a, b, n).collect(share, along)
        return (share,)

    def macs(self, z: Shape, x: Shape) -> int:
        kernel, *_ = self.axes(z[1:])
        return prod((*z, *kernel)) * (self.filters // self.groups)

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        shape = geometry(self, x, z)
        forward, back = shape.forward(), shape.transposed()
        border = bytes_of(shape, itemsize)
        delta = border + packed(forward, itemsize) * itemsize
        delta += pointers(forward, threads, itemsize)
        return Book(
            const={"packed": Array((packed(back, itemsize),))},
            scratch=pointers(back, threads, itemsize),
            adjoint_scratch=max(
                delta, correlate_bytes(shape, threads, itemsize), sum_bytes(x, itemsize)
            ),
        )

    def prepare(self, theta: Any) -> Any:
        # The phases depend on the padding, and empty ones on the size: take one with
        # every phase, which packs to the same bytes in the same order.
        *kernel, f, c = theta.w.shape
        _, stride, dilation = self.axes((*kernel, c))
        pad = sides(self.pad, tuple(kernel), dilation)
        image = (1, *stride, f * self.groups)
        shape = geometry(self, image, (1, *(1,) * len(kernel), c), pad)
        return pack(shape.transposed(), theta.w, theta.packed, True, c)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        shape = geometry(self, x.shape, z.shape)
        b = theta.b if self.bias else None
        grids = shape.transposed()
        return multiply(grids, flat(z), theta.packed, flat(x), scratch, b, tail)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> Any:
        shape = geometry(self, epsilon.shape, z.shape)
        z, epsilon = flat(z), flat(epsilon)
        made: list[Any] = []
        if delta is not None:
            grids = shape.forward()
            made, source, rest = bordered(shape, epsilon, scratch)
            end = packed(grids, z.dtype.itemsize) * z.dtype.itemsize
            weights = rest[:end].view(z.dtype)
            made += pack(grids, theta.w, weights, False, shape.f)
            made += multiply(grids, source, weights, flat(delta), rest[end:])
        if g.w is not None:
            made += weights_adjoint(shape, epsilon, z, g.w, scratch)
        if self.bias and g.b is not None:
            made.append(sum_rows(epsilon, g.b, scratch))
        return made


def conv_transpose(
    z: Node,
    filters: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    pad: Pad = "valid",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    bias: bool = True,
    flip: bool = False,
    init: Init = "he",
    extra: int | tuple[int, ...] = 0,
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """The transpose of a convolution: upsampling by `stride` with learned filters.

    Its settings are those of the convolution it transposes: w is
    [kh, kw, filters / groups, channels], and `pad` takes away from the result. `extra`
    rows and columns settle which of the sizes that stride to the input is meant.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.conv_transpose(dl.Input((7, 7, 16)), 8, kernel=4, stride=2, pad=1)
    <conv_transpose: conv_transpose 14x14x8>
    """
    op = ConvTranspose(
        filters, kernel, stride, pad, dilation, groups, bias, flip, init, extra
    )
    return Node(op, (z,), name, share)


def _case(shape: Shape, **settings: Any) -> Case:
    return Case((shape,), settings)


CASES = (
    _case((1, 1, 1), filters=1, kernel=1),
    _case((3, 2, 3), filters=4, kernel=3),
    _case((4, 3, 17), filters=3, kernel=4, stride=2, pad=1),
    _case((2, 3, 3), filters=18, kernel=2, stride=3, extra=2),
    _case(
        (3, 3, 4), filters=6, kernel=3, groups=2, stride=2, pad=1, flip=True, extra=1
    ),
    _case((4, 3, 2), filters=3, kernel=2, dilation=2, bias=False),
    _case((5, 3), filters=2, kernel=3, stride=2),
)
ROWS = (Row(ConvTranspose, conv_transpose, CASES),)
