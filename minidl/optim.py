"""How theta follows its gradient: optimisers, each one pass over all parameters."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ._ext import kernels
from .spec import Error, Param, entries

State = dict[str, Any]
PIECE = 8192  # entries that one thread takes at a time


class Pieces(NamedTuple):
    """Entries of the flat arrays, from begin to end, each piece with a weight decay."""

    begin: Any
    end: Any
    decay: Any


def pieces(
    params: Mapping[str, Param],
    at: Mapping[str, int],
    weight_decay: float,
    frozen: Collection[str] = (),
) -> Pieces:
    """The parameters that learn, cut for the threads.

    Weight decay is for what has two axes or more: biases and the scales of norms have
    one and are left alone. The gaps between parameters hold zeros and may be covered.

    Parameters
    ----------
    params, at
        The parameters by name, and the entry at which each begins.
    weight_decay
        Of those with two axes or more.
    frozen
        The names of those that do not learn.
    """
    runs: list[list[Any]] = []
    for name, start in sorted(at.items(), key=lambda pair: pair[1]):
        if name in frozen:
            continue
        shape = params[name].shape
        stop = start + entries(shape)
        decay = weight_decay if len(shape) > 1 else 0.0
        if runs and runs[-1][2] == decay and start - runs[-1][1] < 16:
            runs[-1][1] = stop
        else:
            runs.append([start, stop, decay])
    cut = [
        (i, min(i + PIECE, stop), decay)
        for start, stop, decay in runs
        for i in range(start, stop, PIECE)
    ]
    begin, end, decays = zip(*cut, strict=True) if cut else ((), (), ())
    return Pieces(np.array(begin, "q"), np.array(end, "q"), np.array(decays, "d"))


@dataclass(frozen=True)
class Optimiser:
    """What all have: a learning rate, and a decay of weights (not of biases or norms)

    `now` is an array of four: the learning rate, the factor of the gradient and two
    corrections; a kernel reads it each time it runs.
    """

    lr: float = 0.01
    weight_decay: float = 0.0
    bounds: ClassVar[dict[str, tuple[float, float]]] = {
        "lr": (0, math.inf), "weight_decay": (0, math.inf),
    }  # fmt: skip
    remembers: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, (low, high) in self.bounds.items():
            value = getattr(self, name)
            real = isinstance(value, int | float) and not isinstance(value, bool)
            if not real or not low <= value < high:
                raise Error(f"{kind}: expected {low} <= {name} < {high}, got {value!r}")

    def state(self, size: int, dtype: Any) -> State:
        """What it remembers between steps, for `size` parameters."""
        return {name: np.zeros(size, dtype) for name in self.remembers}

    def begin(self, now: Any, step: int) -> None:
        """Set the corrections for a step, counted from 1."""

    def kernel(self, w: Any, g: Any, state: State, now: Any, of: Pieces) -> Any:
        """A step for some pieces of the flat arrays w and g."""
        raise NotImplementedError(f"{type(self).__name__}.kernel")

    def settings(self) -> dict[str, Any]:
        """Its name and what it was given, as JSON knows them."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"name": type(self).__name__.lower(), **given}


