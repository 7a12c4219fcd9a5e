"""The training loop and what it needs of a model."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from ._ext import get_threads
from .engine import Engine
from .graph import Input, Node, new_input
from .inputs import check_labels, checked, filled
from .memory import affordable
from .network import Graph, readers
from .ops import loss, softmax
from .optim import SGD
from .plan import Plan
from .spec import DataError, DivergedError, Error, GraphError, Shape, whole

Loss = str | Callable[..., Node]


def with_loss(
    graph: Graph, output: str, kind: Loss, settings: Mapping[str, Any]
) -> tuple[Graph, str, str]:
    """The graph with a loss at `output`; the names of the loss and of its target.

    A softmax at the end is left out where the loss holds one itself.
    """
    node = graph.nodes[output]["node"]
    if node.op.reduces:  # the graph brings its own loss
        target = readers(graph, output)[-1]
        if not isinstance(graph.nodes[target]["node"].op, Input):
            raise GraphError(f"{output}: the target, {target}, must be an Input")
        return graph, output, target
    known = {row.build.__name__: row for row in loss.ROWS}
    row = known.get(kind if isinstance(kind, str) else getattr(kind, "__name__", ""))
    if isinstance(kind, str) and row is None:
        raise Error(f"loss: expected one of {', '.join(known)}, got {kind!r}")
    build: Any = kind if row is None else row.build
    by_class = row is not None and getattr(row.op, "by_class", False)
    if build is loss.softmax_cross_entropy and isinstance(node.op, softmax.Softmax):
        output = readers(graph, output)[0]
        node = graph.nodes[output]["node"]
    shape = node.shape[:-1] if by_class else node.shape
    target_node = new_input(shape or (), dtype="int64" if by_class else "real")
    made = build(node, target_node, **settings)
    graph = graph.copy()
    names = []
    for name, one in (("labels", target_node), ("loss", made)):
        while name in graph:
            name += "_"
        graph.add_node(name, node=one)
        names.append(name)
    target, end = names
    graph.add_edge(output, end, slot=0)
    graph.add_edge(target, end, slot=1)
    return graph, end, target


class Trainer:
    """A model with a loss at its end and an optimiser."""

    def __init__(
        self, model: Any, loss: Loss, settings: Mapping[str, Any], optimiser: SGD
    ) -> None:
        if len(model.outputs) != 1:
            raise GraphError(
                f"{model.name}: training needs one output, it has {list(model.outputs)}"
            )
        self.model, self.optimiser = model, optimiser
        self.store = model.store
        self.graph, self.loss, self.target = with_loss(
            model.graph, model.outputs[0], loss, settings
        )
        self.at_once = at_once(model) if optimiser.piecewise else frozenset()
        self.state = optimiser.state(self.store.size, model.dtype)
        self.lr = np.array([float(optimiser.lr)])  # read by the update at each step
        self.steps = 0
        self._engines: dict[Any, tuple[Engine, Any]] = {}

    def plan(self, shapes: Mapping[str, Shape]) -> Plan:
        """The plan of one training step for inputs of these shapes."""
        known = dict(shapes)
        if self.target not in known:
            node = self.graph.nodes[self.target]["node"]
            batch = next(iter(shapes.values()))[0]
            known[self.target] = (batch, *filled(self.target, node.shape, None))
        return self.model._compile(
            (self.loss,), known, graph=self.graph, train=True, adjoint=True,
            at_once=self.at_once,
        )

    def step(self, x: tuple[Any, ...], labels: Any) -> float:
        """Forward, adjoint, update; the loss before the update."""
        model = self.model
        names = [n for n in model.inputs if n != self.target]
        given = model._given(x, names, names)
        node = self.graph.nodes[self.target]["node"]
        given[self.target] = checked(self.target, node, labels)
        check_labels(self.graph, self.target, given[self.target])
        batches = {name: len(array) for name, array in given.items()}
        if len(set(batches.values())) > 1:
            raise DataError(
                f"{model.name}: inputs and labels differ in number: {batches}"
            )
        with model._lock:
            engine, update = self._engine(given)
            before = [(one, one.copy()) for one in self.store.buffers]
            seeds = (np.ones((), model.dtype),)
            engine.ahead(given, seeds)
            value = float(engine.array(engine.plan.outputs[0]))
            if not np.isfinite(value):
                restore(before)
                node = engine.first_bad(given, seeds)
                restore(before)
                raise DivergedError(
                    f"{model.name}: the loss is {value} at step {self.steps} (first at "
                    f"node {node}); the model is as it was before the step; use a "
                    "smaller learning rate, or look for NaN in the images"
                )
            engine.back()
            update()
            self.steps += 1
            self.store.version += 1
        return value

    def _engine(self, given: Mapping[str, np.ndarray]) -> tuple[Engine, Any]:
        shapes = {name: array.shape for name, array in given.items()}
        key = (tuple(shapes.values()), get_threads())
        if key not in self._engines:
            plan = self.plan(shapes)
            batch = next(iter(shapes.values()))[0]
            affordable(f"{self.model.name}: training at batch {batch}", plan.bytes)
            steps = {name: self.kernel(None, name) for name in self.at_once}
            engine = Engine(plan, self.store, steps)
            while len(self._engines) >= 2:  # the usual batch, and the last of an epoch
                self._engines.pop(next(iter(self._engines)))
            self._engines[key] = (engine, self.kernel(engine.array(plan.block)))
        return self._engines[key]

    def kernel(self, g: Any, name: str | None = None) -> Any:
        """The optimiser's step along g, or for one parameter that learns at once."""
        store = self.store
        start = store.at[name] if name else 0
        stop = start + store.arrays[name].size if name else 0 if g is None else g.size
        return self.optimiser.kernel(
            store.block, g, self.state, self.lr, start=start, stop=stop
        )


