"""A Plan: what runs in which order and where every byte lies.

    graph --trace--> calls --fuse--> groups --emit--> steps and regions
          --alias--> shared memory --place--> offsets in one arena

Each pass is followed by `verify`. The result is immutable; the engine binds and runs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx

from .graph import Op, order, readers, show
from .spec import GAP, Array, GraphError, Shape, ShapeError, SizeError, entries
from .table import count, megabytes, table

ALIGN = 64  # bytes: one cache line, one AVX-512 vector
PLACES = {"affine": 1, "add": 2, "act": 3}  # the order inside a Tail
ITEMSIZE = {"uint8": 1, "uint16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}


@dataclass(frozen=True)
class Region:
    """Memory of one array: alive from step `first` to step `last`, both included.

    `of` is the region whose memory it shares, at `shift` bytes from its start.
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

    @property
    def bytes(self) -> int:
        """Its size."""
        return ITEMSIZE[self.dtype] * entries(self.shape)


@dataclass(frozen=True)
class Joined:
    """An op that runs in the tail of another: with its further inputs and theta."""

    op: Op
    others: tuple[int, ...]
    theta: Mapping[str, str | int]


@dataclass(frozen=True)
class Step:
    """One call of an op; ints are regions, strings in `theta` are parameters."""

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
    g: Mapping[str, int | None] = None  # type: ignore[assignment]
    tail: tuple[Joined, ...] = ()
    macs: int = 0

    def reads(self) -> set[int]:
        """The regions it reads."""
        found = {*self.z, *(v for v in self.theta.values() if isinstance(v, int))}
        for joined in self.tail:
            found |= {*joined.others}
            found |= {v for v in joined.theta.values() if isinstance(v, int)}
        if self.do == "prepare":
            return set()
        if self.do == "adjoint":
            found |= {*self.tape.values()}
            found |= {r for r in (self.epsilon, self.x) if r is not None}
        return found

    def writes(self) -> set[int]:
        """The regions it writes, the scratch included."""
        if self.do == "prepare":
            return {v for v in self.theta.values() if isinstance(v, int)}
        found: set[int | None] = {self.scratch}
        if self.do == "adjoint":
            found |= {*self.delta, *self.g.values()}
        else:
            found |= {self.x, *self.tape.values()}
        return {r for r in found if r is not None}


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
                    "<- peak" if i == self.peak_step else "",
                )
            )
        head = ("", "do", "node", "op", "writes", "at byte", "MACs", "")
        ending = (
            f"{self.name}: {len(self.steps)} steps, {count(self.macs)} MACs forward, "
            f"peak {megabytes(self.bytes)} in one arena ({self.bytes:,} bytes)"
        )
        return f"{table(head, rows)}\n{ending}"


