"""What a box says: the name, the op and its settings, shape, parameters, costs."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Node, show
from ..spec import DataError, Shape, entries
from ..table import count as brief, megabytes

LONGEST = 44  # characters of a line; the rest is cut off
UNSAID = ("shape", "init")  # settings: said anyway, and no part of the formula
SIZES = ("filters", "units", "features")  # the shape of x says them
DETAILS = ("plain", "shapes", "full")
# family -> the rooms it is made of. The hues are Okabe and Ito's, which colour-blind
# readers tell apart; `picture` chooses the shades.
FAMILIES = {
    "data": ("graph",),
    "linear": ("connection", "conv", "conv_transpose", "dense", "local"),
    "pool": ("average", "maxout", "pool", "resize", "sumpool"),
    "act": ("activation", "softmax"),
    "norm": ("dropout", "lrn", "norm"),
    "shape": ("arithmetic", "im2col", "layout", "structure"),
    "loss": ("loss", "rbf"),
}
ROOMS = {room: family for family, rooms in FAMILIES.items() for room in rooms}


@dataclass(frozen=True)
class Label:
    """The text of a box: a bold head, what follows it, lines, what hovering shows."""

    head: str
    op: str
    lines: tuple[str, ...]
    family: str
    title: str
    mark: str = ""  # "peak", or what a comparison found


@dataclass(frozen=True)
class Cost:
    """What a node costs in a plan: MACs of the forward pass, bytes kept for later."""

    macs: int = 0
    kept: int = 0
    peak: bool = False


Costs = Mapping[str, Cost]


def label(
    alike: Mapping[str, Node],
    detail: str = "shapes",
    costs: Costs | None = None,
    says: str | None = None,
    owner: str = "",
) -> Label:
    """The label of the first of some nodes, which stands for them all.

    A frame may call it by a shorter name. `owner` is whose parameters it has.
    """
    name, node = next(iter(alike.items()))
    kind = node.op.kind
    axes = max(len(one.shape) for one in (node, *node.inputs)) - 1
    settings = terse(node.op.settings(), axes)
    head = name if says is None else says
    op = settings if head.rstrip("0123456789_") == kind else f"{kind}  {settings}"
    lines = facts(alike, costs or {}, detail, owner)
    return Label(
        clean(head), clean(op.rstrip()), tuple(map(clean, lines)), family(node),
        hover(name, node), mark(alike, costs),
    )  # fmt: skip


def facts(
    alike: Mapping[str, Node], costs: Costs, detail: str, owner: str = ""
) -> list[str]:
    """Shape, parameters, MACs and kept bytes, two to a line.

    With detail "shapes" the shape is said where it changes.
    """
    if detail not in DETAILS:
        raise DataError(
            f"draw: detail: expected one of {', '.join(DETAILS)}, got {detail!r}"
        )
    if detail == "plain":
        return []
    nodes = [*alike.values()]
    known = detail == "shapes" and [one.shape for one in nodes[0].inputs] == [
        nodes[0].shape
    ]
    said = [] if known else [shapes([one.shape for one in nodes])]
    said += theta(nodes, owner)
    if detail == "full":
        said += spent([costs.get(name, Cost()) for name in alike])
    return ["  ·  ".join(said[i : i + 2]) for i in range(0, len(said), 2)]


def spent(costs: Sequence[Cost]) -> list[str]:
    """MACs and kept bytes, as far as there are any."""
    macs, kept = [one.macs for one in costs], [one.kept for one in costs]
    said = [f"{between(macs, brief)} MACs"] if any(macs) else []
    said += [f"keeps {between(kept, megabytes)}"] if any(kept) else []
    return said + ["memory peaks here"] * any(one.peak for one in costs)


def mark(names: Iterable[str], costs: Costs | None) -> str:
    """Whether the memory peaks at one of the nodes."""
    return "peak" if any((costs or {}).get(n, Cost()).peak for n in names) else ""


def block_label(
    title: str, path: Sequence[str], many: int, nodes: Mapping[str, Node],
    detail: str, costs: Costs | None,
) -> Label:  # fmt: skip
    """The label of a block that is not opened; `nodes` are those of all its copies."""
    last = [*nodes.values()][-1]
    each = " in all" if len(nodes) > many else ""
    said = [] if detail == "plain" else [show(last.shape), *total(nodes, detail, costs)]
    said[1:2] = [f"{one}{each}" for one in said[1:2]]
    lines = ["  ·  ".join(said[i : i + 2]) for i in range(0, len(said), 2)]
    count = f"{many} nodes"
    return Label(title or count, count if title else "", tuple(lines), "block",
                 clean(".".join(path) or count), mark(nodes, costs))  # fmt: skip


def total(nodes: Mapping[str, Node], detail: str, costs: Costs | None) -> list[str]:
    """What some nodes hold and spend together."""
    owners = {one.owner: one for one in nodes.values()}
    size = sum(learned(one) for one in owners.values())
    said = [f"{size:,} parameters"] if size else []
    if detail == "full" and costs:
        spend = [costs.get(name, Cost()) for name in nodes]
        said += spent([Cost(sum(one.macs for one in spend),
                            sum(one.kept for one in spend),
                            any(one.peak for one in spend))])  # fmt: skip
    return said


def caption(nodes: Mapping[str, Node], detail: str, costs: Costs | None) -> str:
    """What stands under a picture: the sums over all nodes."""
    said = total(nodes, detail, costs)
    many = f"{len(nodes):,} node{'s' * (len(nodes) != 1)}"
    return "  ·  ".join([many, *(one for one in said if "peaks" not in one)])


def between(values: Sequence[Any], says: Callable[[Any], str] = str) -> str:
    """The least and the largest value, or the only one.

    Examples
    --------
    >>> between([64, 128, 96]), between([3, 3]), between([0, 5])
    ('64…128', '3', 'up to 5')
    """
    low, high = says(min(values)), says(max(values))
    if low == high:
        return low
    return f"{low}…{high}" if min(values) else f"up to {high}"


def shapes(found: Sequence[Shape]) -> str:
    """Shapes that are alike, as one.

    Examples
    --------
    >>> shapes([(56, 56, 64), (56, 56, 96)])
    '56x56x64…96'
    """
    axes = zip(*found, strict=True)
    return "x".join("?" if None in axis else between(axis) for axis in axes) or "scalar"


def family(node: Node) -> str:
    """Which colour it has: that of its op's room."""
    return ROOMS.get(type(node.op).__module__.rpartition(".")[2], "other")


