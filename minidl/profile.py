"""Where the time of a network goes, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from ._ext import get_threads, level
from .clock import peak, times
from .engine import Bound, Engine
from .inputs import targeted
from .model import Model
from .plan import Step
from .table import megabytes, table


@dataclass(frozen=True)
class Line:
    """One step, or several of a kind: its time and what it had to do in it.

    `bytes` is what it reads and writes at the least, its scratch left out. `flops`
    counts the definition's operations: Winograd does fewer, and can pass the peak.
    """

    do: str
    node: str
    op: str
    how: str
    seconds: float
    flops: int
    bytes: int


@dataclass(frozen=True)
class Profile:
    """A network's lines in the order of its steps. `print(profile)` shows it."""

    name: str
    batch: int
    train: bool
    threads: int
    level: str
    peak: float  # operations a second that the machine can do
    seconds: float  # of a whole run
    lines: tuple[Line, ...]

    def kinds(self) -> tuple[Line, ...]:
        """The lines added up by what they do and by op, the longest first."""
        groups: dict[tuple[str, str, str], list[Line]] = {}
        for line in self.lines:
            groups.setdefault((line.do, line.op, line.how), []).append(line)
        made = [
            Line(
                do, f"{len(group)} step{'s' * (len(group) > 1)}", op, how,
                sum(one.seconds for one in group), sum(one.flops for one in group),
                sum(one.bytes for one in group),
            )
            for (do, op, how), group in groups.items()
        ]  # fmt: skip
        return tuple(sorted(made, key=lambda one: -one.seconds))

    def json(self) -> dict[str, Any]:
        """All of it, for json.dump."""
        return asdict(self) | {"kinds": [asdict(one) for one in self.kinds()]}

    def __str__(self) -> str:
        what = "a training step" if self.train else "inference"
        ending = (
            f"{self.name}: {what} at batch {self.batch}, {self.threads} threads, "
            f"{self.level}: {self.seconds * 1e3:.3f} ms; "
            f"{sum(one.seconds for one in self.lines) * 1e3:.3f} ms in the steps; "
            f"the machine's peak is {self.peak / 1e9:.0f} GFLOP/s"
        )
        return f"{self._table(self.lines)}\n\n{self._table(self.kinds())}\n{ending}"

    def _table(self, lines: Sequence[Line]) -> str:
        total = sum(one.seconds for one in self.lines)
        rows = []
        for one in lines:
            speed = one.flops / one.seconds
            rows.append(
                (
                    one.do, one.node, one.op, one.how, f"{one.seconds * 1e6:,.1f}",
                    f"{one.seconds / total:.1%}",
                    f"{speed / 1e9:.1f}" if one.flops else "-",
                    f"{speed / self.peak:.0%}" if one.flops else "-",
                    megabytes(one.bytes), f"{one.bytes / one.seconds / 1e9:.1f}",
                )
            )  # fmt: skip
        head = (
            "do", "node", "op", "by", "us", "time", "GFLOP/s", "of peak", "bytes",
            "GB/s",
        )  # fmt: skip
        return table(head, rows)


def profile(
    model: Model,
    batch: int = 1,
    train: bool = False,
    size: tuple[int, ...] | None = None,
    seconds: float = 2.0,
) -> Profile:
    """Measure each step on random data: medians over some `seconds` of runs.

    Parameters
    ----------
    model
        Its parameters stay as they are; in training its running statistics move.
    batch, size
        Of the inputs; `size` stands for the axes that they leave open.
    train
        Measure a training step: forward, adjoint and the optimiser's update.
    seconds
        How long to measure, five runs at the least.

    Examples
    --------
    >>> import minidl as dl
    >>> from minidl.profile import profile
    >>> z = dl.Input((8, 8, 3))
    >>> found = profile(dl.Model(z, dl.conv(z, 4, 3, name="C1")), seconds=0.1)
    >>> [(line.do, line.node, line.flops) for line in found.lines]
    [('forward', 'C1', 7776)]
    """
    given = random_inputs(model, batch, size, train)
    with still(model.trainer.now) if train else nullcontext():
        return measured(model, given, batch, train, seconds)


