"""Compile a graph into a Plan.

    graph --trace--> calls --fuse--> groups --emit--> steps and regions
          --alias--> shared memory --place--> offsets in one arena

Each pass is followed by `verify`. The result is immutable; the engine binds it and
runs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from typing import Any

import networkx as nx

from .fuse import Call, fuse, homes, shapes, trace, wanting
from .graph import Op
from .memory import alias, apart, place, root, verify
from .plan import ITEMSIZE, Joined, Plan, Region, Step
from .spec import GAP, Array, Shape, entries


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
    exact: bool = False,
    at_once: Set[str] = frozenset(),
) -> Plan:
    """The plan for inputs of these shapes (which begin with the batch).

    `grads` maps the parameters whose gradient is wanted to (shape, entry in the block
    of all gradients); `deltas` names the inputs whose delta is wanted; `rules` replaces
    ops; `exact` keeps off algorithms that trade the last digits for speed; the
    parameters in `at_once` learn in the adjoint that makes their gradient.
    """
    calls = trace(
        graph, outputs, shapes, owners, dtype, train, grads or {}, rules or {}, exact
    )
    needed = wanting(calls, deltas) if adjoint else set()
    groups = fuse(calls, set(outputs), needed)
    inside = homes(calls, groups, set(outputs), needed, ITEMSIZE[dtype])
    draft = Draft(calls, groups, inside, needed, dtype, threads, at_once)
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


class Draft:
    """The steps and regions while they are written down."""

    def __init__(
        self,
        calls: dict[str, Call],
        groups: Mapping[str, tuple[str, ...]],
        homes: Mapping[str, tuple[str, int]],
        needed: set[str],
        dtype: str,
        threads: int,
        at_once: Set[str],
    ) -> None:
        self.at_once = at_once
        self.calls, self.groups, self.homes = calls, groups, homes
        self.needed = needed
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
        self.due: Counter[str] = Counter()  # contributions that an epsilon waits for
        self.behind: set[str] = set()  # activations that epsilon has already passed
        self.const: dict[str, dict[str, int]] = {}
        self.tapes: dict[str, dict[str, int]] = {}

    def region(self, name: str, array: Array, **more: Any) -> int:
        """A new region; its lifetime follows from the steps."""
        dtype = self.dtype if array.dtype == "real" else array.dtype
        self.regions.append(
            Region(name, tuple(array.shape), dtype, 1 << 60, -1, **more)
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

    def touch(self, one: int, at: int) -> None:
        """Let a region, and the memory it shares, be alive at step `at`."""
        for each in {one, root(self.regions, one)}:
            old = self.regions[each]
            self.regions[each] = replace(
                old, first=min(old.first, at), last=max(old.last, at)
            )

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
        end = len(self.steps)  # after the last step: the caller reads them
        kept = [*(self.x[o] for o in outputs), *self.g.values()]
        kept += [self.eps[d] for d in deltas if d in self.eps]
        for one in kept:
            self.touch(one, end)
        for i, region in enumerate(self.regions):
            if region.pinned:
                self.regions[i] = replace(region, first=0, last=end)

    def book(self, name: str, call: Call, pinned: bool) -> None:
        """Ask the op what it needs."""
        if not call.inputs:
            return
        book = call.op.book(
            shapes(self.calls, call), call.shape, self.threads, ITEMSIZE[self.dtype]
        )
        self.books[name] = book
        self.const[name] = {
            k: self.region(f"{name}.{k}", a, pinned=pinned)
            for k, a in book.const.items()
        }

    def how(self, call: Call) -> str:
        """The algorithm of a call."""
        z = shapes(self.calls, call)
        return call.op.how(z, call.shape, ITEMSIZE[self.dtype])

    def there(self, call: Call) -> str:
        """How much of a concatenation is made in its place."""
        parts = {one for one in call.inputs if one in self.homes}
        there = sum(self.homes[one][0] == call.name for one in parts)
        return f"{there} of {len(call.inputs)} in place" if there else ""

    def made(self, name: str) -> int:
        """The region of x: its own, or channels of the array that it is joined in."""
        chain = [name]
        while (last := chain[-1]) in self.homes and last not in self.x:
            chain.append(self.homes[last][0])
        for one in reversed(chain):
            if one in self.x:
                continue
            call, more = self.calls[one], {}
            if one in self.homes:
                into, start = self.homes[one]
                of = self.x[into]
                pitch = self.regions[of].pitch or self.calls[into].shape[-1]
                shift = start * ITEMSIZE[self.dtype]
                more = {"of": of, "shift": shift, "pitch": pitch}
            self.x[one] = self.region(one, Array(call.shape, call.dtype), **more)
        return self.x[name]

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
        x = self.made(last.name)
        kept = {**book.tape, **(book.seats if name in self.needed else {})}
        tape = {k: self.region(f"{name}.{k}", a) for k, a in kept.items()}
        self.tapes[name] = tape
        self.tapes |= {one: {} for one in tail}
        joined = tuple(
            Joined(self.calls[one].op, tuple(self.x[s] for s in read), self.theta(one))
            for one, read in self.joined(name, tail)
        )
        self.add(
            Step(
                name, "forward", call.op, z, x, self.theta(name), tape,
                self.scratch(name, book.scratch), tail=joined,
                macs=call.op.macs(shapes(self.calls, call), call.shape),
                how=self.there(call) or self.how(call),
            )
        )

    def joined(
        self, head: str, tail: tuple[str, ...]
    ) -> Iterator[tuple[str, list[str]]]:
        """The nodes of a tail, each with what it reads besides the one before it."""
        for before, one in pairwise((head, *tail)):
            yield one, [s for s in self.calls[one].inputs if s != before]

    def scratch(self, name: str, size: int) -> int | None:
        """A scratch region of `size` bytes."""
        return self.region(f"{name}.scratch", Array((size,), "uint8")) if size else None

    def adjoint(
        self,
        outputs: Sequence[str],
        grads: Mapping[str, tuple[tuple[int, ...], int]],
    ) -> None:
        """Seed the outputs and walk back."""
        ends = [
            at + entries(shape) for k, (shape, at) in grads.items()
            if k not in self.at_once
        ]
        if ends:  # pinned: the gaps in it stay zero
            total = max(ends)
            block = Array((-(-total // GAP) * GAP,))
            self.block = self.region("g", block, pinned=True)
        self.due = Counter(one for call in self.calls.values() for one in call.inputs)
        self.due.update(outputs)
        for name in outputs:
            call = self.calls[name]
            seed = self.region(f"{name}.seed", Array(call.shape))
            self.seeds.append(seed)
            self.given.add(seed)
            self.touch(seed, 0)
            if name in self.needed:
                self.receive(name, seed)
        folded = {
            tail[-1]: (head, tail) for head, tail in self.groups.items()
            if self.calls[head].op.folds and head in self.needed
        }
        for name in reversed(self.calls):
            head, tail = folded.get(name, (name, ()))
            if name in self.eps and self.calls[head].inputs and head in self.needed:
                self.back(head, tail, grads)

    def delta(self, name: str) -> int | None:
        """A region for the delta of an input, if that is wanted."""
        if name not in self.needed:
            return None
        return self.region(f"{name}.epsilon", Array(self.calls[name].shape))

    def receive(self, name: str, delta: int) -> None:
        """One more contribution to the epsilon of a node."""
        self.due[name] -= 1
        if name not in self.eps:
            self.eps[name] = delta
            return
        total = self.region(f"{name}.epsilon", Array(self.calls[name].shape))
        self.add(Step(name, "sum", None, (self.eps[name], delta), total))
        self.eps[name] = total

    def back(
        self,
        name: str,
        tail: tuple[str, ...],
        grads: Mapping[str, tuple[tuple[int, ...], int]],
    ) -> None:
        """The adjoint step of a node, and of the tail that its op folds into it."""
        call = self.calls[name]
        epsilon = self.eps[(name, *tail)[-1]]
        if call.op.passes or call.op.view or name in self.behind:
            self.passed(epsilon, call.inputs)
            return
        tail, added = self.unfold(name, tail, epsilon)
        delta = tuple(self.delta(one) for one in call.inputs)
        g: dict[str, int | str | None] = dict.fromkeys(call.theta)
        more: list[tuple[str, int]] = []  # a second gradient of a shared parameter
        for local in sorted(call.trained):
            key = call.theta[local]
            shape, at = grads[key]
            if key in self.at_once:
                g[local] = key
                continue
            if key in self.g:
                one = self.region(f"g.{key}.more", Array(shape))
                more.append((key, one))
            else:
                shift = at * ITEMSIZE[self.dtype]
                one = self.region(f"g.{key}", Array(shape), of=self.block, shift=shift)
                self.g[key] = one
            g[local] = one
        theta = self.theta(name) if "const" in call.op.keeps else dict(call.theta)
        # what vanished in a tail has the shape of epsilon, and nobody reads it
        z = tuple(self.x.get(one, epsilon) for one in call.inputs)
        x: int | None = self.x.get(name, epsilon)
        joined = tuple(
            Joined(self.calls[node].op, tuple(added[source] for source in others), {})
            for node, others in self.joined(name, tail)
        )
        if tail:
            x = self.x[tail[-1]] if len(tail) > 1 else None
        add, behind = self.ending(call) if delta[0] is not None else (None, None)
        scratch = self.scratch(name, self.books[name].adjoint_scratch)
        self.add(
            Step(
                name, "adjoint", call.op, z, x, theta, self.tapes[name],
                scratch, epsilon, delta, g, joined, add, behind, how=self.how(call),
            )
        )
        for key, one in more:
            self.add(Step(name, "sum", None, (self.g[key], one), self.g[key]))
        if add is not None:
            del self.eps[call.inputs[0]]  # delta holds it now
        for source, made in (*zip(call.inputs, delta, strict=True), *added.items()):
            if made is not None:
                self.receive(source, made)

    def unfold(
        self, name: str, tail: tuple[str, ...], epsilon: int
    ) -> tuple[tuple[str, ...], dict[str, int | None]]:
        """What of a tail an adjoint step still has to do, and deltas for its inputs.

        Without an activation at the end, epsilon is that of all before.
        """
        others = [one for _, read in self.joined(name, tail) for one in read]
        act = tail[-1:] and self.calls[tail[-1]].op.joins == "act"
        if act and tail[-1] not in self.behind:
            return tail, {one: self.delta(one) for one in others}
        self.passed(epsilon, others)
        return (), {}

    def passed(self, epsilon: int, to: Sequence[str]) -> None:
        """Let nodes have epsilon for their own."""
        for name in (one for one in to if one in self.needed):
            shape = Array(self.calls[name].shape)
            self.receive(name, self.region(f"{name}.epsilon", shape, of=epsilon))

    def ending(self, call: Call) -> tuple[int | None, Op | None]:
        """What a delta takes in: what came from other readers and, where it is the
        last to come, the adjoint of the activation that made z."""
        if not call.op.ends:
            return None, None
        (source,) = call.inputs
        act, add = self.calls[source].op, self.eps.get(source)
        ends = act.joins == "act" and "z" not in act.keeps and self.due[source] == 1
        if call.op.ends == "x":  # of z it does not know enough to take in more
            ends, add = ends and add is None, None
        if ends:
            self.behind.add(source)
        return add, act if ends else None
