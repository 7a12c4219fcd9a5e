"""What differs between two networks: nodes added, removed, changed; what it costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx
import numpy as np

from . import draw
from .draw.label import SIZES, UNSAID, Cost, clean, learned, setting
from .graph import Input, show
from .network import order, readers
from .plan import Plan
from .spec import DataError, Shape, SizeError, entries
from .table import count, megabytes

MOST = 40_000_000  # pairs of nodes that are compared
WIDE = 100  # characters
PERIOD = 40  # lines: the longest pattern whose repeats are looked for
SIGNS = {"added": "+", "removed": "-", "changed": "~", "same": " "}
# what makes two nodes one: the kind of op, the name, all settings, the shape
KIND, NAME, SETTINGS, SHAPE = 4, 6, 3, 3


@dataclass(frozen=True)
class Item:
    """A node of one side, as far as it is compared."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    shape: Shape
    reads: tuple[str, ...]
    parameters: int = 0
    macs: int = 0
    kept: int = 0
    shares: str = ""
    theta: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def costs(self) -> tuple[int, int, int]:
        """Parameters, MACs, bytes kept."""
        return self.parameters, self.macs, self.kept


@dataclass(frozen=True)
class Change:
    """One node on both sides, or on one; `says` is in words what changed."""

    what: str  # "added" | "removed" | "changed" | "same"
    old: Item | None
    new: Item | None
    says: tuple[str, ...] = ()

    @property
    def item(self) -> Item:
        """The new one, or what was there."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def name(self) -> str:
        """What it is called now, or was."""
        return self.item.name

    @property
    def renamed(self) -> str:
        """The old and the new name, where they differ."""
        if self.old is None or self.new is None or self.old.name == self.new.name:
            return ""
        return f"{self.old.name} -> {self.new.name}"

    @property
    def deltas(self) -> tuple[int, int, int]:
        """How much more it is now: parameters, MACs, bytes kept."""
        old, new = (one.costs if one else (0, 0, 0) for one in (self.old, self.new))
        return new[0] - old[0], new[1] - old[1], new[2] - old[2]


@dataclass(frozen=True)
class Diff:
    """The nodes of two networks, matched; it is true if they differ.

    Attributes
    ----------
    names
        Of both.
    nodes
        A `Change` for each node, in an order that suits both.
    totals
        For each side parameters, MACs and the bytes that a training step keeps.
    """

    names: tuple[str, str]
    nodes: tuple[Change, ...]
    totals: tuple[tuple[int, int, int], tuple[int, int, int]]

    @property
    def changes(self) -> tuple[Change, ...]:
        """The nodes that differ."""
        return tuple(one for one in self.nodes if one.what != "same")

    def __bool__(self) -> bool:
        return bool(self.changes)

    def json(self) -> dict[str, Any]:
        """The same as plain lists and dicts."""
        heads = ("parameters", "macs", "kept")
        return {
            "old": {"name": self.names[0], **dict(zip(heads, self.totals[0],
                                                      strict=True))},
            "new": {"name": self.names[1], **dict(zip(heads, self.totals[1],
                                                      strict=True))},
            "changes": [
                {
                    "what": one.what,
                    "old": one.old.name if one.old else None,
                    "new": one.new.name if one.new else None,
                    "kind": one.item.kind, "shape": list(one.item.shape),
                    "says": list(one.says),
                    **dict(zip(heads, one.deltas, strict=True)),
                }
                for one in self.changes
            ],
        }  # fmt: skip

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draw both networks in one picture: .svg, .pdf, .png or .tex."""
        draw.write(draw.changes(self), path)

    def __str__(self) -> str:
        heads = [
            f"{sign} {name}: {p:,} parameters, {count(macs)} MACs, {megabytes(kept)} "
            "kept for the adjoint"
            for sign, name, (p, macs, kept) in zip(
                ("---", "+++"), self.names, self.totals, strict=True
            )
        ]  # fmt: skip
        return "\n".join([*heads, *_table(lines(self.changes))])


