"""A row of the table of rooms: what every check over all ops needs to know of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..graph import Op
from ..spec import Shape


@dataclass(frozen=True)
class Case:
    """One way to use an op: the shapes of its inputs and the settings."""

    shapes: tuple[Shape, ...]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One op: its class, the function users call, and cases on awkward shapes.

    `build(*nodes, **settings)` makes the node; where an op takes a list of nodes
    `variadic` is set and it is called as `build([nodes], **settings)`. `labels` says
    that the last input holds class numbers below that many. `range` limits the random
    values of the inputs.
    """

    op: type[Op]
    build: Callable[..., Any]
    cases: tuple[Case, ...]
    variadic: bool = False
    labels: int = 0
    range: tuple[float, float] = (-2.0, 2.0)
