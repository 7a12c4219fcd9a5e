"""What can be drawn of a model besides its network."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from ..field import receptive_field
from ..spec import DataError
from .label import clean
from .lifetimes import lifetimes
from .picture import Picture
from .sight import sight
from .training import training
from .volumes import volumes


def step(
    model: Any, batch: int = 1, size: Any = None, fold: Any = None, depth: Any = None
) -> Picture:
    """A training step: nodes and their adjoints."""
    made = model.plan(batch, True, size)
    return training(model, made, model.trainer.graph, fold, depth)


def plan(
    model: Any, batch: int = 1, size: Any = None, train: bool = False
) -> Picture:
    """The lifetimes of all buffers."""
    made = model.plan(batch, train, size)
    images = f"{batch} image{'s' * (batch != 1)}"
    return lifetimes(made, f"{clean(model.name)}: memory for {images}")


def field(
    model: Any, size: Any = None, at: Any = None, position: Any = None
) -> Picture:
    """What a position of a node sees."""
    return sight(model, receptive_field(model, at, position, size))


def chain(model: Any, size: Any = None) -> Picture:
    """The values of a chain in perspective."""
    return volumes(model, size)


VIEWS: dict[str, Callable[..., Picture]] = {
    "training": step, "plan": plan, "field": field, "volumes": chain,
}  # fmt: skip


def view(model: Any, name: str, **how: Any) -> Picture:
    """The picture of a model that is called `name`."""
    if name not in VIEWS:
        raise DataError(
            f"draw: view: expected one of {', '.join(('network', *VIEWS))}, got "
            f"{name!r}"
        )
    make = VIEWS[name]
    known = signature(make).parameters
    given = {key: value for key, value in how.items() if value is not None}
    for key in ("at", "position"):
        if key in given and key not in known:
            raise DataError(f"draw: the view {name!r} has no setting {key!r}")
    return make(model, **{k: v for k, v in given.items() if k in known})
