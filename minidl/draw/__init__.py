"""Diagrams: a graph as a picture or as text; the suffix chooses the format."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx

from ..files import write_atomic
from ..spec import DataError
from .blocks import Scene, scene
from .dot import dot
from .label import clean
from .layout import layout
from .picture import paint
from .svg import svg

FORMATS: dict[str, Callable[[Scene, str], str]] = {
    ".svg": lambda scene, title: svg(paint(layout(scene), title)),
    ".dot": dot,
    ".gv": dot,
}


def text(
    model: Any,
    suffix: str,
    detail: str = "shapes",
    fold: int | None = None,
    depth: int | None = None,
) -> str:
    """A model, or its graph, in the format that `suffix` names."""
    if suffix.lower() not in FORMATS:
        raise DataError(
            f"draw: no format for the suffix {suffix!r}; choose from {list(FORMATS)}"
        )
    graph = model if isinstance(model, nx.MultiDiGraph) else model.graph
    title = clean(model.name or "network")
    return FORMATS[suffix.lower()](scene(graph, detail, fold, depth), title)


def write(model: Any, path: str | os.PathLike[str], **how: Any) -> None:
    """Draw a model, or its graph, into the file `path`."""
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"draw: expected a path, got {type(path).__name__}")
    write_atomic(path, text(model, Path(path).suffix, **how).encode())


__all__ = ["FORMATS", "text", "write"]
