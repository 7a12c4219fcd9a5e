"""Loops for neighbours that are alike: each iteration goes on where the last ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .alike import Call, united

LEAST = 2  # lines that a loop must save
LONGEST = 60  # statements of a body
MOST = 6  # things that change: more are no easier to read
CARRIED = -1  # the result of the iteration before


@dataclass
class Loop:
    """The first iteration, with what changes; it makes the last result of the last."""

    id: int
    entry: int  # what the first iteration has for the one before
    body: list[Call]
    table: dict[str, tuple[Any, ...]]
    count: int

    @property
    def refs(self) -> list[int]:
        """What it reads of others."""
        inside = {CARRIED, *(one.id for one in self.body)}
        refs = [ref for one in self.body for ref in one.refs if ref not in inside]
        return [self.entry, *refs]

    @property
    def saved(self) -> int:
        """Lines; a table of what changes has one for each iteration."""
        rows = self.count if len(self.table) > 1 else 0
        return (self.count - 1) * len(self.body) - 1 - rows

    @property
    def share(self) -> float:
        """Of its iterations written out, how much it saves."""
        return self.saved / (self.count * len(self.body))


Item = Call | Loop


def looped(
    calls: Sequence[Call], ends: Iterable[int], taken: Iterable[str]
) -> list[Item]:
    """The same statements with loops, those first that save the greatest share."""
    numbers: dict[Any, int] = {}
    forms = [numbers.setdefault(one.form, len(numbers)) for one in calls]
    last = {ref: at for at, one in enumerate(calls) for ref in one.refs}
    last |= dict.fromkeys(ends, len(calls))
    found = []
    reach = [0] * len(calls)  # how far shorter loops go from here
    for period in range(1, min(LONGEST, len(calls) // 2) + 1):
        for start in range(len(calls) - 2 * period + 1):
            for count in range(_count(forms, start, period), 1, -1):
                if start + count * period <= reach[start]:
                    break
                end = start + count * period
                loop = _loop(calls[start:end], period, last, end, taken)
                if loop is not None and loop.saved >= LEAST:
                    found.append((-loop.share, start, end, loop))
                    reach[start] = end
                    break
    items: list[Item] = list(calls)
    free = [True] * len(calls)
    best = []
    for _, start, end, loop in sorted(found, key=lambda one: one[:3]):
        if all(free[start:end]):
            free[start:end] = [False] * (end - start)
            best.append((start, end, loop))
    for start, end, loop in sorted(best, key=lambda one: -one[0]):
        items[start:end] = [loop]
    return items


def _count(forms: Sequence[int], start: int, period: int) -> int:
    """How often the forms from `start` on repeat."""
    at = start
    while at + period < len(forms) and forms[at] == forms[at + period]:
        at += 1
    return (at - start) // period + 1


def _loop(
    calls: Sequence[Call], period: int, last: dict[int, int], end: int,
    taken: Iterable[str],
) -> Loop | None:
    """These as a loop, if it says the same."""
    bodies = [calls[at : at + period] for at in range(0, len(calls), period)]
    if any(last[one.id] >= end for one in calls[:-1]):
        return None  # somebody reads what only the last iteration keeps
    entries: set[int] = set()
    refs = [
        [_ref(column, bodies, entries) for column in zip(*rows, strict=True)]
        for rows in zip(*([one.refs for one in body] for body in bodies), strict=True)
    ]
    if len(entries) != 1 or any(None in row for row in refs):
        return None
    body, table = united(bodies, taken)
    if len(table) > MOST:
        return None
    for call, row in zip(body, refs, strict=True):
        call.refs = [one for one in row if one is not None]
    return Loop(calls[-1].id, entries.pop(), body, table, len(bodies))


def _ref(
    column: Sequence[int], bodies: Sequence[Sequence[Call]], entries: set[int]
) -> int | None:
    """What is read here, said once for all iterations."""
    for at, one in enumerate(bodies[0]):
        if one.id == column[0]:
            here = [body[at].id for body in bodies]
            return column[0] if list(column) == here else None
    if list(column[1:]) == [body[-1].id for body in bodies[:-1]]:
        entries.add(column[0])
        return CARRIED
    return column[0] if len(set(column)) == 1 else None
