"""Python source: values, names that count, calls of at most 88 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from math import inf, isnan
from typing import Any

import numpy as np

from .. import init
from ..spec import DataError

WIDE = 88  # columns


class Expression(str):
    """What stands for a value: a variable, or one and a number."""


class Name(tuple[Any, ...]):
    """A name in pieces: text, numbers that may count, and expressions.

    Examples
    --------
    >>> Name.of("layer1.0.conv"), Name.of("a007")
    (('layer', 1, '.', 0, '.conv'), ('a007',))
    >>> literal(Name(("layer", 1, ".", Expression("i"), ".conv")))
    'f"layer1.{i}.conv"'
    """

    @classmethod
    def of(cls, name: str) -> Name:
        """The numbers in it are those that are written as Python would."""
        found: list[Any] = [""]
        for part in re.split(r"([0-9]+)", name):
            if part.isdecimal() and str(int(part)) == part:
                found += [int(part), ""]
            else:
                found[-1] += part
        return cls(one for one in found if one != "")


def literal(value: Any) -> str:
    """A value as Python says it.

    Examples
    --------
    >>> literal((1, 0.5)), literal("a"), literal(float("inf"))
    ('(1, 0.5)', '"a"', 'float("inf")')
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        return f'"{escaped(value)}"'
    if isinstance(value, Name):
        return _name(value)
    if isinstance(value, tuple | list) or is_dataclass(value):
        start, inside, end = _apart(value)
        one = type(value) is tuple and len(inside) == 1
        return f"{start}{', '.join(map(_entry, inside))}{',' * one}{end}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and (abs(value) == inf or isnan(value)):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise DataError(
        f"cannot write the setting {value!r:.60} of type {type(value).__name__} as "
        "Python; numbers, strings, tuples and initialisers can be written"
    )


def escaped(value: str) -> str:
    """Text as it stands between double quotes."""
    return "".join(
        f"\\{one}" if one in '"\\' else one if one.isprintable() else repr(one)[1:-1]
        for one in value
    )


def _name(name: Name) -> str:
    """Plain, or with the variables in braces."""
    if len(name) == 1 and isinstance(name[0], Expression):
        return str(name[0])
    if not any(isinstance(one, Expression) for one in name):
        return f'"{escaped("".join(map(str, name)))}"'
    found = [
        f"{{{one}}}" if isinstance(one, Expression)
        else escaped(str(one)).replace("{", "{{").replace("}", "}}")
        for one in name
    ]
    return f'f"{"".join(found)}"'


Entry = tuple[str, Any]  # a key or "", and a value


def _entry(entry: Entry) -> str:
    return f"{entry[0]}{literal(entry[1])}"


def _apart(value: Any) -> tuple[str, list[Entry], str]:
    """A tuple, list or initialiser: what it begins with, its entries, its end."""
    if is_dataclass(value):
        kind = type(value)
        home = "dl.init." if kind.__module__ == init.__name__ else ""
        inside = [
            (f"{one.name}=", getattr(value, one.name)) for one in fields(value)
            if one.repr
        ]
        return f"{home}{kind.__name__}(", inside, ")"
    start, end = "()" if isinstance(value, tuple) else "[]"
    return start, [("", one) for one in value], end


def spread(start: str, value: Any, margin: int, end: str = "") -> list[str]:
    """A value over as many lines as it needs; numbers fill them."""
    line = f"{' ' * margin}{start}{literal(value)}{end}"
    if len(line) <= WIDE or not (isinstance(value, tuple | list)
                                 or is_dataclass(value)):
        return [line]
    first, inside, last = _apart(value)
    if all(type(one) in (int, float) for _, one in inside):
        space = " " * (margin + 4)
        rows = textwrap.wrap(
            "".join(f"{_entry(one)}, " for one in inside).strip(), WIDE,
            initial_indent=space, subsequent_indent=space,
        )
    else:
        rows = [
            row for key, one in inside for row in spread(key, one, margin + 4, ",")
        ]
    return [f"{' ' * margin}{start}{first}", *rows, f"{' ' * margin}{last}{end}"]


def call(start: str, given: Sequence[str], margin: int, end: str) -> list[str]:
    """Brackets with what is inside: on one line, or over several."""
    space = " " * margin
    rows = [f"{space}{start}{', '.join(given)}{end}"]
    if len(rows[0]) <= WIDE:
        return rows
    rows = [f"{space}    {given[0]}"]
    for one in given[1:]:
        if len(rows[-1]) + 2 + len(one) <= WIDE:
            rows[-1] += f", {one}"
        else:
            rows[-1] += ","
            rows.append(f"{space}    {one}")
    return [space + start, *rows, space + end]
