"""What differs between two networks, in words: a line for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .draw.label import UNSAID, clean, setting
from .graph import show
from .table import count, megabytes

if TYPE_CHECKING:
    from .compare import Change

WIDE = 100  # characters
PERIOD = 40  # lines: the longest pattern whose repeats are looked for
SIGNS = {"added": "+", "removed": "-", "changed": "~", "same": " "}


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


def text(rows: Sequence[Line]) -> Iterator[str]:
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


def altered(key: str, one: Any, other: Any) -> str:
    """A setting that changed, None where it has its default."""
    if one is None:
        return f"+ {setting(key, other)}"
    if other is None:
        return f"- {setting(key, one)}"
    said = [setting(key, value) for value in (one, other)]
    if all(text.startswith(f"{key} ") for text in said):
        return f"{said[0]} -> {said[1].removeprefix(key).lstrip()}"
    return f"{said[0]} -> {said[1]}"


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
