"""Diagrams: a graph as a picture or as text; the suffix chooses the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx as nx

from ..files import write_atomic
from ..spec import DataError
from .blocks import Scene, scene
from .changes import changes
from .columns import wrap
from .costs import costs
from .dot import dot
from .label import Cost, caption, clean
from .layout import layout
from .mermaid import mermaid
from .pdf import pdf
from .picture import Picture, paint
from .png import png
from .records import graphml, node_link, records
from .svg import svg
from .tikz import tikz
from .views import view

# what is drawn, what other programs lay out, and the graph as data
PICTURES: dict[str, Callable[[Picture], str | bytes]] = {
    ".svg": svg, ".pdf": pdf, ".png": png, ".tex": tikz,
}  # fmt: skip
SCENES: dict[str, Callable[[Scene, str], str]] = {
    ".dot": dot, ".gv": dot, ".mmd": mermaid,
}  # fmt: skip
RECORDS: dict[str, Callable[[nx.MultiDiGraph], str]] = {
    ".graphml": graphml, ".json": node_link,
}  # fmt: skip
FORMATS = (*PICTURES, *SCENES, *RECORDS)


def picture(
    model: Any,
    detail: str = "shapes",
    fold: int | None = None,
    depth: int | None = None,
    columns: int | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> Picture:
    """The picture of a model, or of its graph."""
    graph = _graph(model)
    shown = scene(graph, detail, fold, depth, costs)
    nodes = {name: data["node"] for name, data in graph.nodes(data=True)}
    return paint(
        wrap(layout(shown), columns), _title(model), caption(nodes, detail, costs)
    )


def encode(
    model: Any,
    suffix: str,
    detail: str = "shapes",
    fold: int | None = None,
    depth: int | None = None,
    columns: int | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> bytes:
    """A model, its graph, or a picture in the format that `suffix` names.

    GraphML and JSON hold all nodes with all that is known of them, however a picture
    would show it.
    """
    suffix, found = suffix.lower(), None
    if suffix in PICTURES:
        if not isinstance(model, Picture):
            model = picture(model, detail, fold, depth, columns, costs)
        found = PICTURES[suffix](model)
    elif isinstance(model, Picture):
        raise DataError(
            f"draw: a picture has no format for the suffix {suffix!r}; choose from "
            f"{', '.join(PICTURES)}"
        )
    elif suffix in SCENES:
        shown = scene(_graph(model), detail, fold, depth, costs)
        found = SCENES[suffix](shown, _title(model))
    elif suffix in RECORDS:
        name = str(model.name or "network")
        found = RECORDS[suffix](records(_graph(model), name, costs))
    else:
        raise DataError(
            f"draw: no format for the suffix {suffix!r}; choose from "
            f"{', '.join(FORMATS)}"
        )
    return found.encode() if isinstance(found, str) else found


def write(model: Any, path: str | os.PathLike[str], **how: Any) -> None:
    """Draw a model, its graph, or a picture into the file `path`; see `encode`."""
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"draw: expected a path, got {type(path).__name__}")
    write_atomic(path, encode(model, Path(os.fsdecode(path)).suffix, **how))


def _graph(model: Any) -> nx.MultiDiGraph:
    return model if isinstance(model, nx.MultiDiGraph) else model.graph


def _title(model: Any) -> str:
    return clean(str(model.name or "network"))


__all__ = [
    "FORMATS", "Picture", "changes", "costs", "encode", "picture", "view", "write",
]  # fmt: skip
