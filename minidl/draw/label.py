"""What a box says: the name, the op and its settings, the shape, the parameters."""

from __future__ import annotations

import inspect
import unicodedata
from dataclasses import dataclass
from typing import Any

from ..graph import Node, show
from ..spec import entries

LONGEST = 44  # characters of a line; the rest is cut off
UNSAID = ("shape", "init")  # settings: said anyway, and no part of the formula
# family -> the rooms it is made of. The hues are Okabe and Ito's, which colour-blind
# readers tell apart; `svg` and `dot` choose the shades.
FAMILIES = {
    "data": ("graph",),
    "linear": ("connection", "conv", "conv_transpose", "dense", "local"),
    "pool": ("average", "maxout", "pool", "resize", "sumpool"),
    "act": ("activation", "softmax"),
    "norm": ("dropout", "lrn", "norm"),
    "shape": ("arithmetic", "im2col", "layout", "structure"),
    "loss": ("loss", "rbf"),
}


@dataclass(frozen=True)
class Label:
    """The text of a box: a bold line, plain lines, the family, what hovering shows."""

    head: str
    lines: tuple[str, ...]
    family: str
    title: str


def label(name: str, node: Node) -> Label:
    """The label of a node that the graph calls `name`."""
    op = node.op
    given = op.settings().items()
    settings = ", ".join(setting(k, v) for k, v in given if k not in UNSAID)
    theta = f"  ·  {count(node)}" if node.spec.theta else ""
    lines = (f"{op.kind}  {settings}".rstrip(), show(node.shape) + theta)
    room = type(op).__module__.rpartition(".")[2]
    family = next((f for f, rooms in FAMILIES.items() if room in rooms), "other")
    formula = type(op).formula or inspect.getdoc(type(op)) or op.kind
    title = clean(" ".join(formula.split()), len(formula))
    return Label(clean(name), tuple(map(clean, lines)), family, title)


def count(node: Node) -> str:
    """How many trainable numbers a node holds, or whose it uses."""
    if node.owner is not node:
        return f"shares {node.owner.label}"
    total = sum(entries(p.shape) for p in node.spec.theta.values() if not p.buffer)
    if not total:
        return "fixed"
    return f"{total:,} parameter{'s' * (total != 1)}"


def setting(name: str, value: Any) -> str:
    """A setting as people write it.

    Examples
    --------
    >>> setting("kernel", (5, 5)), setting("pad", "same"), setting("flip", True)
    ('kernel 5x5', 'pad same', 'flip')
    >>> setting("table", ((0, 1), (1, 2), (2,))), setting("slope", 0.1)
    ('table [3]', 'slope 0.1')
    """
    if value is True:
        return name
    if isinstance(value, tuple | list):
        flat = all(isinstance(v, int) for v in value) and len(value) <= 4
        return f"{name} {'x'.join(map(str, value)) if flat else f'[{len(value)}]'}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def clean(text: str, longest: int = LONGEST) -> str:
    r"""Text that every format can hold: control characters as Python escapes them.

    Examples
    --------
    >>> print(clean("a\nb\x00"), clean("long " * 20, 10))
    a\nb\x00 long long…
    """
    if len(text) > longest:
        text = text[: longest - 1].rstrip() + "…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def width(text: str, size: float) -> float:
    """An upper bound of the width of sans-serif text (of DejaVu Sans, a wide one)."""
    return size * sum(map(_advance, text))


def _advance(c: str) -> float:
    if unicodedata.east_asian_width(c) in "WF":
        return 1.05
    if c in "mwMWQO@%…—":
        return 1.0
    if c in "iljtfrI.,:;'|!() ·[]":
        return 0.42
    return 0.78 if c.isupper() or not c.isascii() else 0.65