def hover(name: str, node: Node) -> str:
    """The formula and that of the adjoint, and the node's whole name."""
    op = type(node.op)
    formula = " ".join((op.formula or inspect.getdoc(op) or node.op.kind).split())
    return clean(f"{formula}  [{name}: {show(node.shape)}]", len(formula) + 2 * LONGEST)


def learned(node: Node) -> int:
    """How many trainable numbers a node holds."""
    return sum(entries(p.shape) for p in node.spec.theta.values() if not p.buffer)


def theta(nodes: Sequence[Node], owner: str) -> list[str]:
    """How many trainable numbers nodes hold, or whose they use."""
    first = nodes[0]
    if first.owner is not first:
        return [f"shares {owner}"] if first.spec.theta else []
    if not learned(first):
        real = any(p.dtype == "real" for p in first.spec.theta.values())
        return ["fixed"] if real else []
    total = [learned(one) for one in nodes]
    return [f"{between(total, '{:,}'.format)} parameter{'s' * (total != [1])}"]


def terse(settings: Mapping[str, Any], axes: int = 2) -> str:
    """The settings that matter, the window over so many axes first.

    Examples
    --------
    >>> terse({"filters": 6, "kernel": 5, "stride": 2, "pad": "same", "flip": True})
    '5x5/2 same, flip'
    >>> terse({"kernel": (1, 7), "pad": 3, "bias": False}), terse({"rate": 0.5})
    ('1x7 pad 3, no bias', 'rate 0.5')
    """
    given = {k: v for k, v in settings.items() if k not in (*UNSAID, *SIZES)}
    if "kernel" not in given:
        return ", ".join(setting(k, v) for k, v in given.items())
    kernel = given.pop("kernel")
    window = _across(kernel if isinstance(kernel, tuple | list) else (kernel,) * axes)
    if (stride := given.pop("stride", None)) is not None:
        window += f"/{_across(stride) if isinstance(stride, tuple | list) else stride}"
    if pad := given.pop("pad", 0):
        window += f" {pad if isinstance(pad, str) else setting('pad', pad)}"
    return ", ".join([window, *(setting(k, v) for k, v in given.items())])


def _across(sizes: Any) -> str:
    return "x".join(map(str, sizes))


def setting(name: str, value: Any) -> str:
    """A setting as people write it.

    Examples
    --------
    >>> setting("kernel", (5, 5)), setting("pad", "same"), setting("flip", True)
    ('kernel 5x5', 'pad same', 'flip')
    >>> setting("table", ((0, 1), (1, 2), (2,))), setting("slope", 0.1)
    ('table [3]', 'slope 0.1')
    >>> setting("bias", False)
    'no bias'
    """
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, tuple | list):
        flat = all(isinstance(v, int) for v in value) and len(value) <= 4
        return f"{name} {_across(value) if flat else f'[{len(value)}]'}"
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
