"""Blocks of nodes, and repeats folded: neighbours of equal structure are drawn once.

Windows of items are equal if their ops, what reads what and the sizes of their images
are; the numbers of channels may differ, as they do where concatenation adds to them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

from .label import clean

PERIOD = 40  # items: the longest pattern whose repeats are looked for
TRIES = 4  # of these patterns, the largest first

Id = Any  # a node's name, or the path of a block that is closed
Kinds = Mapping[Id, Hashable]
Reads = Mapping[Id, Sequence[Id]]


@dataclass(frozen=True)
class Block:
    """Stacks of nodes and further blocks, in topological order."""

    path: tuple[str, ...]
    items: tuple[Block | tuple[Id, ...], ...]
    times: int = 1
    parts: int = 1  # of the path that its name is made of

    def nodes(self) -> Iterator[Id]:
        """All nodes inside, in order."""
        for item in self.items:
            yield from stack(item)

    @property
    def title(self) -> str:
        """The last parts of its path, not a number alone, and how often it is there."""
        first = max(len(self.path) - self.parts, 0)
        if first and self.path[first].isdigit():
            first -= 1
        name = ".".join(self.path[first:])
        return clean(f"{name}  x {self.times}".strip() if self.times > 1 else name, 30)


def stack(item: Block | tuple[Id, ...]) -> tuple[Id, ...]:
    """The nodes of an item, in order."""
    return tuple(item.nodes()) if isinstance(item, Block) else item


def _structure(
    nodes: Sequence[Id], kinds: Kinds, reads: Reads
) -> tuple[Hashable, list[Id]]:
    """What makes two windows equal, and what this one reads from outside, in order."""
    at = {name: i for i, name in enumerate(nodes)}
    outside: dict[Id, int] = {}
    found = []
    for name in nodes:
        sources = tuple(
            at[s] if s in at else -1 - outside.setdefault(s, len(outside))
            for s in reads[name]
        )
        found.append((kinds[name], sources))
    return tuple(found), [*outside]


def fold(
    block: Block, kinds: Kinds, reads: Reads, levels: int | None, stands: dict[Id, Id]
) -> Block:
    """Runs of equal windows of items, each drawn once; `stands` says who for whom."""
    items, n = block.items, len(block.items)
    inside = [stack(item) for item in items]
    numbers: dict[Hashable, int] = {}
    sort = [
        numbers.setdefault(_structure(nodes, kinds, reads)[0], len(numbers))
        for nodes in inside
    ]
    home = {name: k for k, nodes in enumerate(inside) for name in nodes}
    sources = [  # of each item, as items
        {home[s] for name in nodes for s in reads[name] if s in home}
        for nodes in inside
    ]

    def linked(i: int, period: int) -> bool:
        """Whether the second of two windows reads the first."""
        second = sources[i + period : i + 2 * period]
        return any(i <= s < i + period for found in second for s in found)

    runs: list[list[tuple[int, int]]] = [[] for _ in items]  # that begin here
    for period in range(1, min(PERIOD, n // 2) + 1):
        run = 0
        for i in range(n - period - 1, -1, -1):
            run = run + 1 if sort[i] == sort[i + period] else 0
            if run >= period and linked(i, period):
                runs[i].append((run // period + 1, period))
    users: dict[Id, list[Id]] = {}
    for name in (one for nodes in inside for one in nodes):
        for source in reads[name]:
            users.setdefault(source, []).append(name)
    found: list[Block | tuple[Id, ...]] = []
    deeper = None if levels is None else levels - 1
    i = 0
    while i < n:
        times, period = 1, 1
        for count, step in sorted(runs[i], key=lambda r: (r[1] - r[0] * r[1], r[1]))[
            :TRIES
        ]:
            windows = (
                [x for nodes in inside[k : k + step] for x in nodes]
                for k in range(i, i + count * step, step)
            )
            if (alike := _alike(windows, kinds, reads, users)) > 1:
                times, period = alike, step
                break
        first = [x for nodes in inside[i : i + period] for x in nodes]
        for k in range(i + period, i + times * period, period):
            copy = [x for nodes in inside[k : k + period] for x in nodes]
            stands.update(zip(copy, first, strict=True))
        item = items[i]
        if period > 1:
            item = Block((*block.path, ""), items[i : i + period])
        if isinstance(item, Block) and levels != 1:
            item = fold(item, kinds, reads, deeper, stands)
        if times > 1:
            if not isinstance(item, Block) or item.times > 1:
                item = Block((*block.path, ""), (item,))
            item = replace(item, times=times)
        found.append(item)
        i += times * period
    return replace(block, items=tuple(found))


def _alike(
    windows: Iterator[Sequence[Id]], kinds: Kinds, reads: Reads,
    users: Mapping[Id, Sequence[Id]],
) -> int:  # fmt: skip
    """How many of the windows follow each other, each read by the next alone."""
    links: list[Id] | None = None
    count, first, given = 0, None, []
    for before, here in pairwise(chain([[]], windows)):
        same, outside = _structure(here, kinds, reads)
        if not count:
            first, given, count = same, outside, 1
            continue
        at = {name: i for i, name in enumerate(before)}
        allowed = {*before, *here}
        alone = all(u in allowed for name in before for u in users.get(name, ()))
        link = [at.get(o, (o,)) for o in outside]
        if (
            same != first or not alone or links not in (None, link)
            or all(isinstance(one, tuple) for one in link)
            or any(o not in at and o != z for o, z in zip(outside, given, strict=True))
        ):
            break
        links, count = link, count + 1
    return count


def stand(name: Id, stands: Mapping[Id, Id]) -> Id:
    while name in stands:
        name = stands[name]
    return name
