"""What differs between two networks: nodes added, removed, changed; what it costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import draw
from .align import Item, matched
from .draw.label import SIZES, Cost, learned
from .graph import Input, show
from .lines import altered, lines, text
from .network import order, readers
from .plan import Plan
from .spec import DataError, entries
from .table import count, megabytes


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
        return "\n".join([*heads, *text(lines(self.changes))])


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
        pairs = matched([*old.values()], [*new.values()])
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
            says.append(altered(key, one, other))
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
