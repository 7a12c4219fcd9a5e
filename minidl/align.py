"""Which nodes of two networks belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from .spec import Shape, SizeError

MOST = 40_000_000  # pairs of nodes that are compared
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


Pair = tuple[Item | None, Item | None]


def matched(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
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