def diff(
    a: Any, b: Any, batch: int = 1, size: tuple[int, ...] | None = None
) -> Diff:
    """What differs from one network to another.

    Nodes are matched in order, so that names, kinds of op, settings and shapes agree as
    much as can be: what has another name alone has changed in its name.

    Parameters
    ----------
    a, b
        Two models, or a model and a plan of it: what became of its nodes.
    batch, size
        For the costs: how many images, and what stands for open axes.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((8, 8, 3), name="image")
    >>> a = dl.Model(z, dl.relu(dl.conv(z, 4, 3, name="C1"), name="A"), name="a")
    >>> b = dl.Model(z, dl.relu(dl.conv(z, 4, 5, name="C1"), name="B"), name="b")
    >>> print(dl.diff(a, b))
    --- a: 112 parameters, 3,888 MACs, 576 B kept for the adjoint
    +++ b: 304 parameters, 4,800 MACs, 256 B kept for the adjoint
                                         parameters  MACs    kept
    ~ C1  kernel 3 -> 5, 6x6x4 -> 4x4x4        +192  +912  -320 B
    ~ B   A -> B, 6x6x4 -> 4x4x4                  -     -       -
    >>> bool(dl.diff(a, a))
    False
    """
    old, new = (_items(one, batch, size, other) for one, other in ((a, b), (b, a)))
    if isinstance(a, Plan) or isinstance(b, Plan):
        old, new = _comparable(old, new)
        alike = {name: (old.get(name), new.get(name)) for name in (*old, *new)}
        pairs = [*alike.values()]
    else:
        pairs = _matched([*old.values()], [*new.values()])
    to = {p.name: q.name for p, q in pairs if p and q}
    nodes = tuple(_change(p, q, to, old, new) for p, q in pairs)
    names = tuple(f"{one.name}{' as planned' * isinstance(one, Plan)}"
                  for one in (a, b))  # fmt: skip
    return Diff((names[0], names[1]), nodes, (_sums(old), _sums(new)))


def _sums(side: Mapping[str, Item]) -> tuple[int, int, int]:
    costs = [one.costs for one in side.values()]
    return sum(c[0] for c in costs), sum(c[1] for c in costs), sum(c[2] for c in costs)


def _items(
    model: Any, batch: int, size: tuple[int, ...] | None, owner: Any
) -> dict[str, Item]:
    """The nodes of a model, or the steps of a plan."""
    if isinstance(model, Plan):
        return _planned(model, owner)
    if not hasattr(model, "graph") or not hasattr(model, "costs"):
        raise DataError(
            f"diff: expected a model or a plan, got {type(model).__name__}"
        )
    graph = model.graph
    costs = model.costs(batch, size)
    found = {}
    for name in order(graph):
        node, cost = graph.nodes[name]["node"], costs.get(name, Cost())
        mine = node.owner is node
        found[name] = Item(
            name, node.op.kind, _settings(node.op), node.shape,
            tuple(readers(graph, name)), learned(node) if mine else 0, cost.macs,
            cost.kept, "" if mine else model._owner[name],
            {k: param.shape for k, param in node.spec.theta.items()},
        )  # fmt: skip
    return found


def _settings(op: Any) -> dict[str, Any]:
    """The settings; what an Input is of is its shape, which is compared by itself."""
    return {} if isinstance(op, Input) else op.settings()


def _planned(plan: Plan, owner: Any) -> dict[str, Item]:
    """The forward steps of a plan by the nodes that they compute, for one image."""
    params = getattr(owner, "params", {})
    costs = draw.costs(plan)
    made = {region: name for name, region in plan.inputs.items()}
    found = {
        name: Item(name, "input", {}, plan.regions[region].shape[1:], ())
        for region, name in made.items()
    }

    def source(region: int) -> str:
        while region not in made and plan.regions[region].of is not None:
            region = plan.regions[region].of  # type: ignore[assignment]
        return made.get(region, plan.regions[region].name)

    for step in plan.steps:
        if step.do != "forward" or step.op is None or step.x is None:
            continue
        thetas = [step.theta, *(joined.theta for joined in step.tail)]
        keys = {k for theta in thetas for k in theta.values() if isinstance(k, str)}
        size = sum(
            entries(params[k].shape) for k in keys
            if k in params and not params[k].buffer
        )  # fmt: skip
        others = [one for one in step.others() if one is not None]
        settings = _settings(step.op)
        if step.tail:
            settings["then"] = " + ".join(joined.op.kind for joined in step.tail)
        if step.how:
            settings["by"] = step.how
        shape = plan.regions[step.x].shape
        cost = costs[step.node]
        found[step.node] = Item(
            step.node, step.op.kind, settings, shape[1:],
            tuple(map(source, (*step.z, *others))), size, cost.macs, cost.kept,
        )  # fmt: skip
        made[step.x] = step.node
    return found


