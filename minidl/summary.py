"""A model as a table."""

from __future__ import annotations

from typing import Any

from .draw.label import setting
from .graph import show
from .network import order, readers
from .spec import entries
from .table import count, megabytes, table


def summary(model: Any) -> str:
    """The table of nodes: op, what it reads, output shape, parameters, MACs."""
    open_axes = any(
        None in model.graph.nodes[n]["node"].shape for n in model.graph.nodes
    )
    calls = {} if open_axes else {s.node: s for s in model.plan().steps}
    rows = []
    for name in order(model.graph):
        node = model.graph.nodes[name]["node"]
        own = model._owner.get(name, name) == name
        learned = [p for p in node.spec.theta.values() if own and not p.buffer]
        size = sum(entries(p.shape) for p in learned)
        step = calls.get(name)
        settings = ", ".join(setting(k, v) for k, v in node.op.settings().items())
        sources = ", ".join(readers(model.graph, name))
        rows.append(
            (
                name, f"{node.op.kind} {settings}"[:40].strip(), sources[:24],
                show(node.shape), f"{size:,}" if size else "-",
                count(step.macs) if step and step.macs else "-",
            )
        )
    head = ("node", "op", "reads", "output", "parameters", "MACs")
    total = model.count
    ending = f"{model.name}: {total:,} parameters ({megabytes(4 * total)})"
    if not open_axes:
        plan = model.plan()
        ending += f", {count(plan.macs)} MACs, {megabytes(plan.bytes)} to infer one"
    return f"{table(head, rows)}\n{ending}"
