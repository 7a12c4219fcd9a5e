"""A graph with its parameters, that runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np

from ._ext import get_threads
from .compile import compile
from .engine import Engine
from .graph import Input, Node, Op
from .inputs import arrays, filled, seeds, targeted, targets
from .memory import affordable
from .network import build, order
from .plan import Plan
from .rules import Rule, ruled, still
from .spec import DataError, GraphError, Param, Shape, entries
from .store import Store, Values, layout

Arrays = np.ndarray | Sequence[np.ndarray]


class Running:
    """What a Model is before it learns, is drawn or saved: see there."""

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
        self.name, self.dtype, self.seed, self.exact = name, dtype, seed, exact
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
        self._engines, self._ancestors = {}, {}
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
        given = self._given(x, names)
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
        given = self._given(x if isinstance(x, tuple) else (x,), names)
        real = [n for n in given if self.graph.nodes[n]["node"].op.dtype == "real"]
        with self._lock:
            engine = self._engine(
                names, given, train=train, adjoint=True, deltas=tuple(real),
                rules=ruled(self.name, self.graph, rules or {}),
            )
            plan = engine.plan
            shapes = [plan.regions[one].shape for one in plan.outputs]
            engine.run(given, seeds(self.name, names, shapes, epsilon))
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

    # -- inside -------------------------------------------------------------------

    def _shapes(
        self, batch: int, size: tuple[int, ...] | None
    ) -> dict[str, Shape]:
        """Of a batch at each input; `size` stands for open axes, but for a target's."""
        known = targets(self.graph)
        return targeted(self.graph, {
            name: (batch, *filled(name, self.graph.nodes[name]["node"].shape, size))
            for name in self.inputs if name not in known
        })  # fmt: skip

    def _given(self, x: tuple[Any, ...], at: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The arrays, checked, for the inputs that these nodes depend on."""
        self.store  # noqa: B018  # a changed graph drops what is known of it
        if at not in self._ancestors:
            unknown = [n for n in at if n not in self.graph]
            if unknown or not at:
                raise GraphError(
                    f"{self.name}: no node is named {unknown}; nodes: "
                    f"{', '.join(list(self.graph)[:40])}"
                )
            need = set(at).union(*(nx.ancestors(self.graph, n) for n in at))
            self._ancestors[at] = [n for n in self.inputs if n in need]
        given = arrays(self.name, self.graph, self.inputs, x)
        return {name: given[name] for name in self._ancestors[at]}

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
            how["rules"] = still(self.graph, self._owner, self.frozen) | (
                how.get("rules") or {})
        exact = self.exact or os.environ.get("MINIDL_EXACT", "0") not in ("", "0")
        return compile(
            graph, self.name, outputs, shapes, self._owner, dtype=self.dtype,
            threads=get_threads(), grads=store_at, exact=exact, **how,
        )

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


def _nodes(what: str, given: Any) -> list[Node]:
    nodes = [given] if isinstance(given, Node) else list(given)
    for one in nodes:
        if not isinstance(one, Node):
            raise GraphError(f"{what}: expected nodes, got {type(one).__name__}")
    if not nodes:
        raise GraphError(f"{what}: expected at least one node")
    return nodes