def at_once(model: Any) -> frozenset[str]:
    """The parameters that may learn at once: only one node has a gradient for each, and
    behind them in memory is none that waits for the rest."""
    nodes, at = Counter(model._owner.values()), model.store.at
    params = model.params
    return frozenset(
        takewhile(
            lambda name: params[name].at_once and nodes[name.rpartition(".")[0]] == 1,
            sorted(at, key=lambda name: -at[name]),
        )
    )


def restore(saved: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Put back what was saved of arrays."""
    for array, old in saved:
        array[...] = old


@dataclass
class Epoch:
    """One line of a history."""

    epoch: int
    loss: float
    seconds: float
    accuracy: float | None = None  # on the validation data

    def __str__(self) -> str:
        text = f"epoch {self.epoch:3d}  loss {self.loss:.4f}"
        if self.accuracy is not None:
            text += f"  accuracy {self.accuracy:.4f}"
        return f"{text}  {self.seconds:.1f} s"


@dataclass
class History:
    """What happened, epoch by epoch."""

    epochs: list[Epoch] = field(default_factory=list)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def rows(self) -> list[dict[str, Any]]:
        """The epochs as dictionaries."""
        return [asdict(one) for one in self.epochs]


def pair(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, of one length."""
    try:
        images, labels = data
    except (TypeError, ValueError):
        raise DataError(
            f"expected data as (images, labels), got {type(data).__name__}"
        ) from None
    images, labels = np.asarray(images), np.asarray(labels)
    if not images.ndim or not labels.ndim or len(images) != len(labels):
        raise DataError(
            f"expected as many labels as images, got shapes {images.shape} and "
            f"{labels.shape}"
        )
    if not len(images):
        raise DataError("expected at least one image, got none")
    return images, labels


def fit(
    model: Any,
    data: Any,
    epochs: int = 1,
    batch: int = 32,
    validation: Any = None,
    lr: float | Callable[[int], float] | None = None,
    seed: int = 0,
    log: Callable[[str], object] | None = None,
) -> History:
    """Train on `(images, labels)`.

    Parameters
    ----------
    model
        What learns. `model.compile` chooses its loss and optimiser.
    data
        Images and labels; shuffled anew in each epoch.
    epochs, batch
        How often, and how many at a time.
    validation
        Images and labels to measure the accuracy on, after each epoch.
    lr
        The learning rate, or a function of the epoch (from 0); the optimiser's own
        where it is None.
    seed
        Chooses the order.
    log
        Called with a line after each epoch; they go to stderr unless told otherwise.
    """
    images, labels = pair(data)
    batch, epochs = whole("batch", batch), whole("epochs", epochs)
    held = None if validation is None else pair(validation)
    say = log or (lambda line: print(line, file=sys.stderr))
    history = History()
    trainer = model.trainer
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        if lr is not None:
            trainer.lr[0] = lr(epoch) if callable(lr) else lr
        began = time.perf_counter()
        shuffled = order.permutation(len(images))
        total = 0.0
        for start in range(0, len(images), batch):
            rows = shuffled[start : start + batch]
            total += model.train_step(images[rows], labels[rows]) * len(rows)
        seconds = time.perf_counter() - began
        found = None if held is None else accuracy(model, held)
        history.epochs.append(Epoch(epoch + 1, total / len(images), seconds, found))
        say(str(history.epochs[-1]))
    return history


def accuracy(model: Any, data: Any, batch: int = 64) -> float:
    """The share of images whose largest output is at their label."""
    images, labels = pair(data)
    right = 0
    for start in range(0, len(images), batch):
        scores = model(images[start : start + batch])
        right += int((scores.argmax(-1) == labels[start : start + batch]).sum())
    return right / labels.size


__all__ = ["Epoch", "History", "Trainer", "accuracy", "fit"]
