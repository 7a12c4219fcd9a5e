"""A network as a function of its inputs and parameters: what every check stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .graph import Node, new_input
from .model import Model
from .spec import ShapeError

Arrays = dict[str, Any]
UNKNOWN = (9, 33, 65, 129, 257)  # tried where a height or width is left open


class Probe:
    """A network in float64 at one point: x and adjoint as functions of a variable.

    The variables are "z" (or "z1", "z2", ...) and the parameters, those of a node alone
    by their `local` names. State that a pass changes (a counter, running statistics) is
    put back after each, so that the network stays one function.
    """

    def __init__(
        self,
        net: Model,
        train: bool,
        rng: Any,
        z: Any = None,
        batch: int = 2,
        local: bool = False,
    ) -> None:
        self.net, self.train = net, train
        self.cut = len(net.outputs[0]) + 1 if local else 0  # off a parameter's name
        self.z = somewhere(net, rng, batch) if z is None else given(z)
        self.state = {name: np.copy(b) for name, b in net.buffers.items()}
        several = len(self.z) > 1
        self.variables: Arrays = {
            f"z{i}" if several else "z": one
            for i, one in enumerate(self.z, 1)
            if one.dtype.kind == "f"
        }
        self.variables |= {k[self.cut :]: v for k, v in net.parameters.items()}

    def _input(self) -> Any:
        return self.z if len(self.z) > 1 else self.z[0]

    def _restore(self) -> None:
        for name, value in self.state.items():
            self.net.buffers[name][...] = value

    def x(self) -> Any:
        """All numbers of all outputs."""
        found = self.net(self._input(), train=self.train)
        self._restore()
        found = found if isinstance(found, tuple) else (found,)
        self.shapes = [np.shape(one) for one in found]
        return np.concatenate([np.ravel(one) for one in found])

    def adjoint(self, epsilon: Any) -> Arrays:
        """J^T epsilon for each variable."""
        ends = np.cumsum([np.prod(s, dtype=int) for s in self.shapes])[:-1]
        parts = np.split(epsilon, ends)
        seeds = tuple(p.reshape(s) for p, s in zip(parts, self.shapes, strict=True))
        delta, g = self.net.adjoint(
            self._input(), seeds if len(seeds) > 1 else seeds[0], train=self.train
        )
        self._restore()
        deltas = delta if isinstance(delta, tuple) else (delta,)
        found = {
            f"z{i}" if len(self.z) > 1 else "z": one for i, one in enumerate(deltas, 1)
        }
        found |= {k[self.cut :]: v for k, v in g.items()}
        return {name: np.array(found[name]) for name in self.variables}

    def moved(self, v: Arrays, t: float) -> Any:
        """x where each variable that v names has moved by t v."""
        start = {name: self.variables[name].copy() for name in v}
        for name, direction in v.items():
            self.variables[name] += t * direction
        found = self.x()
        for name, value in start.items():
            self.variables[name][...] = value
        return found


def slope(x: Callable[[float], Any], first: float = 0.125, rows: int = 20) -> Any:
    """dx/dt at t = 0 from values alone, for every number of x by itself.

    Central differences at steps that halve, extrapolated by Richardson; of all entries
    of that table the one is taken that differs least from its two neighbours, rounding
    included. So smooth numbers get a long step, and those near a kink one that stays on
    their side.

    Examples
    --------
    >>> import numpy as np
    >>> d = slope(lambda t: np.array([np.exp(t), abs(t + 0.01)]))
    >>> bool(np.allclose(d, 1, rtol=1e-12, atol=0))
    True
    """
    above: list[Any] = []
    best: Any = None
    error: Any = None
    for i in range(rows):
        h = first / 2**i
        right, left = x(h), x(-h)
        row = [(right - left) / (2 * h)]
        rounding = np.finfo(float).eps * (abs(right) + abs(left)) / (2 * h)
        for p, old in enumerate(above, 1):
            row.append(row[-1] + (row[-1] - old) / (4**p - 1))
            off = np.maximum(abs(row[p] - row[p - 1]), abs(row[p] - old)) + rounding
            if best is None:
                best, error = row[p], off
            better = off < error
            best, error = np.where(better, row[p], best), np.where(better, off, error)
        above = row
        if best is not None and error.sum() <= 1e-12 * abs(best).sum():
            break
    return best


def given(z: Any) -> tuple[Any, ...]:
    """Copies of the arrays, numbers in float64 and labels as they are."""
    several = z if isinstance(z, tuple) else (z,)
    arrays = (np.asarray(one) for one in several)
    return tuple(
        np.array(one, np.float64 if one.dtype.kind == "f" else one.dtype)
        for one in arrays
    )


def somewhere(net: Model, rng: Any, batch: int) -> tuple[Any, ...]:
    """Random inputs whose numbers keep away from each other and from 0.

    So no step of a difference makes two of them tie. Whole numbers are labels below
    the number of channels of the first input.
    """
    nodes = [net.graph.nodes[name]["node"] for name in net.inputs]
    for unknown in UNKNOWN:
        shapes = [[unknown if s is None else s for s in one.shape] for one in nodes]
        try:
            net.plan(batch, size=(unknown,) * 4)
            break
        except ShapeError:
            continue
    sizes = [batch * int(np.prod(s)) for s in shapes]
    real = [one.spec.dtype == "real" for one in nodes]
    n = sum(s for s, free in zip(sizes, real, strict=True) if free)
    gap = 4 / max(n, 1)
    free = gap * (np.arange(n) - n / 2 + rng.uniform(0.25, 0.75, n))
    free = rng.permutation(free)
    found = []
    for node, shape, count in zip(nodes, shapes, sizes, strict=True):
        if node.spec.dtype == "real":
            values, free = free[:count], free[count:]
        else:
            values = rng.integers(0, max(shapes[0][-1], 1), count)
        kind = "float64" if node.spec.dtype == "real" else node.spec.dtype
        found.append(values.reshape(batch, *shape).astype(kind))
    return tuple(found)


def twin(net: Model) -> Model:
    """The same network in float64, with copies of its parameters and buffers."""
    nodes = net.graph.nodes
    inputs, outputs = (
        [nodes[name]["node"] for name in names] for names in (net.inputs, net.outputs)
    )
    same = Model(inputs, outputs, name=net.name, dtype="float64")
    same.graph = net.graph
    for name, value in net.parameters.items():
        same.parameters[name][...] = value
    for name, value in net.buffers.items():
        same.buffers[name][...] = value
    return same


def alone(node: Node, rng: Any) -> Model:
    """A model of one node, in float64, its parameters moved to where nothing is 0."""
    inputs = []
    for one in node.inputs:
        shape = [UNKNOWN[0] if s is None else s for s in one.shape]
        inputs.append(new_input(shape, dtype=one.spec.dtype))
    net = Model(inputs, Node(node.op, inputs, node.name), dtype="float64")
    for value in net.parameters.values():
        value += rng.uniform(-0.5, 0.5, value.shape)
    return net


def modes(node: Node, rng: Any, z: Any = None) -> Iterator[Probe]:
    """Probes of a node alone: as it trains and, if that differs, as it infers then."""
    net = alone(node, rng)
    probe = Probe(net, True, rng, z, local=True)
    yield probe
    if node.op.inference() != node.op:
        net(*probe.z, train=True)  # running statistics of its own
        yield Probe(net, False, rng, z, local=True)