@dataclass(frozen=True)
class Call:
    """A node at concrete shapes."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: tuple[int, ...]  # of x, the batch included
    dtype: str
    theta: Mapping[str, str]
    trained: frozenset[str]  # the local names in theta that have a gradient


def compile(
    graph: nx.MultiDiGraph,
    name: str,
    outputs: Sequence[str],
    shapes: Mapping[str, Shape],
    owners: Mapping[str, str],
    *,
    dtype: str,
    threads: int,
    train: bool = False,
    adjoint: bool = False,
    deltas: Sequence[str] = (),
    grads: Mapping[str, tuple[tuple[int, ...], int]] | None = None,
    rules: Mapping[str, Op] | None = None,
) -> Plan:
    """The plan for inputs of these shapes (which begin with the batch).

    `grads` maps the parameters whose gradient is wanted to (shape, entry in the block of
    all gradients); `deltas` names the inputs whose delta is wanted; `rules` replaces ops.
    """
    calls = trace(graph, outputs, shapes, owners, dtype, train, grads or {}, rules or {})
    needed = wanting(calls, deltas) if adjoint else set()
    groups = fuse(calls, set(outputs), needed)
    draft = Draft(calls, groups, needed, dtype, threads)
    draft.emit(outputs, adjoint, deltas, grads or {}, keep=not train)
    verify(draft.steps, draft.regions, draft.given)
    alias(draft.steps, draft.regions)
    total, peak = place(draft.regions)
    verify(draft.steps, draft.regions, draft.given)
    apart(draft.regions)
    return Plan(
        name,
        tuple(draft.steps),
        tuple(draft.regions),
        draft.inputs,
        tuple(draft.x[o] for o in outputs),
        tuple(draft.seeds),
        {d: draft.eps.get(d) for d in deltas},
        draft.g,
        draft.block,
        total,
        peak,
    )


def trace(
    graph: nx.MultiDiGraph,
    outputs: Sequence[str],
    shapes: Mapping[str, Shape],
    owners: Mapping[str, str],
    dtype: str,
    train: bool,
    grads: Mapping[str, Any],
    rules: Mapping[str, Op],
) -> dict[str, Call]:
    """The nodes that `outputs` need, in order, with every shape a number."""
    sequence = order(graph)
    wanted = set(outputs)
    for name in reversed(sequence):
        if name in wanted:
            wanted |= set(readers(graph, name))
    calls: dict[str, Call] = {}
    for name in sequence:
        if name not in wanted:
            continue
        node = graph.nodes[name]["node"]
        op = rules.get(name, node.op)
        sources = tuple(readers(graph, name))
        if sources:
            batch = calls[sources[0]].shape[:1]
            given = [calls[s].shape[1:] for s in sources]
            try:
                spec = op.infer(*given)
            except ShapeError as error:
                came = ", ".join(f"{s} {show(g)}" for s, g in zip(sources, given))
                raise ShapeError(f"{name}: {error} [inputs: {came}]") from None
            if {k: p.shape for k, p in spec.theta.items()} != {
                k: p.shape for k, p in node.spec.theta.items()
            }:
                raise ShapeError(f"{name}: its parameters depend on the size of the input")
            shape = spec.x if op.reduces else (*batch, *spec.x)
        elif name in shapes:
            spec, shape = node.spec, tuple(shapes[name])
        else:
            raise GraphError(f"{name} is an input of the graph that gets no array")
        owner = owners.get(name, name)  # whose parameters it shares
        theta = {local: f"{owner}.{local}" for local in node.spec.theta}
        trained = frozenset(k for k, key in theta.items() if key in grads)
        if not train:
            op = op.inference()
        real = dtype if spec.dtype == "real" else spec.dtype
        calls[name] = Call(name, op, sources, shape, real, theta, trained)
    return calls


def wanting(calls: Mapping[str, Call], deltas: Sequence[str]) -> set[str]:
    """The nodes whose epsilon leads to a wanted delta or gradient."""
    needed = set(deltas)
    for name, call in calls.items():
        if call.trained or any(one in needed for one in call.inputs):
            needed.add(name)
    return needed


def fuse(
    calls: Mapping[str, Call], outputs: set[str], needed: set[str]
) -> dict[str, tuple[str, ...]]:
    """What joins the tail of what: the head's name to the names that follow it.

    Fusion is an affair of the forward pass: the adjoints still run node by node. So a
    value may vanish if its only reader joins and no adjoint rereads it.
    """
    users: dict[str, list[str]] = {name: [] for name in calls}
    for name, call in calls.items():
        for one in call.inputs:
            users[one].append(name)
    taken: set[str] = set()
    groups = {}
    for head, call in calls.items():
        tail: list[str] = []
        last, at = head, 0
        while call.op.absorbs and len(users[last]) == 1 and last not in outputs:
            name = users[last][0]
            op = calls[name].op
            place_of = PLACES.get(op.joins or "", 0)
            reread = (last in needed and "x" in calls[last].op.keeps) or (
                name in needed and "z" in op.keeps
            )
            if name in taken or place_of <= at or reread:
                break
            tail.append(name)
            last, at = name, place_of
        taken |= {*tail}
        if tail:
            groups[head] = tuple(tail)
    return groups


class Draft:
    """The steps and regions while they are written down."""

    def __init__(
        self,
        calls: Mapping[str, Call],
        groups: Mapping[str, tuple[str, ...]],
        needed: set[str],
        dtype: str,
        threads: int,
    ) -> None:
        self.calls, self.groups, self.needed = calls, groups, needed
        self.dtype, self.threads = dtype, threads
        self.steps: list[Step] = []
        self.regions: list[Region] = []
        self.x: dict[str, int] = {}
        self.eps: dict[str, int] = {}
        self.inputs: dict[str, int] = {}
        self.given: set[int] = set()  # written by the caller
        self.seeds: list[int] = []
        self.g: dict[str, int] = {}
        self.block: int | None = None
        self.books: dict[str, Any] = {}
        self.const: dict[str, dict[str, int]] = {}
        self.tapes: dict[str, dict[str, int]] = {}

    def region(
        self, name: str, array: Array, of: int | None = None, pinned: bool = False
    ) -> int:
        """A new region; its lifetime follows from the steps."""
        dtype = self.dtype if array.dtype == "real" else array.dtype
        self.regions.append(
            Region(name, tuple(array.shape), dtype, 1 << 60, -1, of, pinned=pinned)
        )
        return len(self.regions) - 1

    def add(self, step: Step) -> None:
        """Append a step and stretch the lifetimes of what it touches."""
        step = replace(
            step, theta=step.theta or {}, tape=step.tape or {}, g=step.g or {}
        )
        self.steps.append(step)
        for one in step.reads() | step.writes():
            self.touch(one, len(self.steps) - 1)

    def touch(self, one: int | None, at: int) -> None:
        """Let a region, and what it shares memory with, be alive at step `at`."""
        while one is not None:
            old = self.regions[one]
            self.regions[one] = replace(
                old, first=min(old.first, at), last=max(old.last, at)
            )
            one = old.of

    def emit(
        self,
        outputs: Sequence[str],
        adjoint: bool,
        deltas: Sequence[str],
        grads: Mapping[str, tuple[tuple[int, ...], int]],
        keep: bool,
    ) -> None:
        """All steps: prepare, forward, adjoint."""
        for name, call in self.calls.items():
            self.book(name, call, pinned=keep and not adjoint)
        inside = {n: head for head, tail in self.groups.items() for n in tail}
        runs_at = {tail[-1]: head for head, tail in self.groups.items()}
        for name, call in self.calls.items():
            if not call.inputs:
                self.inputs[name] = self.x[name] = self.region(
                    name, Array(call.shape, call.dtype)
                )
                self.given.add(self.x[name])
                self.touch(self.x[name], 0)
            elif name in runs_at:
                self.forward(runs_at[name], self.groups[runs_at[name]])
            elif name not in inside and name not in self.groups:
                self.forward(name, ())
        if adjoint:
            self.adjoint(outputs, grads)
        end = max(len(self.steps) - 1, 0)
        kept = [*(self.x[o] for o in outputs), *self.g.values()]
        kept += [self.eps[d] for d in deltas if d in self.eps]
        for one in kept:
            self.touch(one, end)
        for i, one in enumerate(self.regions):
            if one.pinned:
                self.regions[i] = replace(one, first=0, last=end)

    def book(self, name: str, call: Call, pinned: bool) -> None:
        """Ask the op what it needs."""
        if not call.inputs:
            return
        book = call.op.book(
            self.shapes(call), call.shape, self.threads, ITEMSIZE[self.dtype]
        )
        self.books[name] = book
        self.const[name] = {
            k: self.region(f"{name}.{k}", a, pinned=pinned) for k, a in book.const.items()
        }

    def shapes(self, call: Call) -> Any:
        """The shape of z, or a tuple of shapes."""
        found = tuple(self.calls[one].shape for one in call.inputs)
        return found if len(found) > 1 else found[0]

    def theta(self, name: str) -> dict[str, str | int]:
        """Parameters and const regions by their local names."""
        return {**self.calls[name].theta, **self.const[name]}

    def forward(self, name: str, tail: tuple[str, ...]) -> None:
        """One forward step: a node, and what joined its tail."""
        call = self.calls[name]
        for one in (name, *tail):
            if self.const[one]:
                op = self.calls[one].op
                self.add(Step(one, "prepare", op, theta=self.theta(one)))
        last = self.calls[tail[-1]] if tail else call
        z = tuple(self.x[one] for one in call.inputs)
        if call.op.view:
            self.x[name] = self.region(name, Array(call.shape, call.dtype), of=z[0])
            return
        book = self.books[name]
        x = self.x[last.name] = self.region(last.name, Array(last.shape, last.dtype))
        tape = {k: self.region(f"{name}.{k}", a) for k, a in book.tape.items()}
        self.tapes[name] = tape
        joined = []
        before = name
        for one in tail:
            other = [self.x[s] for s in self.calls[one].inputs if s != before]
            joined.append(Joined(self.calls[one].op, tuple(other), self.theta(one)))
            self.tapes[one] = {}
            before = one
        self.add(
            Step(
                name, "forward", call.op, z, x, self.theta(name), tape,
                self.scratch(name, book.scratch), tail=tuple(joined),
                macs=call.op.macs(self.shapes(call), call.shape),
            )
        )

    def scratch(self, name: str, size: int) -> int | None:
        """A scratch region of `size` bytes."""
        return self.region(f"{name}.scratch", Array((size,), "uint8")) if size else None

    def adjoint(
        self,
        outputs: Sequence[str],
        grads: Mapping[str, tuple[tuple[int, ...], int]],
    ) -> None:
        """Seed the outputs and walk back."""
        if grads:  # pinned: the gaps in it stay zero
            total = max(at + entries(shape) for shape, at in grads.values())
            block = Array((-(-total // GAP) * GAP,))
            self.block = self.region("g", block, pinned=True)
        for name in outputs:
            call = self.calls[name]
            seed = self.region(f"{name}.seed", Array(call.shape))
            self.seeds.append(seed)
            self.given.add(seed)
            self.touch(seed, 0)
            if name in self.needed:
                self.receive(name, seed)
        for name in reversed(self.calls):
            call = self.calls[name]
            if name in self.eps and call.inputs and name in self.needed:
                self.back(name, call, grads)

    def receive(self, name: str, delta: int) -> None:
        """One more contribution to the epsilon of a node."""
        if name not in self.eps:
            self.eps[name] = delta
            return
        total = self.region(f"{name}.epsilon", Array(self.calls[name].shape))
        self.add(Step(name, "sum", None, (self.eps[name], delta), total))
        self.eps[name] = total

    def back(
        self,
        name: str,
        call: Call,
        grads: Mapping[str, tuple[tuple[int, ...], int]],
    ) -> None:
        """The adjoint step of one node."""
        epsilon = self.eps[name]
        wanted = [one in self.needed for one in call.inputs]
        if call.op.passes or call.op.view:
            for one in (s for s, w in zip(call.inputs, wanted, strict=True) if w):
                shape = self.calls[one].shape
                passed = self.region(f"{one}.epsilon", Array(shape), of=epsilon)
                self.receive(one, passed)
            return
        delta = tuple(
            self.region(f"{one}.epsilon", Array(self.calls[one].shape)) if w else None
            for one, w in zip(call.inputs, wanted, strict=True)
        )
        g: dict[str, int | None] = dict.fromkeys(call.theta)
        more: list[tuple[str, int]] = []  # a second gradient of a shared parameter
        for local in sorted(call.trained):
            key = call.theta[local]
            shape, at = grads[key]
            if key in self.g:
                one = self.region(f"g.{key}.more", Array(shape))
                more.append((key, one))
            else:
                one = self.region(f"g.{key}", Array(shape), of=self.block)
                shift = at * ITEMSIZE[self.dtype]
                self.regions[one] = replace(self.regions[one], shift=shift)
                self.g[key] = one
            g[local] = one
        keeps = call.op.keeps
        theta = self.theta(name) if "const" in keeps else dict(call.theta)
        z = tuple(self.x[one] for one in call.inputs) if "z" in keeps else ()
        x = self.x[name] if "x" in keeps else None
        scratch = self.scratch(name, self.books[name].adjoint_scratch)
        self.add(
            Step(
                name, "adjoint", call.op, z, x, theta, self.tapes[name], scratch,
                epsilon, delta, g,
            )
        )
        for key, one in more:
            self.add(Step(name, "sum", None, (self.g[key], one), self.g[key]))
        for one_name, made in zip(call.inputs, delta, strict=True):
            if made is not None:
                self.receive(one_name, made)


def root(regions: Sequence[Region], one: int) -> int:
    """The region that owns the memory of `one`."""
    while (of := regions[one].of) is not None:
        one = of
    return one


def alias(steps: Sequence[Step], regions: list[Region]) -> None:
    """Write over what is read for the last time, where the op allows it."""
    for i, step in enumerate(steps):
        if step.do == "sum" or (step.op and step.op.inplace and not step.tail):
            adjoint = step.do == "adjoint"
            source = step.epsilon if adjoint else (step.z or (None,))[0]
            target = step.delta[0] if adjoint else step.x
            if step.do == "prepare" or source is None or target is None:
                continue
            old, new = root(regions, source), root(regions, target)
            a, b = regions[old], regions[new]
            others = [r for r in (*step.z[1:],) if root(regions, r) == old]
            if (
                a.last == i
                and b.first == i
                and old != new
                and not others
                and not a.pinned
                and a.bytes == b.bytes
                and regions[source].bytes == a.bytes
            ):
                regions[new] = replace(b, of=old)
                regions[old] = replace(a, last=b.last)


def place(regions: list[Region]) -> tuple[int, int]:
    """Offsets for all regions, largest first, each at the lowest free place.

    Returns the size of the arena and a step at which the live regions fill the most.
    """
    roots = [i for i, one in enumerate(regions) if one.of is None and one.last >= 0]
    roots.sort(key=lambda i: (-regions[i].bytes, regions[i].first, i))
    placed: list[Region] = []
    live: dict[int, int] = {}
    for i in roots:
        one = regions[i]
        at = 0
        for other in placed:  # sorted by offset
            if other.first <= one.last and one.first <= other.last:
                if other.offset - at >= one.bytes:
                    break
                at = max(at, _aligned(other.offset + other.bytes))
        regions[i] = replace(one, offset=at)
        low, high = 0, len(placed)
        while low < high:
            mid = (low + high) // 2
            low, high = (mid + 1, high) if placed[mid].offset < at else (low, mid)
        placed.insert(low, regions[i])
        for step, sign in ((one.first, 1), (one.last + 1, -1)):
            live[step] = live.get(step, 0) + sign * one.bytes
    for i, one in enumerate(regions):
        owner = regions[root(regions, i)]
        shift, at_region = 0, i
        while regions[at_region].of is not None:
            shift += regions[at_region].shift
            at_region = regions[at_region].of  # type: ignore[assignment]
        regions[i] = replace(one, offset=owner.offset + shift)
    total = max((_aligned(r.offset + r.bytes) for r in placed), default=0)
    filled = most = peak = 0
    for step in sorted(live):
        filled += live[step]
        if filled > most:
            most, peak = filled, step
    return total, peak


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def verify(steps: Sequence[Step], regions: Sequence[Region], given: set[int]) -> None:
    """Every read follows a write, and falls into the lifetime of the memory."""
    ready = set(given)
    for i, step in enumerate(steps):
        for one in step.reads():
            source = one
            while source not in ready and regions[source].of is not None:
                source = regions[source].of  # type: ignore[assignment]
            if source not in ready:
                raise GraphError(
                    f"plan: step {i} ({step.node} {step.do}) reads "
                    f"{regions[one].name!r} before it is written"
                )
        ready |= step.writes()
        for one in step.reads() | step.writes():
            owner = regions[root(regions, one)]
            if not owner.first <= i <= owner.last:
                raise GraphError(
                    f"plan: step {i} ({step.node} {step.do}) uses "
                    f"{regions[one].name!r} outside its lifetime"
                )


def apart(regions: Sequence[Region]) -> None:
    """No two regions that are alive together overlap."""
    events: list[tuple[int, int, Region]] = []
    for one in regions:
        if one.of is None and one.last >= 0 and one.bytes:
            events += [(one.first, 1, one), (one.last + 1, 0, one)]
    events.sort(key=lambda e: e[:2])
    alive: list[Region] = []
    for _, begins, one in events:
        if not begins:
            alive.remove(one)
            continue
        for other in alive:
            if other.offset < one.offset + one.bytes and (
                one.offset < other.offset + other.bytes
            ):
                raise GraphError(f"plan: {one.name!r} and {other.name!r} overlap")
        alive.append(one)


def affordable(name: str, needed: int) -> None:
    """Raise before allocating what the machine does not have."""
    memory = memory_size()
    if needed > memory:
        raise SizeError(
            f"{name}: needs {megabytes(needed)}, this machine has {megabytes(memory)}; "
            "use a smaller batch or a smaller input"
        )


def memory_size() -> int:
    """The physical memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62