def measured(
    model: Model, given: dict[str, np.ndarray], batch: int, train: bool, seconds: float
) -> Profile:
    """The profile on these inputs."""
    update: Callable[[], object] | None = None
    if train:
        engine, update = model.trainer._engine(given)
    else:
        engine = model._engine(model.outputs, given)
    seeds = [np.ones((), model.dtype)] * train
    steps = [*engine.forward.steps, *engine.back.steps]
    lines = [described(engine, step) for step in steps]
    runs: list[Callable[[], object]] = [Bound(engine, [step]) for step in steps]
    whole: list[Callable[[], object]] = [partial(engine.run, given, seeds)]
    if update is not None and (block := engine.plan.block) is not None:
        whole.append(update)
        runs.append(update)
        moved = engine.plan.regions[block].bytes * (5 if model.trainer.moment else 3)
        rule = type(model.trainer.optimiser).__name__
        lines.append(("update", "", rule, "", 0, moved))
    all_of_it = sum(median(each[1:]) for each in times(whole, seconds / 4))
    # the arena has put something else where the inputs were
    _, *found = times([partial(engine.fill, given, seeds), *runs], seconds)
    return Profile(
        model.name, batch, train, get_threads(), level(), peak(dtype=model.dtype),
        all_of_it,
        tuple(
            Line(*line[:4], median(each[1:]), *line[4:])  # the first run binds
            for line, each in zip(lines, found, strict=True)
        ),
    )  # fmt: skip


def random_inputs(
    model: Model, batch: int, size: tuple[int, ...] | None, train: bool
) -> dict[str, np.ndarray]:
    """Data of the shapes and types that the inputs, and the target, ask for."""
    rng = np.random.default_rng(0)
    graph = model.trainer.graph if train else model.graph
    shapes = targeted(graph, model._shapes(batch, size))
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        node = graph.nodes[name]["node"]
        if node.op.dtype == "real":
            found[name] = rng.standard_normal(shape).astype(model.dtype)
            continue
        readers = (graph.nodes[one]["node"] for one in graph.successors(name))
        classes = min(
            (one.inputs[0].shape[-1] for one in readers if one.op.reduces), default=2
        )
        found[name] = rng.integers(0, classes, shape).astype(node.op.dtype)
    return found


def described(engine: Engine, step: Step) -> tuple[str, str, str, str, int, int]:
    """What a step does, where, by which op and algorithm; its operations and bytes."""
    parts = [step.op.kind if step.op else "sum", *(one.op.kind for one in step.tail)]
    macs = step.macs
    if step.do == "adjoint":  # delta and g each take as much as the forward
        forward = next(
            (one.macs for one in engine.plan.steps
             if one.do == "forward" and one.node == step.node), 0
        )  # fmt: skip
        wanted = (step.delta, step.g.values())
        macs = forward * sum(any(w is not None for w in each) for each in wanted)
    regions = (step.reads() | step.writes()) - {step.scratch}
    memory = engine.plan.regions
    moved = sum(memory[one].bytes for one in regions)
    if step.do == "forward":  # what was made in x stays there
        there = {one for one in step.z if memory[one].of == step.x}
        moved -= 2 * sum(memory[one].bytes for one in there)
    learned = [one for one in step.g.values() if isinstance(one, str)]
    for one in learned:  # reads and writes it, and what the optimiser keeps of it
        moved += 4 * engine.store.arrays[one].nbytes
    parts += ["update"] * bool(learned)
    packed = any(isinstance(one, int) for one in step.theta.values())
    if not packed or step.do == "prepare":  # else it reads the packed ones
        store = engine.store
        names = [one for one in step.theta.values() if isinstance(one, str)]
        moved += sum(store.arrays[one].nbytes for one in names)
    return (step.do, step.node, " + ".join(parts), step.how, 2 * macs, moved)


@contextmanager
def still(now: np.ndarray) -> Iterator[None]:
    """With a learning rate of 0 the parameters stay as they are."""
    kept = float(now[0])
    now[0] = 0.0
    try:
        yield
    finally:
        now[0] = kept


__all__ = ["Line", "Profile", "profile"]
