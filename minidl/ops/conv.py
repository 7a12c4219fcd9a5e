"""Convolution, in one and two dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

from ..graph import Node, Op
from ..spec import Book, Pad, Shape, ShapeError, Spec, sides, size
from . import depthwise, rows, winograd
from .grid import Geometry
from .product import Init, Window, flat, geometry, sum_bytes, sum_rows
from .row import Case, Row
from .window import Axis, windows

# Each says which shapes it suits, what it asks for, and gives the kernels that prepare
# its weights and compute x, delta and g_w. The first that suits is taken.
WAYS = {"depthwise": depthwise, "winograd": winograd, "rows": rows}


@dataclass(frozen=True)
class Conv(Window):
    """x = im2col(z) w + b;   delta = col2im(epsilon w^T), g_w = im2col(z)^T epsilon, g_b = sum epsilon"""  # noqa: E501

    algorithm: str = "auto"

    absorbs: ClassVar[bool] = True
    ends: ClassVar[str | None] = "z"

    def infer(self, *z: Shape) -> Spec:
        kernel, stride, dilation = self.axes(z[0])
        self.check(z[0][-1])
        if self.algorithm not in ("auto", "rows"):
            raise ShapeError(
                f'algorithm: expected "auto" or "rows" (exact), got {self.algorithm!r}'
            )
        pad = sides(self.pad, kernel, dilation)
        names = ("height", "width")[-len(kernel):]
        out = tuple(
            size(*each) for each in zip(
                names, z[0][:-1], kernel, stride, pad, dilation, strict=True
            )
        )
        taps = prod(kernel)
        c = z[0][-1] // self.groups
        fan = (taps * c, taps * self.filters // self.groups)
        return Spec((*out, self.filters), self.theta((*kernel, c, self.filters), fan))

    def windows(self, *z: Shape) -> tuple[Axis, ...]:
        return windows(z[0], self.kernel, self.stride, self.pad, self.dilation).axes

    def macs(self, z: Shape, x: Shape) -> int:
        kernel, *_ = self.axes(z[1:])
        return prod((*x, *kernel)) * (z[-1] // self.groups)

    def exact(self) -> Op:
        return replace(self, algorithm="rows")

    def way(self, shape: Geometry, itemsize: int) -> str:
        """The algorithm for this shape: a name of WAYS."""
        allowed = [one for one in WAYS if one != "winograd" or self.algorithm == "auto"]
        return next(one for one in allowed if WAYS[one].suits(shape, itemsize))

    def slices(self, z: Any, x: Shape, itemsize: int) -> tuple[str, ...]:
        shape = geometry(self, z, x).plain()
        way = WAYS[self.way(shape, itemsize)]
        return ("x",) if way.slices(shape) else ()

    def how(self, z: Shape, x: Shape, itemsize: int) -> str:
        return self.way(geometry(self, z, x).plain(), itemsize)

    def book(self, z: Shape, x: Shape, threads: int, itemsize: int) -> Book:
        shape = geometry(self, z, x).plain()
        found = WAYS[self.way(shape, itemsize)].book(shape, threads, itemsize)
        back = max(found.adjoint_scratch, sum_bytes(x, itemsize))
        return replace(found, adjoint_scratch=back)

    def prepare(self, theta: Any) -> Any:
        *kernel, c, f = theta.w.shape
        one = (1,) * len(kernel)
        image = (1, *kernel, c * self.groups)  # packing looks at the filters alone
        shape = geometry(self, image, (1, *one, f), ((0, 0),) * len(kernel))
        (way,) = (way for name, way in WAYS.items() if hasattr(theta, name))
        return way.prepare(shape, theta)

    def forward(
        self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any, tail: Any = None
    ) -> Any:
        shape = geometry(self, z.shape, x.shape).plain()
        way = WAYS[self.way(shape, z.dtype.itemsize)]
        b = theta.b if self.bias else None
        return way.forward(shape, flat(z), theta, flat(x), scratch, b, tail)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any, tail: Any = None,
    ) -> Any:
        shape = geometry(self, z.shape, epsilon.shape).plain()
        way = WAYS[self.way(shape, z.dtype.itemsize)]
        z, epsilon = flat(z), flat(epsilon)
        made: list[Any] = []
        if delta is not None:
            made += way.delta(shape, theta.w, epsilon, flat(delta), scratch, tail)
        if g.w is not None:
            made += way.weights(shape, z, epsilon, g.w, scratch)
        if self.bias and g.b is not None:
            made.append(sum_rows(epsilon, g.b, scratch))
        return made


def conv(
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
    algorithm: str = "auto",
    share: Node | None = None,
    name: str | None = None,
) -> Node:
    """Slide filters over height and width, or over the width of (width, channels).

    Parameters
    ----------
    z
        Where to read.
    filters, kernel, stride, dilation
        How many filters, their size, their step and the distance between their taps;
        one number for all axes, or one per axis.
    pad
        "valid", "same" (before striding, as many positions as pixels), "full", a
        number, one per axis, or (before, after) per axis.
    groups
        Filters of group k read the channels of group k alone; as many groups as
        channels make a depthwise convolution.
    bias
        Whether there is one number per filter to add.
    flip
        True turns the kernel round: the convolution of mathematics. False is
        correlation, what networks usually compute.
    init
        How w starts: a name or an initialiser of `minidl.init`.
    algorithm
        "auto" takes the faster one when a plan is made: Winograd's for large 3x3
        and 5x5 convolutions, whose result differs in the last two digits. "rows" is
        exact: never Winograd's.
    share
        Use the parameters of this node.
    name
        The node's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.conv(dl.Input((32, 32, 1)), 6, kernel=5, name="C1")
    <C1: conv 28x28x6>
    >>> dl.conv(dl.Input((4, 4, 1)), 6, kernel=5, name="C1")
    Traceback (most recent call last):
    ...
    minidl.spec.ShapeError: C1: kernel 5 is larger than the padded height 4 \
