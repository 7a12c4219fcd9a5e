"""Statements that are alike but for some values: what repeats, and what changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .text import Expression, Name, literal

LETTERS = "zyxwvutsrqp"  # results, in the order in which they are taken


@dataclass
class Call:
    """One statement: a function of the results `refs` makes the result `id`."""

    id: int
    function: str
    refs: list[int]
    settings: dict[str, Any]
    name: Name | None
    usual: dict[str, Any] = field(default_factory=dict)  # what goes without saying
    bare: frozenset[str] = frozenset()  # settings that go without their key
    many: bool = False  # takes a list
    shares: bool = False  # the last of refs owns its parameters

    @property
    def form(self) -> Any:
        """All but the values of its settings, the numbers in its name and `refs`."""
        parts = self.name and tuple(_text(one) for one in self.name)
        return (
            self.function, self.many, self.shares, len(self.refs), *self.settings,
            self.name is None, parts,
        )


def _text(piece: Any) -> str | None:
    """A piece of a name, unless it is a number."""
    return None if isinstance(piece, int) else literal(piece)


def free(wish: str, taken: Iterable[str]) -> str:
    """A word that is not taken: the wish, or with a number behind it.

    Examples
    --------
    >>> free("filters", ["filters", "filters2"])
    'filters3'
    """
    found, i, busy = wish, 1, set(taken)
    while found in busy:
        i += 1
        found = f"{wish}{i}"
    return found


def united(
    bodies: Sequence[Sequence[Call]], taken: Iterable[str]
) -> tuple[list[Call], dict[str, tuple[Any, ...]]]:
    """One body for several that are alike, and the values of each thing that changes.

    What changes is called like the setting it is, numbers in names i, j, k; two things
    that are always the same are one, and so are numbers that are always as far apart.
    """
    table: dict[str, tuple[Any, ...]] = {}
    known: dict[tuple[bool, tuple[str, ...]], str] = {}

    def said(label: str, column: tuple[Any, ...]) -> Any:
        texts = tuple(map(literal, column))
        if len(set(texts)) == 1:
            return column[0]
        if (not label, texts) in known:
            return Expression(known[not label, texts])
        if not label:
            for one in counters:
                by = {b - a for a, b in zip(table[one], column, strict=True)}
                if len(by) == 1:
                    far = by.pop()
                    return Expression(f"{one} {'-' if far < 0 else '+'} {abs(far)}")
        busy = {*taken, *table}
        if label:
            name = free(label.rstrip("0123456789"), busy)
        else:
            name = next((one for one in "ijk" if one not in busy), free("i", busy))
            counters.append(name)
        table[name] = column
        known[not label, texts] = name
        return Expression(name)

    counters: list[str] = []
    body = []
    for calls in zip(*bodies, strict=True):
        first, settings, name = calls[0], {}, calls[0].name
        if name is not None:
            columns = zip(*(one.name for one in calls if one.name), strict=True)
            name = Name(said("", column) for column in columns)
        for key in first.settings:
            settings[key] = said(key, tuple(one.settings[key] for one in calls))
        body.append(replace(first, settings=settings, name=name))
    return body, table