def _comparable(
    old: dict[str, Item], new: dict[str, Item]
) -> tuple[dict[str, Item], dict[str, Item]]:
    """Without the bytes for the adjoint where one side has no adjoint."""
    if all(any(one.kept for one in side.values()) for side in (old, new)):
        return old, new
    return tuple(  # type: ignore[return-value]
        {name: replace(one, kept=0, theta={}) for name, one in side.items()}
        for side in (old, new)
    )


Pair = tuple[Item | None, Item | None]


def _matched(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
    """Both in one order, those that belong together as one."""
    start = 0
    while start < min(len(a), len(b)) and _alike(a[start], b[start]):
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and _alike(a[-1 - end], b[-1 - end]):
        end += 1
    left, right = a[start : len(a) - end], b[start : len(b) - end]
    inner = _aligned(left, right)
    pairs: list[Pair] = [*zip(a[:start], b[:start], strict=True), *inner]
    pairs += zip(a[len(a) - end :], b[len(b) - end :], strict=True)
    return _reunited(pairs)


def _alike(p: Item, q: Item) -> bool:
    return (p.name, p.kind, p.shape, p.settings) == (
        q.name, q.kind, q.shape, q.settings,
    )  # fmt: skip


def _aligned(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
    """The alignment in which most agrees: what one side has alone costs nothing."""
    if len(a) * len(b) > MOST:
        raise SizeError(
            f"diff: {len(a):,} and {len(b):,} nodes differ, which are too many to match"
        )
    codes: dict[Any, int] = {}

    def coded(side: Sequence[Item], what: str) -> np.ndarray:
        values = ((what, repr(getattr(one, what))) for one in side)
        return np.array([codes.setdefault(v, len(codes)) for v in values], np.int64)

    best = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    ours, theirs = (
        {what: coded(side, what) for what in ("name", "kind", "settings", "shape")}
        for side in (a, b)
    )

    def score(i: int) -> np.ndarray:
        same = {what: theirs[what] == ours[what][i] for what in ours}
        kind = KIND + SETTINGS * same["settings"] + SHAPE * same["shape"]
        return NAME * same["name"] + np.where(same["kind"], kind, -KIND)

    for i in range(len(a)):
        together = best[i, :-1] + np.maximum(score(i), 0)
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], together))
    pairs: list[Pair] = []
    i, j = len(a), len(b)
    while i and j:
        if best[i, j] == best[i, j - 1]:
            j -= 1
            pairs.append((None, b[j]))
        elif best[i, j] == best[i - 1, j]:
            i -= 1
            pairs.append((a[i], None))
        else:
            i, j = i - 1, j - 1
            pairs.append((a[i], b[j]))
    pairs += [(None, one) for one in reversed(b[:j])]
    pairs += [(one, None) for one in reversed(a[:i])]
    return pairs[::-1]


def _reunited(pairs: list[Pair]) -> list[Pair]:
    """Those of one name and kind that stand elsewhere are one, if no cycle arises."""
    gone = {p.name: p for p, q in pairs if p and not q}
    moved = {q.name: gone[q.name] for p, q in pairs if q and not p
             and q.name in gone and gone[q.name].kind == q.kind}  # fmt: skip
    if not moved:
        return pairs
    found = [
        (moved.get(q.name) if q and not p else p, q) for p, q in pairs
        if q or not p or p.name not in moved
    ]  # fmt: skip
    union = nx.DiGraph()
    to = {p.name: q.name for p, q in found if p and q}
    for p, q in found:
        for one in (q.reads if q else ()):
            union.add_edge(("new", one), ("new", q.name if q else ""))
        for one in (p.reads if p else ()):
            ends = [("new", to[n]) if n in to else ("old", n)
                    for n in (one, p.name if p else "")]  # fmt: skip
            union.add_edge(*ends)
    return found if nx.is_directed_acyclic_graph(union) else pairs


