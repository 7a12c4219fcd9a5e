"""The steps of an adjoint pass: epsilon from the outputs back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from .draft import Draft
from .fuse import Call
from .graph import Op
from .plan import ITEMSIZE, Joined, Step
from .spec import GAP, Array, entries


class Back(Draft):
    """The way back is written down behind the way ahead."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.eps: dict[str, int] = {}
        self.seeds: list[int] = []
        self.g: dict[str, int] = {}
        self.block: int | None = None
        self.due: Counter[str] = Counter()  # contributions that an epsilon waits for
        self.behind: set[str] = set()  # activations that epsilon has already passed
        self.at_once: Set[str] = set()

    def keep(self, outputs: Sequence[str], deltas: Sequence[str]) -> None:
        """What the caller reads lives to the end, and what is pinned always."""
        end = len(self.steps)
        kept = [*(self.x[o] for o in outputs), *self.g.values()]
        kept += [self.eps[d] for d in deltas if d in self.eps]
        for one in kept:
            self.touch(one, end)
        for i, region in enumerate(self.regions):
            if region.pinned:
                self.regions[i] = replace(region, first=0, last=end)

    def back(
        self,
        outputs: Sequence[str],
        grads: Mapping[str, tuple[tuple[int, ...], int]],
        at_once: Set[str],
    ) -> None:
        """Seed the outputs and walk back; those in `at_once` get no array for g."""
        self.at_once = at_once
        ends = [
            at + entries(shape) for k, (shape, at) in grads.items() if k not in at_once
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
                self.adjoint(head, tail, grads)

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

    def adjoint(
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
