"""What can be drawn of a model besides its network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..spec import DataError
from .label import clean
from .lifetimes import lifetimes
from .picture import Picture


def plan(model: Any, batch: int, size: Any, train: bool) -> Picture:
    """The lifetimes of all buffers."""
    made = model.plan(batch, train, size)
    images = f"{batch} image{'s' * (batch != 1)}"
    return lifetimes(made, f"{clean(model.name)}: memory for {images}")


VIEWS: dict[str, Callable[..., Picture]] = {"plan": plan}


def view(model: Any, name: str, **how: Any) -> Picture:
    """The picture of a model that is called `name`."""
    if name not in VIEWS:
        raise DataError(
            f"draw: view: expected one of {', '.join(('network', *VIEWS))}, got "
            f"{name!r}"
        )
    return VIEWS[name](model, **how)