def _change(
    p: Item | None, q: Item | None, to: Mapping[str, str],
    old: Mapping[str, Item], new: Mapping[str, Item],
) -> Change:  # fmt: skip
    """What became of a node."""
    if p is None or q is None:
        return Change("added" if p is None else "removed", p, q)
    says = list(filter(None, [Change("", p, q).renamed]))
    says += [f"{p.kind} -> {q.kind}"] if p.kind != q.kind else []
    for key in dict.fromkeys((*p.settings, *q.settings)):
        one, other = p.settings.get(key), q.settings.get(key)
        if one != other and not (key in SIZES and p.shape != q.shape):
            says.append(_setting(key, one, other))
    says += [f"{show(p.shape)} -> {show(q.shape)}"] if p.shape != q.shape else []
    if not says:
        says = [f"{k} {show(p.theta[k])} -> {show(q.theta[k])}" for k in p.theta
                if k in q.theta and p.theta[k] != q.theta[k]]  # fmt: skip
    if to.get(p.shares, p.shares) != q.shares:
        says.append(f"shares {p.shares or 'nothing'} -> {q.shares or 'nothing'}")
    if not _wired(p, q, to, old, new):
        one, other = (", ".join(side.reads) or "nothing" for side in (p, q))
        says.append(f"reads {other}, before {one}")
    what = "changed" if says or p.costs != q.costs else "same"
    return Change(what, p, q, tuple(says))


def _setting(key: str, one: Any, other: Any) -> str:
    """A setting that changed, None where it has its default."""
    if one is None:
        return f"+ {setting(key, other)}"
    if other is None:
        return f"- {setting(key, one)}"
    said = [setting(key, value) for value in (one, other)]
    if all(text.startswith(f"{key} ") for text in said):
        return f"{said[0]} -> {said[1].removeprefix(key).lstrip()}"
    return f"{said[0]} -> {said[1]}"


def _wired(
    p: Item, q: Item, to: Mapping[str, str],
    old: Mapping[str, Item], new: Mapping[str, Item],
) -> bool:  # fmt: skip
    """Whether both read the same, but for nodes put between or taken out."""
    came = {name: new[name] for name in new.keys() - set(to.values())}
    gone = {name: old[name] for name in old.keys() - to.keys()}

    def origins(name: str, alone: Mapping[str, Item]) -> set[str]:
        found, stack = set(), [name]
        seen = set()
        while stack:
            one = stack.pop()
            if one in seen:
                continue
            seen.add(one)
            if one in alone:
                stack += alone[one].reads
            else:
                found.add(one)
        return found

    before = [{to.get(n, n) for n in origins(one, gone)} for one in p.reads]
    after = [origins(one, came) for one in q.reads]
    if len(before) == len(after):
        return all(x & y or x == y for x, y in zip(before, after, strict=True))
    return set().union(*before) == set().union(*after)


@dataclass
class Line:
    """A line of the text: what one change is, or many alike ones."""

    key: Any  # equal for those that are drawn as one
    sign: str
    names: list[str]
    what: str
    deltas: tuple[int, ...]


def lines(changes: Sequence[Change]) -> list[Line]:
    """The changes: blocks that came or went as one line, repeats once."""
    found = []
    for block, part in _blocks(changes):
        first, sign = part[0], SIGNS[part[0].what]
        deltas = tuple(map(sum, zip(*(one.deltas for one in part), strict=True)))
        item, name, local = first.item, first.name, first.name.rpartition(".")[2]
        key: Any
        if block:
            name, what = block, f"{len(part)} nodes, {show(part[-1].item.shape)}"
            key = [(one.item.kind, one.item.shape) for one in part]
        elif first.what == "changed":
            what = ", ".join(first.says) or "costs"
            same = [one for one in first.says if one != first.renamed]
            key = (local if same or not first.says else "", same)
        else:
            said = [setting(k, v) for k, v in item.settings.items() if k not in UNSAID]
            what = f"{item.kind} {', '.join(said)}".strip() + f", {show(item.shape)}"
            key = what
        found.append(Line((sign, bool(block), key), sign, [name], what, deltas))
    return _folded(found)