@dataclass(frozen=True)
class SGD(Optimiser):
    """v <- momentum v + g + weight_decay w;   w <- w - lr v

    With `nesterov`, w <- w - lr (momentum v + g + weight_decay w), v the new one.

    Examples
    --------
    >>> from minidl.optim import SGD, Pieces
    >>> import numpy as np
    >>> sgd, w, g = SGD(lr=0.5, momentum=0.5), np.ones(2), np.array([1.0, 2.0])
    >>> every = Pieces(np.array([0]), np.array([2]), np.array([0.0]))
    >>> now = np.array([sgd.lr, 1, 1, 1])
    >>> step = sgd.kernel(w, g, sgd.state(w.size, w.dtype), now, every)
    >>> step(); step(); w
    array([-0.25, -1.5 ])
    """

    momentum: float = 0.9
    nesterov: bool = False
    bounds: ClassVar[dict[str, tuple[float, float]]] = {
        **Optimiser.bounds, "momentum": (0, 1),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise Error("SGD: nesterov looks ahead along v; give momentum > 0")

    def state(self, size: int, dtype: Any) -> dict[str, Any]:
        """The speed v, where there is momentum."""
        return {"v": np.zeros(size, dtype)} if self.momentum else {}

    def kernel(self, w: Any, g: Any, state: State, now: Any, of: Pieces) -> Any:
        """A step for some pieces of the flat arrays w and g."""
        return kernels(w).SgdStep(
            w, g, state.get("v"), now, *of, self.momentum, self.nesterov
        )


@dataclass(frozen=True)
class Adam(Optimiser):
    """u <- a u + (1 - a) g;   v <- b v + (1 - b) g^2

    w <- w - lr (u / (1 - a^t)) / (sqrt(v / (1 - b^t)) + tiny), g with weight_decay w
    added. D. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2015.

    Examples
    --------
    >>> from minidl.optim import Adam
    >>> Adam(lr=0.002).settings()["a"]
    0.9
    """

    lr: float = 0.001
    a: float = 0.9
    b: float = 0.999
    tiny: float = 1e-8
    bounds: ClassVar[dict[str, tuple[float, float]]] = {
        **Optimiser.bounds, "a": (0, 1), "b": (0, 1), "tiny": (0, math.inf),
    }  # fmt: skip
    remembers: ClassVar[tuple[str, ...]] = ("u", "v")
    apart: ClassVar[bool] = False

    def begin(self, now: Any, step: int) -> None:
        """The corrections 1 / (1 - a^t) and 1 / (1 - b^t)."""
        now[2], now[3] = 1 / (1 - self.a**step), 1 / (1 - self.b**step)

    def kernel(self, w: Any, g: Any, state: State, now: Any, of: Pieces) -> Any:
        """A step for some pieces of the flat arrays w and g."""
        return kernels(w).AdamStep(
            w, g, state["u"], state["v"], now, *of, self.a, self.b, self.tiny,
            self.apart,
        )  # fmt: skip


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, but the decay is apart from g: w <- w - lr weight_decay w first

    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    weight_decay: float = 0.01
    apart: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimiser):
    """v <- a v + (1 - a) g^2;   u <- momentum u + g / (sqrt(v) + tiny);   w <- w - lr u

    g with weight_decay w added. T. Tieleman, G. Hinton, Coursera lecture 6.5, 2012.
    """

    lr: float = 0.001
    a: float = 0.99
    momentum: float = 0.0
    tiny: float = 1e-8
    bounds: ClassVar[dict[str, tuple[float, float]]] = {
        **Optimiser.bounds, "a": (0, 1), "momentum": (0, 1), "tiny": (0, math.inf),
    }  # fmt: skip

    def state(self, size: int, dtype: Any) -> dict[str, Any]:
        """The mean square v, and the speed u where there is momentum."""
        names = ("u", "v") if self.momentum else ("v",)
        return {name: np.zeros(size, dtype) for name in names}

    def kernel(self, w: Any, g: Any, state: State, now: Any, of: Pieces) -> Any:
        """A step for some pieces of the flat arrays w and g."""
        return kernels(w).RmsStep(
            w, g, state.get("u"), state["v"], now, *of, self.a, self.momentum,
            self.tiny,
        )  # fmt: skip


OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop,
}


def optimiser(name: str, **settings: Any) -> Optimiser:
    """The optimiser of this name.

    Examples
    --------
    >>> optimiser("sgd", lr=0.1, nesterov=True)
    SGD(lr=0.1, weight_decay=0.0, momentum=0.9, nesterov=True)
    """
    if name not in OPTIMISERS:
        raise Error(f"optimiser: expected one of {', '.join(OPTIMISERS)}, got {name!r}")
    kind = OPTIMISERS[name]
    unknown = settings.keys() - {one.name for one in fields(kind)}
    if unknown:
        known = ", ".join(one.name for one in fields(kind))
        raise Error(f"{name}: unknown {', '.join(sorted(unknown))}; it takes {known}")
    return kind(**settings)
