"""The steps of a forward pass, and the regions that they read and write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .fuse import Call, shapes
from .memory import root
from .plan import ITEMSIZE, Joined, Region, Step
from .spec import Array


class Draft:
    """A plan while it is written down."""

    def __init__(
        self,
        calls: dict[str, Call],
        groups: Mapping[str, tuple[str, ...]],
        homes: Mapping[str, tuple[str, int]],
        needed: set[str],
        dtype: str,
        threads: int,
    ) -> None:
        self.calls, self.groups, self.homes = calls, groups, homes
        self.needed = needed
        self.dtype, self.threads = dtype, threads
        self.steps: list[Step] = []
        self.regions: list[Region] = []
        self.x: dict[str, int] = {}
        self.inputs: dict[str, int] = {}
        self.given: set[int] = set()  # written by the caller
        self.books: dict[str, Any] = {}
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

    def ahead(self, pinned: bool) -> None:
        """All steps of the forward pass; what is prepared may be `pinned`."""
        for name, call in self.calls.items():
            self.book(name, call, pinned)
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
