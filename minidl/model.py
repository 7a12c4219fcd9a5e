"""Model: a graph with its parameters, as people use it."""

from __future__ import annotations

import fnmatch
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from . import checkpoint, draw, fit, npz, train
from ._ext import get_threads
from .compile import compile
from .draw.label import Cost
from .engine import Engine
from .exchange import python, weights
from .graph import Input, Node, Op
from .inputs import check_labels, checked, filled, floats
from .memory import affordable
from .network import build, order
from .optim import SGD, Optimiser
from .plan import Plan
from .rewire import inputs_of, rewired
from .spec import DataError, GraphError, Param, Shape, entries
from .store import Store, Values, layout
from .summary import summary

Arrays = np.ndarray | Sequence[np.ndarray]
Rule = Callable[[np.ndarray, Any, np.ndarray], Any]


class Model:
    """A network: its graph, its parameters, and what can be done with them.

    Parameters
    ----------
    inputs, outputs
        One node or several. Several make tuples of what goes in and comes out.
    name
        What it is called in tables, diagrams and messages.
    dtype
        "float32", or "float64" for checks.
    seed
        Where the initial parameters come from. Each depends on the seed and its own
        name alone.
    exact
        Keep off algorithms that trade the last digits for speed (Winograd's), as the
        environment variable MINIDL_EXACT=1 does for all models.

    Examples
    --------
    >>> import minidl as dl
    >>> image = dl.Input((8, 8, 1), name="image")
    >>> z = dl.relu(dl.conv(image, 4, kernel=3, name="C1"))
    >>> net = dl.Model(image, dl.dense(dl.flatten(z), 10, name="F2"))
    >>> net(np.zeros((5, 8, 8, 1), "float32")).shape
    (5, 10)
    >>> list(net.parameters)
    ['C1.w', 'C1.b', 'F2.w', 'F2.b']
    """

    def __init__(
        self,
        inputs: Node | Sequence[Node],
        outputs: Node | Sequence[Node],
        name: str = "model",
        dtype: str = "float32",
        seed: int = 0,
        exact: bool = False,
    ) -> None:
        if dtype not in ("float32", "float64"):
            raise DataError(
                f'{name}: dtype: expected "float32" or "float64", got {dtype!r}'
            )
        self.name, self.dtype, self.seed = name, dtype, seed
        self.classes: tuple[str, ...] = ()  # what its scores stand for, where known
        self.exact = exact or os.environ.get("MINIDL_EXACT", "0") not in ("", "0")
        self._single = (isinstance(inputs, Node), isinstance(outputs, Node))
        ins, outs = _nodes("inputs", inputs), _nodes("outputs", outputs)
        self.graph, names = build([*ins, *outs])
        self.inputs = tuple(names[node] for node in ins)
        self.outputs = tuple(names[node] for node in outs)
        self._check_ends()
        self._owner = {names[n]: names[n.owner] for n in names}
        self._store: Store | None = None
        self._version = -1  # of the graph, when these were derived from it
        self._engines: dict[Any, Engine] = {}
        self._ancestors: dict[tuple[str, ...], list[str]] = {}
        self._lock = threading.RLock()
        self._trainer: train.Trainer | None = None
        self._how: tuple[Any, ...] = ("softmax_cross_entropy", {}, SGD())  # it learns
        self.frozen: frozenset[str] = frozenset()  # the parameters that do not learn

    def _check_ends(self) -> None:
        for name in self.inputs:
            if not isinstance(self.graph.nodes[name]["node"].op, Input):
                raise GraphError(
                    f"{self.name}: {name} is listed as an input, but is not an Input; "
                    "list the Input nodes that it depends on"
                )
            if not self.graph.out_degree(name) and name not in self.outputs:
                raise GraphError(
                    f"{self.name}: no output depends on the input {name!r}; leave it "
                    "out, or connect it"
                )
        for name, data in self.graph.nodes(data=True):
            if isinstance(data["node"].op, Input) and name not in self.inputs:
                raise GraphError(
                    f"{self.name}: the outputs depend on the input {name!r}, which is "
                    f"not listed; inputs are {list(self.inputs)}"
                )
        for what, ends in (("input", self.inputs), ("output", self.outputs)):
            if len(set(ends)) < len(ends):
                raise GraphError(
                    f"{self.name}: an {what} is listed twice: {list(ends)}"
                )

    # -- parameters ---------------------------------------------------------------

    @property
    def params(self) -> dict[str, Param]:
        """Every parameter and buffer that the graph asks for, by name."""
        found: dict[str, Param] = {}
        for name in order(self.graph):
            node = self.graph.nodes[name]["node"]
            if self._owner.get(name, name) == name:
                found |= {f"{name}.{k}": param for k, param in node.spec.theta.items()}
        return found

    @property
    def count(self) -> int:
        """How many numbers are learned: the sizes of all parameters."""
        return sum(entries(p.shape) for p in self.params.values() if not p.buffer)

    @property
    def store(self) -> Store:
        """The memory of all parameters, made when first needed."""
        if self._store is not None and self._version == self.graph.version:
            return self._store
        self._version = self.graph.version
        self._engines, self._ancestors, self._trainer = {}, {}, None
        params = self.params
        if self._store is None or self._store.params != params:
            itemsize = np.dtype(self.dtype).itemsize
            needed = sum(entries(p.shape) for p in params.values()) * itemsize
            affordable(f"{self.name}: parameters", needed)
            fresh = Store(params, self.dtype, self.seed)
            if self._store is not None:  # the graph was changed by hand
                for key in self._store.arrays.keys() & fresh.arrays.keys():
                    fresh.arrays[key][...] = self._store.arrays[key]
            self._store = fresh
        return self._store

    @property
    def parameters(self) -> Values:
        """What is learned, by name: live views."""
        store = self.store
        return Values(store, tuple(store.at))

    @property
    def buffers(self) -> Values:
        """State that no gradient reaches, by name: live views."""
        store = self.store
        return Values(store, tuple(k for k in store.arrays if k not in store.at))

    # -- running ------------------------------------------------------------------

    def __call__(self, *x: np.ndarray, train: bool = False) -> Any:
        """The outputs for a batch: NumPy in, NumPy out.

        With several inputs pass several arrays, or one tuple. With `train` batch norm
        and dropout behave as in training.
        """
        found = self.values(*x, at=self.outputs, train=train)
        y = tuple(found[name] for name in self.outputs)
        return y[0] if self._single[1] else y

    def values(
        self, *x: Any, at: str | Sequence[str], train: bool = False
    ) -> dict[str, np.ndarray]:
        """The values of any nodes for a batch, by name."""
        names = (at,) if isinstance(at, str) else tuple(at)
        given = self._given(x, self._needed(names))
        with self._lock:
            engine = self._engine(names, given, train=train)
            engine.run(given)
            if train:
                self.store.version += 1  # the statistics moved
            outs = zip(names, engine.plan.outputs, strict=True)
            return {name: engine.array(one).copy() for name, one in outs}

    def adjoint(
        self,
        x: Arrays,
        epsilon: Arrays,
        at: str | Sequence[str] | None = None,
        train: bool = False,
        rules: Mapping[str | type[Op], Rule] | None = None,
    ) -> tuple[Any, dict[str, np.ndarray]]:
        """The vector-Jacobian product: delta for the inputs, g by parameter name.

        Parameters
        ----------
        x
            A batch; a tuple where there are several inputs.
        epsilon
            What flows into the outputs: an array of each output's shape.
        at
            Seed epsilon at these nodes instead of the outputs.
        train
            Let batch norm and dropout behave as in training.
        rules
            Other adjoints, by node name or op class: `rule(epsilon, z, x) -> delta`.

        Examples
        --------
        >>> import minidl as dl
        >>> z = dl.Input((3,))
        >>> net = dl.Model(z, dl.relu(z))
        >>> x = np.array([[-1.0, 2.0, 3.0]], "float32")
        >>> net.adjoint(x, np.ones_like(x))[0]
        array([[0., 1., 1.]], dtype=float32)
        """
        names = self.outputs if at is None else (at,) if isinstance(at, str) else (*at,)
        given = self._given(x if isinstance(x, tuple) else (x,), self._needed(names))
        real = [n for n in given if self.graph.nodes[n]["node"].op.dtype == "real"]
        with self._lock:
            engine = self._engine(
                names, given, train=train, adjoint=True, deltas=tuple(real),
                rules=self._rules(rules or {}),
            )
            plan = engine.plan
            seeds = self._seeds(names, epsilon, plan)
            engine.run(given, seeds)
            self.store.version += train
            deltas = {
                n: None if (one := plan.deltas[n]) is None else engine.array(one).copy()
                for n in real
            }
            g = {k: engine.array(one).copy() for k, one in plan.grads.items()}
        for n, value in deltas.items():
            if value is None:  # a view of the seed, or no path at all
                deltas[n] = np.zeros(given[n].shape, self.dtype)
        if self._single[0]:
            return deltas.get(self.inputs[0]), g
        return tuple(deltas.get(n) for n in self.inputs), g

    def plan(
        self,
        batch: int = 1,
        train: bool = False,
        size: tuple[int, ...] | None = None,
    ) -> Plan:
        """The plan for a batch: print it, or read its bytes and MACs.

        With `train` it is the plan of a training step, loss and adjoint included.
        `size` stands for the axes that the input leaves open.
        """
        if train:
            trainer = self.trainer
            return trainer.plan(self._shapes(batch, size, trainer.target))
        return self._compile(self.outputs, self._shapes(batch, size))

    # -- training -----------------------------------------------------------------

    @property
    def trainer(self) -> train.Trainer:
        """The loss and the optimiser; softmax cross-entropy and SGD unless set."""
        store = self.store  # first: a changed graph drops the trainer
        if self._trainer is None or self._trainer.store is not store:
            self._trainer = train.Trainer(self, *self._how)
        return self._trainer

    def compile(
        self,
        loss: str | Callable[..., Node] = "softmax_cross_entropy",
        optimiser: Optimiser | None = None,
        clip: float | None = None,
        average: float | None = None,
        class_weights: Sequence[float] | None = None,
        output_weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> None:
        """Choose how the model learns; what it remembered of earlier steps is gone.

        Parameters
        ----------
        loss
            A name, such as "softmax_cross_entropy", or a function of two nodes.
        optimiser
            `dl.optim.SGD`, `Adam`, `AdamW` or `RMSprop`.
        clip
            The largest norm of the whole gradient; longer ones are scaled down to it.
        average
            The decay of a moving average of the parameters, such as 0.999: validation
            and the end of `fit` use it.
        class_weights
            How much each class counts.
        output_weights
            How much the loss of each output counts, where there are several.
        settings
            Of the loss, such as smoothing=0.1.

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.lenet5(variant="modern")
        >>> net.compile(optimiser=dl.optim.Adam(), clip=1.0, smoothing=0.1)
        """
        how = (
            loss, settings, optimiser or SGD(), clip, average, class_weights,
            output_weights,
        )  # fmt: skip
        self._trainer = train.Trainer(self, *how)
        self._how = how

    def freeze(self, *patterns: str) -> tuple[str, ...]:
        """Let the parameters whose names match no longer learn; their names.

        A node all of whose parameters are frozen also runs in training as at inference:
        a batch norm keeps its statistics. Without a pattern all learn again. What
        `compile` chose stays; the optimiser forgets the steps before.

        Parameters
        ----------
        patterns
            As in a shell: "layer1.*", "conv1.w", "*.beta".

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.lenet5(variant="modern")
        >>> net.freeze("C1.*", "C3.*")
        ('C1.w', 'C1.b', 'C3.w', 'C3.b')
        """
        names = tuple(self.store.at)
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise GraphError(
                    f"{self.name}: no parameter matches {pattern!r}; there are "
                    f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
                )
        found = (n for n in names if any(fnmatch.fnmatchcase(n, p) for p in patterns))
        self.frozen = frozenset(found)
        self._trainer = None
        self._engines = {}
        return tuple(n for n in names if n in self.frozen)

    def train_step(self, x: Arrays, labels: np.ndarray) -> float:
        """One step of training on a batch: forward, adjoint, update. The loss."""
        return self.trainer.step(x if isinstance(x, tuple) else (x,), labels)

    def fit(self, data: Any, epochs: int = 1, **settings: Any) -> fit.History:
        """Train on images and labels; see `minidl.fit.fit` for the settings."""
        return fit.fit(self, data, epochs=epochs, **settings)

    def rewired(self, changes: Mapping[str, Callable[..., Node]]) -> Model:
        """A new model with other nodes in some places, and the parameters of the rest.

        Parameters
        ----------
        changes
            By the name of a node, a function from the nodes that it read to the node
            that takes its place: another head, another input.

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.resnet20()
        >>> five = net.rewired({"fc": lambda z: dl.dense(z, 5)})
        >>> five.freeze("conv1.*", "layer1.*")[:1], five(np.zeros((1, 32, 32, 3))).shape
        (('conv1.w',), (1, 5))
        """
        made = rewired(self.graph, self._owner, changes, self.name)
        outs = [made[name] for name in self.outputs]
        ins = inputs_of(*outs)
        model = Model(
            ins[0] if len(ins) == 1 else ins,
            outs[0] if self._single[1] else outs,
            self.name, self.dtype, self.seed, self.exact,
        )  # fmt: skip
        mine, old = model.store.arrays, self.store.arrays
        for name in mine.keys() & old.keys():
            if name.rpartition(".")[0] not in changes and (
                mine[name].shape == old[name].shape
            ):
                mine[name][...] = old[name]
        model.store.version += 1
        return model

    # -- looking ------------------------------------------------------------------

    def summary(
        self,
        fold: int | None = None,
        batch: int = 1,
        size: tuple[int, ...] | None = None,
    ) -> None:
        """Print the table of nodes: op, output shape, parameters, MACs, bytes kept.

        Equal neighbours are one block, "x 3", of so many levels as `fold` says: None is
        all, 0 none. The costs are for a batch, `size` stands for open axes.
        """
        print(summary(self, fold, batch, size))

    def draw(
        self,
        path: str | Path,
        detail: str = "shapes",
        fold: int | None = None,
        depth: int | None = None,
        columns: int | None = None,
        batch: int = 1,
        size: tuple[int, ...] | None = None,
        view: str = "network",
        train: bool = False,
        at: str | None = None,
        position: Sequence[int] | int | None = None,
    ) -> None:
        """Draw the graph; the suffix chooses the format.

        Parameters
        ----------
        path
            A name that ends in .svg, .pdf, .png (extra `draw`), .tex, .dot, .mmd,
            .graphml or .json.
        detail
            What a box says. "plain": its name, op and settings. "shapes": the shape,
            where it changes, and the parameters too. "full": also MACs, the bytes kept
            for the adjoint, and where the memory of a training step peaks.
        fold
            How many levels of blocks, from the outside, draw equal neighbours once,
            "x 3". None is all of them, 0 draws every node.
        depth
            How many levels of blocks are opened; those deeper are a box. None is all.
        columns
            In how many columns a long picture is drawn. None: as many as suit a page.
        batch, size
            For the costs: how many images, and what stands for open axes.
        view
            What to draw: "network"; "training", each node with its adjoint, what that
            reads and gives; "plan", which buffers are alive at which step and
            where in the arena they lie; "field", what a position of a node sees of the
            input and of every node on the way; "volumes", a chain in perspective. All
            but the network have the formats .svg, .pdf, .png and .tex alone.
        train
            Whether the plan is that of a training step.
        at, position
            Whose field: the name of a node and (row, column); see `receptive_field`.
        """
        if view != "network":
            picture = draw.view(
                self, view, batch=batch, size=size, train=train, at=at,
                position=position, fold=fold, depth=depth,
            )  # fmt: skip
            return draw.write(picture, path)
        draw.write(
            self, path, detail=detail, fold=fold, depth=depth, columns=columns,
            costs=self.costs(batch, size) if detail == "full" else None,
        )  # fmt: skip

    def costs(
        self, batch: int = 1, size: tuple[int, ...] | None = None
    ) -> dict[str, Cost]:
        """What each node costs when an adjoint follows: MACs, bytes kept, the peak."""
        shapes = self._shapes(batch, size)
        plan = self._compile(self.outputs, shapes, train=True, adjoint=True)
        return draw.costs(plan)

    def _repr_svg_(self) -> str:
        """The picture that notebooks show."""
        return draw.encode(self, ".svg").decode()

    def save(self, path: str | Path) -> None:
        """Write graph, parameters and buffers to one .npz; `dl.load` reads it."""
        checkpoint.save(self, path)

    def to_python(self) -> str:
        """The source of a module whose `build()` defines the same graph, with loops
        where it repeats; the weights are not in it.

        Examples
        --------
        >>> import minidl as dl
        >>> z = dl.Input((8, 8, 3), name="image")
        >>> net = dl.Model(z, dl.conv(z, 4, kernel=3, name="C1"), name="net")
        >>> print(net.to_python().partition("build()")[2])
         -> dl.Model:
            ...
            image = dl.Input((8, 8, 3), name="image")
            z = dl.conv(image, 4, kernel=3, name="C1")
            return dl.Model(image, z, name="net")
        <BLANKLINE>
        """
        return python.source(self)

    def to_onnx(self, path: str | Path, external: bool | None = None) -> None:
        """Write graph and weights as an ONNX file (extra `onnx`), for inference.

        Images go in and come out channels first there: n c h w. With `external` the
        weights go into a file beside it, as they do by themselves from 2 GB on.
        """
        from .exchange import onnx

        onnx.write(self, path, external)

    def load_weights(self, path: str | Path, strict: bool = True) -> tuple[str, ...]:
        """Take parameters and buffers from a file, by name.

        Parameters
        ----------
        path
            An .npz or .safetensors: what `save` or `save_weights` wrote, or with the
            names and layouts of torchvision's and timm's checkpoints.
        strict
            Whether every array must be there, and nothing else; otherwise nothing is
            loaded, and the error says what is missing, unknown or misshapen. If False
            what fits is taken, and the rest is returned in words.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import minidl as dl
        >>> net = dl.models.lenet5()
        >>> with TemporaryDirectory() as folder:
        ...     net.save_weights(f"{folder}/w.safetensors")
        ...     dl.models.lenet5(seed=1).load_weights(f"{folder}/w.safetensors")
        ()
        """
        return weights.load(self, path, strict)

    def save_weights(self, path: str | Path) -> None:
        """Write parameters and buffers, without the graph: .npz or .safetensors."""
        weights.write(path, self.store.arrays)

    def __repr__(self) -> str:
        return (
            f"<Model {self.name}: {', '.join(self.inputs)} -> "
            f"{', '.join(self.outputs)}, {len(self.graph)} nodes>"
        )

    # -- inside -------------------------------------------------------------------

    def _shapes(
        self, batch: int, size: tuple[int, ...] | None, without: str = ""
    ) -> dict[str, Shape]:
        """Of a batch at each input but one; `size` stands for open axes."""
        return {
            name: (batch, *filled(name, self.graph.nodes[name]["node"].shape, size))
            for name in self.inputs if name != without
        }

    def _needed(self, names: tuple[str, ...]) -> list[str]:
        """The inputs that these nodes depend on."""
        self.store  # noqa: B018  # a changed graph drops what is known of it
        if names not in self._ancestors:
            self._ancestors[names] = self._find_inputs(names)
        return self._ancestors[names]

    def _find_inputs(self, names: tuple[str, ...]) -> list[str]:
        unknown = [n for n in names if n not in self.graph]
        if unknown or not names:
            raise GraphError(
                f"{self.name}: no node is named {unknown}; nodes: "
                f"{', '.join(list(self.graph)[:40])}"
            )
        need = set(names).union(*(nx.ancestors(self.graph, n) for n in names))
        return [n for n in self.inputs if n in need]

    def _given(
        self, x: tuple[Any, ...], needed: Sequence[str], names: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """The arrays by input name, checked."""
        if len(x) == 1 and isinstance(x[0], tuple):
            x = x[0]
        names = names or self.inputs
        if len(x) != len(names):
            raise DataError(
                f"{self.name}: expected {len(names)} arrays, for "
                f"{', '.join(names)}, got {len(x)}"
            )
        given = {
            name: checked(name, self.graph.nodes[name]["node"], array)
            for name, array in zip(names, x, strict=True)
        }
        if len({len(array) for array in given.values()}) > 1:
            batches = {name: len(array) for name, array in given.items()}
            raise DataError(f"{self.name}: the inputs differ in batch size: {batches}")
        for name, array in given.items():
            if array.dtype.kind != "f":
                check_labels(self.graph, name, array)
        return {name: given[name] for name in needed}

    def _seeds(
        self, names: Sequence[str], epsilon: Any, plan: Plan
    ) -> list[np.ndarray]:
        seeds = (*epsilon,) if isinstance(epsilon, tuple) else (epsilon,)
        if len(seeds) != len(names):
            raise DataError(
                f"{self.name}: expected an epsilon for each of {', '.join(names)}, got "
                f"{len(seeds)}"
            )
        for name, one, seed in zip(names, plan.outputs, seeds, strict=True):
            shape = plan.regions[one].shape
            seed = floats(f"epsilon of {name}", seed)
            if seed.shape != shape:
                raise DataError(
                    f"epsilon of {name}: expected shape {shape}, like the node's x, "
                    f"got {seed.shape}"
                )
        return [np.asarray(seed) for seed in seeds]

    def _rules(self, rules: Mapping[Any, Rule]) -> dict[str, Op]:
        """The ops with another adjoint, by node name."""
        found: dict[str, Op] = {}
        for key, rule in rules.items():
            hit = [
                name for name, data in self.graph.nodes(data=True)
                if key in (name, type(data["node"].op))
            ]
            if not hit:
                raise GraphError(
                    f"{self.name}: no node is, or is named, {key!r} (a rule)"
                )
            for name in hit:
                found[name] = Ruled(self.graph.nodes[name]["node"].op, rule)
        return found

    def _still(self) -> dict[str, Op]:
        """The nodes all of whose parameters are frozen, as they are at inference."""
        found = {}
        for name, data in self.graph.nodes(data=True):
            node = data["node"]
            owner = self._owner.get(name, name)
            learned = [
                f"{owner}.{k}" for k, p in node.spec.theta.items() if not p.buffer
            ]
            if learned and self.frozen.issuperset(learned):
                found[name] = node.op.inference()
        return found

    def _compile(
        self, outputs: Sequence[str], shapes: Mapping[str, Shape], graph: Any = None,
        **how: Any,
    ) -> Plan:
        graph = graph or self.graph
        store_at = {}
        if how.get("adjoint"):
            params, (at, _) = self.params, layout(self.params)
            store_at = {
                k: (params[k].shape, at[k]) for k in at
                if not (how.get("train") and k in self.frozen)
            }
        if how.get("train") and self.frozen:
            how["rules"] = self._still() | (how.get("rules") or {})
        plan = compile(
            graph, self.name, outputs, shapes, self._owner, dtype=self.dtype,
            threads=get_threads(), grads=store_at, exact=self.exact, **how,
        )
        return plan

    def _engine(
        self, outputs: Sequence[str], given: Mapping[str, np.ndarray], **how: Any
    ) -> Engine:
        """The engine for these outputs and shapes; a few are kept."""
        rules = how.get("rules")
        sizes = [array.shape for array in given.values()]
        others = [value for name, value in how.items() if name != "rules"]
        key = (*outputs, *sizes, get_threads(), *others)
        store = self.store
        engine = None if rules else self._engines.get(key)
        if engine is None:
            shapes = {name: array.shape for name, array in given.items()}
            plan = self._compile(outputs, shapes, **how)
            affordable(f"{self.name} at batch {next(iter(shapes.values()))[0]}",
                       plan.bytes)
            engine = Engine(plan, store)
            if not rules:
                while len(self._engines) >= 4:  # least recently made goes first
                    self._engines.pop(next(iter(self._engines)))
                self._engines[key] = engine
        return engine


@dataclass(frozen=True)
class Ruled(Op):
    """An op whose adjoint is another rule: rule(epsilon, z, x) -> delta"""

    op: Op
    rule: Rule

    keeps = ("z", "x")

    def infer(self, *z: Shape) -> Any:
        return self.op.infer(*z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Any:
        return self.op.book(z, x, threads, itemsize)

    def prepare(self, theta: Any) -> Any:
        return self.op.prepare(theta)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return self.op.forward(z, theta, x, tape, scratch)

    def inference(self) -> Op:
        return Ruled(self.op.inference(), self.rule)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        found = self.rule(epsilon, z, x)
        many = isinstance(delta, tuple)
        for into, value in zip(
            delta if many else (delta,), found if many else (found,), strict=True
        ):
            if into is not None:
                into[...] = value
        for into in vars(g).values():  # the rule knows of no parameters
            if into is not None:
                into[...] = 0


def _nodes(what: str, given: Any) -> list[Node]:
    nodes = [given] if isinstance(given, Node) else list(given)
    for one in nodes:
        if not isinstance(one, Node):
            raise GraphError(f"{what}: expected nodes, got {type(one).__name__}")
    if not nodes:
        raise GraphError(f"{what}: expected at least one node")
    return nodes


def load(path: str | Path, ops: Sequence[type[Op]] = ()) -> Model:
    """The model that `model.save` wrote: graph, parameters and buffers.

    Parameters
    ----------
    path
        An .npz that `save` wrote.
    ops
        The classes of ops that are not minidl's own.
    """
    found = checkpoint.load(path, ops)
    model = Model(**found["model"])
    model.classes = found["classes"]
    npz.assign(model.store.arrays, found["arrays"], str(path), model.name)
    model.store.version += 1
    return model


def from_onnx(
    path: str | Path,
    channels: str = "last",
    batch: bool = True,
    size: Sequence[int] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    name: str | None = None,
) -> Model:
    """The model that an ONNX file (extra `onnx`) holds, its weights in place.

    What cannot be imported is named, node by node, before anything is built.

    Parameters
    ----------
    path
        The file; weights outside it are read from its own folder only.
    channels
        "last": images go in and come out as n h w c, as everywhere in minidl. "first":
        all arrays are as the file has them.
    batch
        Whether the first axis of each input is the batch. Otherwise the file says what
        is done to one example, and a batch is put before all its axes.
    size
        What stands for the axes that the file leaves open.
    constants
        Inputs of the file that are always the same, by name.
    name
        The model's name, instead of the graph's.
    """
    from .exchange import onnx

    found = onnx.read(path, channels, batch, size, constants, name)
    model = Model(**found["model"])
    names = {data["node"]: name for name, data in model.graph.nodes(data=True)}
    arrays = model.store.arrays
    for node, theta in found["theta"].items():
        for local, array in theta.items() if node in names else ():
            arrays[f"{names[node]}.{local}"][...] = array
    model.store.version += 1
    return model
