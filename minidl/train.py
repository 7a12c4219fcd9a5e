"""A model that learns: a loss at its end, and steps of an optimiser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import numpy as np

from ._ext import Program, get_threads, kernels
from .ends import Loss, shares, with_loss
from .engine import Engine
from .inputs import arrays, check_labels, checked, targeted
from .memory import affordable
from .ops import loss as losses
from .optim import Optimiser, Pieces, pieces
from .plan import Plan
from .spec import DataError, DivergedError, Error, Shape, number
from .store import layout


class Trainer:
    """A model with a loss at its end and an optimiser.

    Parameters
    ----------
    model
        What learns; what `model.freeze` named does not.
    loss, settings
        A name or a function of two nodes, and its further arguments.
    optimiser
        How theta follows the gradient.
    clip
        The largest norm of the whole gradient; longer ones are scaled down to it.
    average
        The decay of a moving average of the parameters, such as 0.999; see `averaged`.
    class_weights
        How much each class counts in softmax cross-entropy.
    output_weights
        How much the loss of each output counts, where there are several.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        settings: Mapping[str, Any],
        optimiser: Optimiser,
        clip: float | None = None,
        average: float | None = None,
        class_weights: Sequence[float] | None = None,
        output_weights: Sequence[float] | None = None,
    ) -> None:
        self.model, self.optimiser = model, optimiser
        self.kind = loss if isinstance(loss, str) else loss.__name__
        # what the loss depends on, for whoever asks whether it is the same
        self.given = repr((dict(settings), class_weights, output_weights))
        self.clip = None if clip is None else number("clip", clip, above=0)
        self.store, self.version = model.store, model.graph.version
        weights = (1.0,) * len(model.outputs) if output_weights is None else (
            *output_weights,)
        if len(weights) != len(model.outputs):
            raise Error(
                f"{model.name}: output_weights: expected {len(model.outputs)} numbers, "
                f"for {', '.join(model.outputs)}, got {len(weights)}"
            )
        self.smoothing = 0.0
        self.weights: np.ndarray | None = None
        if class_weights is not None:
            if loss not in ("softmax_cross_entropy", "soft_cross_entropy"):
                raise Error(f"class_weights go with softmax_cross_entropy, not {loss}")
            loss, settings = "soft_cross_entropy", {**settings}
            self.smoothing = settings.pop("smoothing", 0.0)
            self.weights = self._class_weights(class_weights)
        self.soft = loss in ("soft_cross_entropy", losses.soft_cross_entropy)
        self.graph, self.loss, self.target = with_loss(
            model.graph, model.outputs, loss, settings, weights
        )
        self.moment = optimiser.state(self.store.size, model.dtype)
        # clipping needs the whole gradient first
        self.at_once = at_once(model) if clip is None else frozenset()
        self.pieces = self.cut(model.frozen)
        if not len(self.pieces.begin):
            why = "all of it is frozen" if model.frozen else "it has no parameters"
            raise Error(f"{model.name}: nothing learns: {why}")
        # the learning rate, the factor of g, two corrections: read at each step
        self.now = np.array([float(optimiser.lr), 1, 1, 1])
        self.norm = np.zeros(1)  # of the last gradient, where it is clipped
        self.decay = None if average is None else number(
            "average", average, low=0, below=1)
        self.mean = None if average is None else self.store.block.copy()
        self.follow = np.zeros(1)  # how far the average moves in a step
        self.steps = 0
        self._engines: dict[Any, tuple[Engine, Any]] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.now[0])

    @lr.setter
    def lr(self, value: float) -> None:
        self.now[0] = value

    def plan(self, shapes: Mapping[str, Shape]) -> Plan:
        """The plan of one training step for inputs of these shapes."""
        known = targeted(self.graph, shapes)
        return self.model._compile(
            (self.loss,), known, graph=self.graph, train=True, adjoint=True,
            at_once=self.at_once,
        )

    def step(self, x: tuple[Any, ...], labels: Any) -> float:
        """Forward, adjoint, update; the loss before the update."""
        model = self.model
        names = [n for n in model.inputs if n != self.target]
        given = arrays(model.name, model.graph, names, x)
        given[self.target] = self._labels(labels)
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
                    "smaller learning rate, clip the gradient, or look for NaN in the "
                    "images"
                )
            self.steps += 1
            self.optimiser.begin(self.now, self.steps)
            if self.decay is not None:  # young averages move faster
                self.follow[0] = 1 - min(self.decay, self.steps / (self.steps + 9))
            engine.back()
            update()
            self.store.version += 1
        return value

    def _class_weights(self, given: Sequence[float]) -> np.ndarray:
        """The weights of the classes, one for each."""
        weights = np.array(given, float)
        shapes = {self.model.graph.nodes[o]["node"].shape for o in self.model.outputs}
        classes = {shape[-1] for shape in shapes}
        good = weights.ndim == 1 and np.isfinite(weights).all() and (weights > 0).all()
        if not good or {weights.size} != classes:
            raise Error(
                f"class_weights: expected {min(classes)} numbers above 0, one for each "
                f"class, got {given!r}"
            )
        return weights

    def check(self, labels: Any) -> np.ndarray:
        """The labels, in any number, if they are what the loss takes."""
        node = self.graph.nodes[self.target]["node"]
        labels = np.asarray(labels)
        if self.soft and labels.dtype.kind in "iu" and labels.ndim == len(node.shape):
            bad = np.flatnonzero((labels < 0) | (labels >= node.shape[-1]))
            if bad.size:
                raise DataError(
                    f"{self.target}: expected classes 0 to {node.shape[-1] - 1}, got "
                    f"{labels.flat[bad[0]]} at entry {bad[0]} ({bad.size} of "
                    f"{labels.size} are out of range)"
                )
            return labels
        found = checked(self.target, node, labels)
        check_labels(self.graph, self.target, found)
        return found

    def _labels(self, labels: Any) -> np.ndarray:
        """The target as the loss wants it."""
        found = self.check(labels)
        if self.soft and found.dtype.kind in "iu":
            classes = self.graph.nodes[self.target]["node"].shape[-1]
            return shares(found, classes, self.smoothing, self.weights)
        return found

    def _engine(self, given: Mapping[str, np.ndarray]) -> tuple[Engine, Any]:
        shapes = {name: array.shape for name, array in given.items()}
        key = (tuple(shapes.values()), get_threads())
        if key not in self._engines:
            plan = self.plan(shapes)
            batch = next(iter(shapes.values()))[0]
            affordable(f"{self.model.name}: training at batch {batch}", plan.bytes)
            steps = {name: self.alone(name) for name in self.at_once}
            engine = Engine(plan, self.store, steps)
            while len(self._engines) >= 2:  # the usual batch, and the last of an epoch
                self._engines.pop(next(iter(self._engines)))
            self._engines[key] = (engine, self._update(engine.array(plan.block)))
        return self._engines[key]

    def cut(self, without: Set[str]) -> Pieces:
        """All parameters but some, in pieces."""
        store = self.store
        return pieces(store.params, store.at, self.optimiser.weight_decay, without)

    def alone(self, name: str) -> Any:
        """The optimiser's step for one parameter that learns at once."""
        begin, end, decay = self.cut(self.store.at.keys() - {name})
        whole = Pieces(begin[:1], end[-1:], decay[:1])
        return self.optimiser.kernel(
            self.store.block, None, self.moment, self.now, whole
        )

    def _update(self, g: Any) -> Program:
        """The kernels that follow the adjoint: clip, step, average."""
        w, cut = self.store.block, self.cut(self.model.frozen | self.at_once)
        made = []
        if self.clip is not None:
            sums = np.zeros(len(cut.begin))
            clip = kernels(g).Clip(
                g, sums, self.now, self.norm, cut.begin, cut.end, self.clip
            )
            made.append(clip)
        if g is not None:
            made.append(self.optimiser.kernel(w, g, self.moment, self.now, cut))
        if self.mean is not None:
            all_of_it = self.pieces
            made.append(
                kernels(w).Follow(
                    self.mean, w, self.follow, all_of_it.begin, all_of_it.end
                )
            )
        return Program(made)

    # -- the average, and what a checkpoint keeps ---------------------------------

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the model has the moving averages, where they are kept."""
        if self.mean is None:
            yield
            return
        block = self.store.block
        raw = block.copy()
        block[...] = self.mean
        self.store.version += 1
        try:
            yield
        finally:
            block[...] = raw
            self.store.version += 1

    def state(self) -> dict[str, np.ndarray]:
        """All that a later step depends on besides the model, by name."""
        found = {f"optimiser.{name}": array for name, array in self.moment.items()}
        if self.mean is not None:
            found["average"] = self.mean
        return found


def needs(model: Any, batch: int, size: tuple[int, ...] | None = None) -> int:
    """The bytes that training by momentum needs at a batch; no parameter is made.

    Examples
    --------
    >>> import minidl as dl
    >>> needs(dl.models.vgg16(), batch=8) > 1e9
    True
    """
    graph, end, _ = with_loss(
        model.graph, model.outputs, "softmax_cross_entropy", {},
        [1.0] * len(model.outputs),
    )
    shapes = targeted(graph, model._shapes(batch, size))
    plan = model._compile(
        (end,), shapes, graph=graph, train=True, adjoint=True, at_once=at_once(model)
    )
    _, entries = layout(model.params)
    return plan.bytes + 2 * entries * np.dtype(model.dtype).itemsize  # theta and v


def at_once(model: Any) -> frozenset[str]:
    """The parameters that may learn at once: only one node has a gradient for each, and
    behind them in memory is none that waits for the rest."""
    nodes, params = Counter(model._owner.values()), model.params
    at, _ = layout(params)
    learning = (name for name in at if name not in model.frozen)
    return frozenset(
        takewhile(
            lambda name: params[name].at_once and nodes[name.rpartition(".")[0]] == 1,
            sorted(learning, key=lambda name: -at[name]),
        )
    )


def restore(saved: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Put back what was saved of arrays."""
    for array, old in saved:
        array[...] = old
