"""Runs a Plan: the only loop over steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from ._ext import Kernel, Program, kernels
from .graph import Tail
from .plan import Plan, Step
from .store import Store, memory


class Engine:
    """A plan bound to memory of its own and to the parameters of a store.

    `steps` are the optimiser's, for the parameters that learn at once.
    """

    def __init__(
        self, plan: Plan, store: Store, steps: Mapping[str, Kernel] | None = None
    ) -> None:
        self.plan, self.store, self.steps = plan, store, steps or {}
        self.version = -1  # of the store, when the const regions were filled
        self.arena = memory(plan.bytes)
        self.arrays = [
            np.ndarray(one.shape, one.dtype, self.arena, one.offset, one.strides)
            for one in plan.regions
        ]
        pinned = {i for i, one in enumerate(plan.regions) if one.pinned}
        parts: dict[str, list[Step]] = {"prepare": [], "forward": [], "adjoint": []}
        for step in plan.steps:
            once = step.do == "prepare" and step.writes() <= pinned
            back = parts["adjoint"] or step.do == "adjoint"
            parts["prepare" if once else "adjoint" if back else "forward"].append(step)
        self.prepare, self.forward, self.back = (
            Bound(self, steps) for steps in parts.values()
        )

    def array(self, one: int | None) -> Any:
        """The array of a region."""
        return None if one is None else self.arrays[one]

    def run(
        self, inputs: Mapping[str, np.ndarray], seeds: Sequence[np.ndarray] = ()
    ) -> None:
        """Copy in, run every step; the results lie in the arrays of the plan."""
        self.ahead(inputs, seeds)
        self.back()

    def ahead(
        self, inputs: Mapping[str, np.ndarray], seeds: Sequence[np.ndarray] = ()
    ) -> None:
        """Copy in, run the steps before the first adjoint."""
        self.fill(inputs, seeds)
        if self.prepare.steps:
            version = self.store.touched()
            if version != self.version:
                self.prepare()
                self.version = version
        self.forward()

    def fill(
        self, inputs: Mapping[str, np.ndarray], seeds: Sequence[np.ndarray]
    ) -> None:
        """Copy in."""
        arrays, plan = self.arrays, self.plan
        for name, value in inputs.items():
            np.copyto(arrays[plan.inputs[name]], value)
        for one, value in zip(plan.seeds, seeds, strict=True):
            np.copyto(arrays[one], value)

    def first_bad(
        self, inputs: Mapping[str, np.ndarray], seeds: Sequence[np.ndarray]
    ) -> str:
        """Run once more, step by step: the first node whose x is NaN or infinite."""
        self.fill(inputs, seeds)
        for name, value in inputs.items():
            if not np.isfinite(value).all():
                return name
        for step, calls in self.forward.by_step():
            for call in calls:
                call()
            if step.do == "forward" and not np.isfinite(self.array(step.x)).all():
                return step.node
        return "none: it is finite now"

    def theta(self, step_theta: Mapping[str, str | int]) -> SimpleNamespace:
        """Parameters and const regions by their local names."""
        return SimpleNamespace(
            **{
                k: self.store.arrays[v] if isinstance(v, str) else self.arrays[v]
                for k, v in step_theta.items()
            }
        )


class Bound:
    """Steps that become one flat Program the first time they run."""

    def __init__(self, engine: Engine, steps: Sequence[Step]) -> None:
        self.engine, self.steps = engine, steps
        self.program: Program | None = None
        self.marks: list[int] = []  # where the calls of each step begin

    def __call__(self) -> None:
        """Run. An op that returns kernels is not called again."""
        if self.program is not None:
            self.program()
            return
        calls: list[Callable[[], Any]] = []
        marks = []
        for step in self.steps:
            marks.append(len(calls))
            work = self.call(step)
            found = work()
            if found is None:  # the op did the work itself, and will again
                calls.append(work)
                continue
            made = [found] if isinstance(found, Kernel) else list(found)
            for kernel in made:
                kernel()
            calls += made
        self.program, self.marks = Program(calls), marks

    def by_step(self) -> Iterator[tuple[Step, list[Callable[[], Any]]]]:
        """The steps, each with its calls; after the first run."""
        if self.program is not None:
            calls = self.program.calls
            ends = [*self.marks[1:], len(calls)]
            for step, start, end in zip(self.steps, self.marks, ends, strict=True):
                yield step, calls[start:end]

    def call(self, step: Step) -> Callable[[], Any]:
        """The op's function on the arrays of a step."""
        engine = self.engine
        array = engine.array
        op = step.op
        if op is None:
            a, b = (array(one) for one in step.z)
            x = array(step.x)
            return lambda: kernels(x).Add(a, b, x)
        theta = engine.theta(step.theta)
        if step.do == "prepare":
            return partial(op.prepare, theta)
        z: Any = tuple(array(one) for one in step.z)
        z = (z if len(z) > 1 else z[0]) if z else None
        x = array(step.x)
        tape = SimpleNamespace(**{k: array(v) for k, v in step.tape.items()})
        scratch = array(step.scratch)
        more: dict[str, Any] = {}
        if step.tail:
            fields: dict[str, Any] = {}
            for joined in step.tail:
                others = tuple(array(one) for one in joined.others)
                fields |= joined.op.tail(others, engine.theta(joined.theta))
            more["tail"] = Tail(**fields)
        if step.add is not None or step.behind:
            fields = dict(step.behind.tail((), None)) if step.behind else {}
            behind = {"z": z, "x": x}[op.ends or ""] if step.behind else None
            more["tail"] = Tail(add=array(step.add), behind=behind, **fields)
        if step.do == "forward":
            return partial(op.forward, z, theta, x, tape, scratch, **more)
        delta: Any = tuple(array(one) for one in step.delta)
        delta = delta if len(delta) > 1 else delta[0]
        g = SimpleNamespace(
            **{
                k: engine.steps[v] if isinstance(v, str) else array(v)
                for k, v in step.g.items()
            }
        )
        epsilon = array(step.epsilon)
        return partial(
            op.adjoint, epsilon, z, theta, x, tape, scratch, delta, g, **more
        )