(4 + 0 + 0); use more padding or a smaller kernel [inputs: input 4x4x1]
    """
    op = Conv(
        filters, kernel, stride, pad, dilation, groups, bias, flip, init, algorithm
    )
    return Node(op, (z,), name, share)


def _case(shape: Shape, **settings: Any) -> Case:
    return Case((shape,), settings)


CASES = (
    _case((1, 1, 1), filters=1, kernel=1),
    _case((7, 5, 3), filters=4, kernel=3, pad="same"),
    _case((7, 5, 17), filters=3, kernel=(3, 2), stride=2, pad="same"),
    _case((7, 5, 3), filters=17, kernel=3, stride=3, pad=1, bias=False),
    _case((7, 5, 3), filters=2, kernel=3, pad="full", flip=True),
    _case((7, 5, 1), filters=5, kernel=2, dilation=2, pad=((0, 1), (2, 0))),
    _case((6, 7, 18), filters=4, kernel=3, dilation=(2, 1), stride=(1, 2), pad=2),
    _case((5, 5, 6), filters=4, kernel=3, groups=2, pad=1, flip=True),
    _case((5, 6, 3), filters=3, kernel=3, groups=3, pad="same", stride=2),
    _case((7, 6, 17), filters=17, kernel=(2, 3), groups=17, dilation=(1, 2), pad=1),
    _case((5, 6, 12), filters=12, kernel=3, groups=6, pad=1, stride=(1, 2), flip=True),
    _case((6, 5, 20), filters=20, kernel=3, groups=5, pad="same"),
    _case((4, 4, 3), filters=2, kernel=1, stride=3),
    _case((9, 2), filters=3, kernel=3, pad="same", flip=True),
    _case((11, 17), filters=2, kernel=3, stride=2, dilation=2),
)
ROWS = (Row(Conv, conv, CASES),)
