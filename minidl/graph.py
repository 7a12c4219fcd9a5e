"""The definition: an Op is a setting, a Node a call of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import numpy as np

from .spec import Book, Error, GraphError, Shape, ShapeError, Spec, whole

_counter = itertools.count()


class Op:
    """A node's two functions, and what the plan must know of them.

        forward   x <- f(z, theta)
        adjoint   [delta, g] <- G(epsilon, z, theta)

    Subclass it as a frozen dataclass of settings: an op holds no array and no state.
    Only `infer`, `forward` and `adjoint` are needed; the rest has defaults.

    `forward` and `adjoint` either do the work, with NumPy, or return the kernels that
    do (one, or a list). Kernels are kept and run again without calling the op.
    With several inputs `z` and `delta` are tuples. `delta`, its entries and those of
    `g` are None where nobody wants them. An op writes all of x, delta and g, and
    allocates nothing that its Book could ask for.
    """

    # what the adjoint rereads: "z", "x", "const". Of a z or x that is not named it sees
    # the shape alone; theta and tape it always has
    keeps: ClassVar[tuple[str, ...]] = ("z", "x")
    formula: ClassVar[str] = ""  # the docstring of the class, where not given here
    view: ClassVar[bool] = False  # x is z in another shape: nothing moves
    inplace: ClassVar[bool] = False  # x may be written over z, delta over epsilon
    passes: ClassVar[bool] = False  # delta is epsilon, for every input
    absorbs: ClassVar[bool] = False  # forward takes a Tail: what may follow it for free
    folds: ClassVar[bool] = False  # adjoint takes it too, with the epsilon of its end
    # adjoint takes another, for delta, and finds in "z" or "x" what the act before made
    ends: ClassVar[str | None] = None
    joins: ClassVar[str | None] = None  # "affine" | "add" | "act": its place in a Tail
    kinks: ClassVar[bool] = False  # not differentiable everywhere
    reduces: ClassVar[bool] = False  # x has no batch axis: a loss
    # what each input may hold, the last stands for all that follow: an Input's dtype
    reads: ClassVar[tuple[str, ...]] = ("real",)

    def infer(self, *z: Shape) -> Spec:
        """The spec of x and theta from the shapes of z, which have no batch axis."""
        raise NotImplementedError(f"{type(self).__name__}.infer")

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Book:
        """What it needs besides z, theta and x; these shapes begin with the batch.

        `z` is one shape, or a tuple of shapes where there are several inputs.
        """
        return Book()

    def prepare(self, theta: Any) -> Any:
        """Fill the const regions, which are in theta beside the parameters."""
        return None

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        """Write x."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def adjoint(
        self,
        epsilon: Any,
        z: Any,
        theta: Any,
        x: Any,
        tape: Any,
        scratch: Any,
        delta: Any,
        g: Any,
    ) -> Any:
        """Write delta and g; epsilon may be overwritten only if the op is `inplace`."""
        raise NotImplementedError(f"{type(self).__name__}.adjoint")

    def inference(self) -> Op:
        """What the op is when nothing is trained."""
        return self

    def exact(self) -> Op:
        """The op without algorithms that trade the last digits for speed."""
        return self

    def slices(self, z: Any, x: Shape, itemsize: int) -> tuple[str, ...]:
        """What may be some channels of a larger array, for these shapes: "z", "x"."""
        return ()

    def starts(self, *z: Shape) -> tuple[int, ...]:
        """Where the channels of each z begin in x, if x is just these side by side."""
        return ()

    def how(self, z: Any, x: Shape, itemsize: int) -> str:
        """The algorithm that it takes for these shapes, as a plan prints it."""
        return ""

    def tail(self, others: tuple[Any, ...], theta: Any) -> Mapping[str, Any]:
        """Its part of a Tail, as fields, for an op that `joins` one."""
        return {}

    def macs(self, z: Any, x: Shape) -> int:
        """Multiply-adds of one forward pass; shapes as in `book`."""
        return 0

    def windows(self, *z: Shape) -> Any:
        """The windows of z, along each axis before the channels, of which each position
        of x is made, as `ops.window.Axis`; None where it is no such thing."""
        return None

    def field(self, share: np.ndarray, *z: Shape) -> tuple[np.ndarray, ...]:
        """From how much each position of x counts, how much each position of each z
        does: split evenly among all that a position is computed from.

        Positions are the places without the channels, which all count together. An op
        that says nothing is taken to read all of every z.
        """
        axes, share = self.windows(*z), share / len(z)
        if axes is None:
            return tuple(
                np.full(s[:-1], share.sum() / max(prod(s[:-1]), 1)) for s in z
            )
        share = share.reshape([axis.count for axis in axes])
        for along, axis in enumerate(axes):
            share = axis.spread(share, along)
        return (share,) * len(z)

    @property
    def kind(self) -> str:
        """The op's name in tables and diagrams: max_pool, conv, ..."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        given: dict[str, Any] = {}
        for one in fields(self):  # type: ignore[arg-type]  # every op is a dataclass
            value = getattr(self, one.name)
            if one.repr and value != one.default:
                given[one.name] = value
        return given


@dataclass(frozen=True)
class Tail:
    """What a kernel does to its result before storing it.

        x = act(scale * result + shift + add)

    The adjoint of an op that `folds` gets the epsilon of this x, and x if something was
    added, else None. It writes the delta of what was added to `add`, if wanted.

    Where an op `ends` the adjoint of what it reads, the Tail is that of its delta,

        delta = act'(behind) (result + add)

    or, where `behind` is its own x, epsilon counts as act'(x) epsilon.
    """

    scale: Any = None
    shift: Any = None
    add: Any = None
    act: str = "none"
    slope: float = 0.0
    behind: Any = None


@dataclass(frozen=True)
class Input(Op):
    """x = what the caller passes"""

    shape: Shape
    dtype: str = "real"
    keeps: ClassVar[tuple[str, ...]] = ()

    def infer(self, *z: Shape) -> Spec:
        """The shape as it was declared."""
        return Spec(self.shape, dtype=self.dtype)


class Node:
    """A call event: an op, the nodes it reads, the shape of its x."""

    def __init__(
        self,
        op: Op,
        inputs: Sequence[Node] = (),
        name: str | None = None,
        share: Node | None = None,
    ) -> None:
        self.spec: Spec
        where = f"{name or op.kind}: "
        if name is not None and (not isinstance(name, str) or not name):
            raise GraphError(f"{where}a name is a non-empty string, got {name!r}")
        for one in inputs:
            if not isinstance(one, Node):
                raise GraphError(
                    f"{where}expected nodes as inputs, got {type(one).__name__}; "
                    "start a graph with Input(shape)"
                )
        for i, one in enumerate(inputs):
            wanted = op.reads[min(i, len(op.reads) - 1)].split()
            if one.spec.dtype not in wanted:
                declare = f'declare it as Input({one.shape}, dtype="{wanted[0]}")'
                bytes_in = one.spec.dtype == "uint8" and wanted[0] == "real"
                raise GraphError(
                    f"{where}{one.label} holds {one.spec.dtype}, expected "
                    f"{' or '.join(wanted)}; "
                    f"{'put normalise between' if bytes_in else declare}"
                )
        try:
            self.spec = op.infer(*(one.shape for one in inputs))
        except Error as error:
            given = ", ".join(f"{n.label} {show(n.shape)}" for n in inputs)
            came = f" [inputs: {given}]" if inputs else ""
            raise type(error)(f"{where}{error}{came}") from None
        if share is not None and share.spec.theta != self.spec.theta:
            raise GraphError(
                f"{where}cannot share the parameters of {share.label}: it has "
                f"{_theta(share)}, this node needs {_theta(self)}"
            )
        self.op = op
        self.inputs = tuple(inputs)
        self.name = name
        self.owner: Node = share.owner if share is not None else self
        self.index = next(_counter)  # the order of definition

    @property
    def shape(self) -> Shape:
        """The shape of x without the batch axis."""
        return self.spec.x

    @property
    def label(self) -> str:
        """The name, or the kind of op where it has none yet."""
        return self.name or self.op.kind

    def __repr__(self) -> str:
        return f"<{self.label}: {self.op.kind} {show(self.shape)}>"

    # filled by ops/, which stands above this floor: how nodes are added and multiplied
    arithmetic: ClassVar[dict[str, Callable[..., Node]]] = {}

    def __add__(self, other: Any) -> Node:
        return self.arithmetic["add"](self, other)

    def __sub__(self, other: Any) -> Node:
        return self.arithmetic["subtract"](self, other)

    def __mul__(self, other: Any) -> Node:
        return self.arithmetic["multiply"](self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.arithmetic["subtract"](other, self)

    def __truediv__(self, other: Any) -> Node:
        return self * (1 / other)

    def __neg__(self) -> Node:
        return self * -1

    __radd__, __rmul__ = __add__, __mul__
    __array_ufunc__ = None  # so that NumPy's numbers leave the arithmetic to us


def _theta(node: Node) -> str:
    found = (f"{k} {show(p.shape)}" for k, p in node.spec.theta.items())
    return ", ".join(found) or "none"


def show(shape: Shape) -> str:
    """A shape as people write it.

    Examples
    --------
    >>> show((32, None, 3)), show(())
    ('32x?x3', 'scalar')
    """
    return "x".join("?" if s is None else str(s) for s in shape) or "scalar"


def new_input(
    shape: Sequence[int | None], name: str | None = None, dtype: str = "real"
) -> Node:
    """Begin a graph: the shape of one example, channels last, without the batch axis.

    Parameters
    ----------
    shape
        Height, width, channels, ...; all but the last may be None, for any size.
    name
        The node's name.
    dtype
        "real" (the model's own type), "uint8" or "int64".

    Examples
    --------
    >>> import minidl as dl
    >>> dl.Input((32, None, 3), name="image")
    <image: input 32x?x3>
    """
    where = f"{name or 'input'}: "
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise ShapeError(f"{where}expected a shape such as (32, 32, 1), got {shape!r}")
    sizes = tuple(
        s if s is None else whole(f"{where}size", s) for s in shape
    )
    if sizes and sizes[-1] is None and dtype != "int64":  # labels have no channels
        raise ShapeError(f"{where}the last axis, the channels, must be known")
    if dtype not in ("real", "uint8", "int64"):
        raise ShapeError(
            f'{where}dtype: expected "real", "uint8" or "int64", got {dtype!r}'
        )
    return Node(Input(sizes, dtype), (), name)
