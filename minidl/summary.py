"""A model as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .draw.blocks import scene
from .draw.fold import Block
from .draw.label import Cost, learned, terse
from .graph import show
from .table import count, megabytes, table

WIDE = 100  # characters
NAMES = 32  # of them for names at most


def summary(
    model: Any,
    fold: int | None = None,
    batch: int = 1,
    size: tuple[int, ...] | None = None,
) -> str:
    """The table of nodes: op, output shape, parameters, MACs, bytes kept.

    A block comes before what is in it, with the sums over all its copies; what is in it
    are the nodes of the first.
    """
    nodes = {name: data["node"] for name, data in model.graph.nodes(data=True)}
    open_axes = any(None in nodes[name].shape for name in model.inputs)
    costs = {} if open_axes and size is None else model.costs(batch, size)
    found = scene(model.graph, "plain", fold)

    def spent(names: Iterable[str]) -> tuple[str, str, str]:
        known = [costs.get(name, Cost()) for name in names]
        size = sum(learned(node) for node in {nodes[one].owner for one in names})
        macs, kept = sum(one.macs for one in known), sum(one.kept for one in known)
        return (
            f"{size:,}" if size else "-", count(macs) if macs else "-",
            megabytes(kept) if kept else "-",
        )

    def rows(block: Block, depth: int) -> Iterator[tuple[str, ...]]:
        for item in block.items:
            if isinstance(item, Block):
                inside = [one for n in item.nodes() for one in found.copies[n]]
                yield "  " * depth + item.title, "", "", *spent(inside)
                yield from rows(item, depth + 1)
                continue
            for name in item:
                node, says = nodes[name], found.labels[name].head
                axes = max(len(one.shape) for one in (node, *node.inputs)) - 1
                op = f"{node.op.kind} {terse(node.op.settings(), axes)}".strip()
                yield "  " * depth + says, op, show(node.shape), *spent([name])

    head = ("node", "op", "output", "parameters", "MACs", "keeps")
    return f"{table(head, fit(head, [*rows(found.root, 0)]))}\n{total(model, costs)}"


def fit(head: Sequence[str], rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Names and ops cut so that the lines are not too long."""
    columns = zip(head[2:], *(row[2:] for row in rows), strict=True)
    rest = WIDE - sum(max(map(len, one)) + 2 for one in columns) - 2
    name = min(max(len(row[0]) for row in rows), NAMES) if rows else 0
    return [(cut(row[0], name), cut(row[1], rest - name), *row[2:]) for row in rows]


def cut(text: str, length: int) -> str:
    """The text, or its beginning and dots."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def total(model: Any, costs: Mapping[str, Cost]) -> str:
    """The last line."""
    said = f"{model.name}: {model.count:,} parameters ({megabytes(4 * model.count)})"
    if costs:
        macs = count(sum(one.macs for one in costs.values()))
        kept = megabytes(sum(one.kept for one in costs.values()))
        said += f", {macs} MACs, {kept} kept for the adjoint"
    return said
