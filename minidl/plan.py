"""A Plan: what runs in which order and where every byte lies. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .graph import Op, show
from .spec import entries
from .table import count, megabytes, table

ITEMSIZE = {"uint8": 1, "uint16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}


@dataclass(frozen=True)
class Region:
    """Memory of one array: alive from step `first` to step `last`, both included.

    `of` is the region whose memory it shares, at `shift` bytes from its start. With a
    `pitch` it is some channels of that: so many numbers lie from a pixel to the next.
    `pinned` memory keeps its content from run to run.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    first: int
    last: int
    of: int | None = None
    shift: int = 0
    offset: int = 0
    pinned: bool = False
    pitch: int | None = None

    @cached_property
    def bytes(self) -> int:
        """Its size."""
        return ITEMSIZE[self.dtype] * entries(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one entry to the next, along each axis."""
        *rest, c = (1, *self.shape)
        steps = [ITEMSIZE[self.dtype], ITEMSIZE[self.dtype] * (self.pitch or c)]
        for size in rest[:1:-1]:
            steps.append(steps[-1] * size)
        return tuple(steps[: len(self.shape)][::-1])


@dataclass(frozen=True)
class Joined:
    """An op that runs in the tail of another: with its further inputs and theta.

    In an adjoint, `others` are the deltas of these inputs, None where not wanted.
    """

    op: Op
    others: tuple[int | None, ...]
    theta: Mapping[str, str | int]


@dataclass(frozen=True)
class Step:
    """One call of an op; ints are regions, strings in `theta` are parameters.

    A string in `g` is a parameter that learns at once: there is no array for its g.
    """

    node: str
    do: str  # "prepare" | "forward" | "adjoint" | "sum"
    op: Op | None
    z: tuple[int, ...] = ()
    x: int | None = None
    theta: Mapping[str, str | int] = None  # type: ignore[assignment]
    tape: Mapping[str, int] = None  # type: ignore[assignment]
    scratch: int | None = None
    epsilon: int | None = None
    delta: tuple[int | None, ...] = ()
    g: Mapping[str, int | str | None] = None  # type: ignore[assignment]
    tail: tuple[Joined, ...] = ()
    add: int | None = None  # what comes to delta from other readers of z
    behind: Op | None = None  # the activation that made z, if delta is behind it
    macs: int = 0
    how: str = ""  # the algorithm

    def reads(self) -> set[int]:
        """The regions whose content it reads."""
        if self.do == "prepare":
            return set()
        found: set[int | None] = {v for v in self.theta.values() if isinstance(v, int)}
        for joined in self.tail:
            found |= {v for v in joined.theta.values() if isinstance(v, int)}
        if self.do == "adjoint":
            keeps = self.op.keeps if self.op else ()
            found |= {*self.tape.values()}
            found |= {self.epsilon, self.add}
            found |= {*self.z} if "z" in keeps else set()
            ends = self.behind and self.op and self.op.ends == "x"
            found |= {self.x} if "x" in keeps or self.tail or ends else set()
        else:
            found |= {*self.z, *self.others()}
        return {r for r in found if r is not None}

    def others(self) -> tuple[int | None, ...]:
        """The further regions of its tail."""
        return tuple(one for joined in self.tail for one in joined.others)

    def writes(self) -> set[int]:
        """The regions it writes, the scratch included."""
        if self.do == "prepare":
            return {v for v in self.theta.values() if isinstance(v, int)}
        found: set[int | str | None] = {self.scratch}
        if self.do == "adjoint":
            found |= {*self.delta, *self.g.values(), *self.others()}
        else:
            found |= {self.x, *self.tape.values()}
        return {r for r in found if isinstance(r, int)}


@dataclass(frozen=True)
class Plan:
    """Steps over regions of one arena. `print(plan)` shows it."""

    name: str
    steps: tuple[Step, ...]
    regions: tuple[Region, ...]
    inputs: Mapping[str, int]
    outputs: tuple[int, ...]
    seeds: tuple[int, ...]  # where the epsilons of the outputs go
    deltas: Mapping[str, int | None]
    grads: Mapping[str, int]
    block: int | None  # all gradients, laid out like the parameters
    bytes: int
    peak_step: int

    @property
    def macs(self) -> int:
        """Multiply-adds of the forward pass."""
        return sum(step.macs for step in self.steps)

    def __str__(self) -> str:
        rows = []
        for i, step in enumerate(self.steps):
            if step.do == "prepare":
                continue
            what = step.op.kind if step.op else "sum"
            for joined in step.tail:
                what += f" + {joined.op.kind}"
            what += " + sum" if step.add is not None else ""
            what += f" + {step.behind.kind}" if step.behind else ""
            if any(isinstance(g, str) for g in step.g.values()):
                what += " + update"
            written = step.delta if step.do == "adjoint" else (step.x,)
            made = [r for r in written if r is not None]
            where = self.regions[made[0]] if made else None
            rows.append(
                (
                    str(i),
                    step.do,
                    step.node,
                    what,
                    show(where.shape) if where else "-",
                    f"{where.offset:,}" if where else "-",
                    count(step.macs) if step.macs else "-",
                    step.how,
                    "<- peak" if i == self.peak_step else "",
                )
            )
        head = ("", "do", "node", "op", "writes", "at byte", "MACs", "by", "")
        ending = (
            f"{self.name}: {len(self.steps)} steps, {count(self.macs)} MACs forward, "
            f"peak {megabytes(self.bytes)} in one arena ({self.bytes:,} bytes)"
        )
        return f"{table(head, rows)}\n{ending}"