def _folded(rows: list[Line]) -> list[Line]:
    """Windows of lines that come again one after the other, once."""
    found: list[Line] = []
    i = 0
    while i < len(rows):
        best = (0, 1, 1)  # lines saved, the window's length, how often
        for period in range(1, min(PERIOD, (len(rows) - i) // 2) + 1):
            end = i + period
            while end < len(rows) and rows[end].key == rows[end - period].key:
                end += 1
            times = (end - i) // period
            best = max(best, ((times - 1) * period, period, times),
                       key=lambda one: (one[0], -one[1]))  # fmt: skip
        _, period, times = best
        for k in range(i, i + period):
            alike = rows[k : k + times * period : period]
            deltas = tuple(map(sum, zip(*(one.deltas for one in alike), strict=True)))
            names = [name for one in alike for name in one.names]
            first = rows[k]
            found.append(Line(first.key, first.sign, names, first.what, deltas))
        i += period * times
    return found


def _blocks(
    changes: Sequence[Change],
) -> Iterator[tuple[str, list[Change]]]:
    """Changes in groups: all that came, or went, under one name."""
    i = 0
    while i < len(changes):
        first = changes[i]
        parts = first.name.split(".")[:-1]
        best: tuple[str, int] = ("", 1)
        if first.what in ("added", "removed"):
            end = i
            while end < len(changes) and changes[end].what == first.what:
                end += 1
            for depth in range(len(parts), 0, -1):
                block = ".".join(parts[:depth])
                inside = [one.name.startswith(block + ".") for one in changes[i:end]]
                many = inside.index(False) if False in inside else len(inside)
                whole = sum(one.name.startswith(block + ".") for one in changes)
                if many == whole > best[1]:
                    best = block, many
                    break
        yield best[0], list(changes[i : i + best[1]])
        i += best[1]


def _table(rows: Sequence[Line]) -> Iterator[str]:
    """Aligned, in lines that are not too long."""
    if not rows:
        return
    says = (lambda n: f"{n:,}", count, megabytes)
    cells = [
        ("", "parameters", "MACs", "kept"),
        *(
            (one.sign, *(more(*each) for each in zip(one.deltas, says, strict=True)))
            for one in rows
        ),
    ]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = [("", "")]
    for one in rows:
        times = f"x {len(one.names)}  " if len(one.names) > 1 else ""
        texts.append((span(one.names), times + one.what))
    rest = WIDE - sum(wide) - 2 * len(wide) - 1
    first = min(max(len(name) for name, _ in texts), rest * 2 // 5)
    second = min(max(len(what) for _, what in texts), rest - first)
    for (sign, *numbers), (name, what) in zip(cells, texts, strict=True):
        said = f"{sign:<{wide[0]}} {_cut(name, first, True):<{first}}"
        said += f"  {_cut(what, second):<{second}}"
        right = (f"{c:>{w}}" for c, w in zip(numbers, wide[1:], strict=True))
        yield "  ".join([said, *right])


def _cut(text: str, length: int, end: bool = False) -> str:
    """The text, or its beginning, or its end, and dots."""
    text = clean(text, 10 * WIDE)
    if len(text) <= length:
        return text
    return f"…{text[1 - length :]}" if end else f"{text[: length - 1]}…"


def span(names: Sequence[str]) -> str:
    """From which name to which.

    Examples
    --------
    >>> span(["a.0.c", "a.1.c", "a.2.c"]), span(["a", "b"]), span(["a"])
    ('a.0…2.c', 'a…b', 'a')
    """
    first, last = (names[i].split(".") for i in (0, -1))
    if len(names) > 1 and len(first) == len(last):
        parts = [p if p == q else f"{p}…{q}" for p, q in zip(first, last, strict=True)]
        if sum(p != q for p, q in zip(first, last, strict=True)) == 1:
            return ".".join(parts)
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def more(n: int, says: Callable[[int], str]) -> str:
    """A difference with its sign.

    Examples
    --------
    >>> more(1500, megabytes), more(-3, count), more(0, count)
    ('+1.5 kB', '-3', '-')
    """
    return "-" if not n else f"{'+' if n > 0 else '-'}{says(abs(n))}"
