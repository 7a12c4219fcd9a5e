"""Functions for what lies under one name and is alike in several places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .alike import LETTERS, Call, free, united
from .text import Expression, Name

LEAST = 3  # statements of a function
GAIN = 6  # lines that it must save


@dataclass
class Block:
    """A function of results and a name; the last statement makes its own result."""

    function: str
    refs: list[int]  # what it is given
    body: list[Call]
    settings: list[str]


@dataclass
class Group:
    """Neighbours whose names begin alike."""

    prefix: str
    start: int
    calls: list[Call]
    refs: list[int]  # what they read of others

    @property
    def form(self) -> Any:
        """Groups of one form are one function."""
        places = {one: ("outside", at) for at, one in enumerate(self.refs)}
        places |= {one.id: ("inside", at) for at, one in enumerate(self.calls)}
        return tuple(
            (
                one.function, one.many, one.shares, *one.settings,
                text(one)[len(self.prefix):], *(places[ref] for ref in one.refs),
            )
            for one in self.calls
        )


def text(call: Call) -> str:
    """The name of a node."""
    return "".join(map(str, call.name or ()))


def folded(
    calls: list[Call], ends: Iterable[int], taken: set[str]
) -> tuple[list[Call], list[Block]]:
    """The same statements with functions; small ones first, then those made of them.

    `ends` are the results wanted at the end; names of functions are added to `taken`.
    """
    blocks: list[Block] = []
    while True:
        alike: dict[Any, list[Group]] = {}
        for group in _groups(calls, set(ends)):
            alike.setdefault(group.form, []).append(group)
        found = [
            groups for groups in map(_apart, alike.values())
            if _gain(len(groups), len(groups[0].calls)) >= GAIN
        ]
        if not found:
            return calls, blocks
        groups = min(found, key=lambda one: (len(one[0].calls), -len(one)))
        block, made = _block(groups, taken)
        taken.add(block.function)
        blocks.append(block)
        calls = list(calls)
        for group, call in sorted(
            zip(groups, made, strict=True), key=lambda one: -one[0].start
        ):
            calls[group.start : group.start + len(group.calls)] = [call]


def _gain(count: int, size: int) -> int:
    """Lines saved: the head, the end and two empty lines are the price."""
    return count * size - (count + size + 4)


def _groups(calls: Sequence[Call], ends: set[int]) -> list[Group]:
    """All neighbours under one prefix that give one result, their last."""
    places: dict[str, list[int]] = {}
    readers: dict[int, list[int]] = {}
    for at, call in enumerate(calls):
        for ref in call.refs:
            readers.setdefault(ref, []).append(at)
        name = text(call)
        if call.function != "dl.Input":
            for dot in re.finditer(r"\.", name):
                places.setdefault(name[: dot.start()], []).append(at)
    found = []
    for prefix, ats in places.items():
        start, end = ats[0], ats[-1] + 1
        if len(ats) != end - start or len(ats) < LEAST:
            continue
        inside = calls[start:end]
        ids = {one.id for one in inside}
        hidden = [one.id for one in inside[:-1]]
        if any(one in ends or readers.get(one, [end])[-1] >= end for one in hidden):
            continue
        refs = dict.fromkeys(one for call in inside for one in call.refs)
        found.append(
            Group(prefix, start, list(inside), [one for one in refs if one not in ids])
        )
    return found


def _apart(groups: list[Group]) -> list[Group]:
    """Those that do not overlap."""
    found: list[Group] = []
    for group in groups:
        if not found or group.start >= found[-1].start + len(found[-1].calls):
            found.append(group)
    return found


def _block(groups: list[Group], taken: set[str]) -> tuple[Block, list[Call]]:
    """The function, and what calls it in place of each group."""
    name = Expression("name")
    bodies = [
        [
            replace(one, name=Name((name, *Name.of(text(one)[len(group.prefix):]))))
            for one in group.calls
        ]
        for group in groups
    ]
    body, table = united(bodies, {*taken, *LETTERS})
    bare = {
        str(value) for one in body for key, value in one.settings.items()
        if isinstance(value, Expression) and key in one.bare
    }
    order = sorted(table, key=lambda one: one not in bare)
    function = _called(body, [group.prefix for group in groups], taken)
    made = [
        Call(
            group.calls[-1].id, function, group.refs,
            {key: table[key][at] for key in order}, Name.of(group.prefix),
            bare=frozenset(bare),
        )
        for at, group in enumerate(groups)
    ]
    return Block(function, groups[0].refs, body, order), made


def _called(body: Sequence[Call], prefixes: Sequence[str], taken: set[str]) -> str:
    """A short function after its ops; others after the last part of their names with
    letters, if that begins alike: layer, layer_b, layer_c."""
    words = set()
    for prefix in prefixes:
        found = re.findall(r"(?:^|\.)([a-z_]+)", prefix.lower())
        words.add(found[-1] if found else "block")
    word = words.pop() if len(words) == 1 else "block"
    if len(body) == LEAST:
        word = "_".join(one.function.removeprefix("dl.") for one in body)
    wishes = [word, *(f"{word}_{letter}" for letter in "bcdefghij")]
    return next((one for one in wishes if one not in taken), free(word, taken))
