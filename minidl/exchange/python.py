"""From a model to the source text that defines it again.

The nodes become statements (`alike.Call`); what lies under one name and comes again
becomes a function (`blocks`), neighbours that come again a loop (`loops`).
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Iterable, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

from ..graph import Input, Node, Op
from ..network import named, order, readers
from ..ops import TABLE
from .alike import LETTERS, Call, free
from .blocks import Block, folded
from .loops import CARRIED, Item, Loop, looped
from .text import WIDE, Expression, Name, call, escaped, literal, spread

BUILD: dict[type[Op], Any] = {}
for _row in TABLE.values():
    BUILD.setdefault(_row.op, _row)
USUAL = {"dtype": "float32", "seed": 0, "exact": False}


class Source:
    """The text as it grows: constants, functions, and the words in use."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.taken = {"dl", "build", "name", "range", "float", *"lOI", *keyword.kwlist}
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.words: dict[str, str] = {}  # constants by their text
        graph = model.graph
        names = order(graph)
        number = {name: at for at, name in enumerate(names)}
        nodes = [graph.nodes[name]["node"] for name in names]
        usual = named(nodes)
        itself = [usual[node] for node in nodes] == names  # none was renamed by hand
        self.calls = []
        for name, node in zip(names, nodes, strict=True):
            refs = [number[one] for one in readers(graph, name)]
            made = self.call(number[name], node, refs)
            if not itself or node.name is not None:
                made.name = Name.of(name)
            owner = model._owner.get(name, name)
            if owner != name:
                made.refs.append(number[owner])
                made.shares = True
            self.calls.append(made)
        self.inputs = [number[name] for name in model.inputs]
        self.outputs = [number[name] for name in model.outputs]

    def call(self, at: int, node: Node, refs: list[int]) -> Call:
        """What makes a node."""
        op = node.op
        if isinstance(op, Input):
            return Call(
                at, "dl.Input", refs, {"shape": op.shape, "dtype": op.dtype}, None,
                {"dtype": '"real"'}, frozenset({"shape"}),
            )
        row = BUILD.get(type(op))
        if row is not None:
            held = {one.name for one in fields(op)}  # type: ignore[arg-type]
            wanted = [
                one for one in inspect.signature(row.build).parameters.values()
                if one.name in held
            ]
            settings = {one.name: getattr(op, one.name) for one in wanted}
            nodes: Any = [node.inputs] if row.variadic else node.inputs
            made = row.build(*nodes, **settings)
            if len(node.inputs) == len(refs) and made.op == op:
                function = row.build.__name__
                usual = {
                    one.name: literal(one.default) for one in wanted
                    if one.default is not one.empty
                }
                first = [one.name for one in wanted if one.name not in usual][:1]
                settings = {
                    key: self.constant(f"{function}_{key}", value)
                    for key, value in settings.items()
                }
                return Call(
                    at, f"dl.{function}", refs, settings, None, usual,
                    frozenset(first), row.variadic,
                )
        kind = type(op)
        self.taken.add(kind.__name__)
        if kind.__qualname__ == kind.__name__ and kind.__module__ != "__main__":
            self.imports.add(f"from {kind.__module__} import {kind.__name__}")
        else:
            self.imports.add(
                f"# {kind.__name__}: an op of your own; its class goes here"
            )
        return Call(at, "dl.Node", refs, {"op": op}, None, {}, frozenset({"op"}), True)

    def constant(self, label: str, value: Any) -> Any:
        """A value too long for its place becomes a constant of the module."""
        said = literal(value)
        if len(said) <= WIDE:
            return value
        if said not in self.words:
            self.words[said] = free(label.upper(), self.taken)
            self.taken.add(self.words[said])
            self.constants += spread(f"{self.words[said]} = ", value, 0)
        return Expression(self.words[said])

    def function(self, block: Block) -> list[str]:
        """The lines of a function."""
        busy = {*self.taken, *block.settings}
        variables: dict[int, str] = {}
        for one in block.refs:
            variables[one] = spare({*busy, *variables.values()})
        given = [*variables.values(), "name", *block.settings]
        lines = call(f"def {block.function}(", given, 0, "):")
        end = block.body[-1].id
        lines += self.body(block.body, variables, [end], block.settings)
        return [*lines, f"    return {variables[end]}"]

    def body(
        self, calls: Sequence[Call], variables: dict[int, str], ends: Sequence[int],
        settings: Iterable[str],
    ) -> list[str]:
        """The lines inside a function; `variables` gets the names of the results."""
        taken = {*self.taken, *settings}
        items = looped(calls, ends, {*taken, *LETTERS})
        for item in items:
            taken |= {*item.table} if isinstance(item, Loop) else set()
        return self.block(items, variables, {*ends}, taken, 4)

    def block(
        self, items: Sequence[Item], variables: dict[int, str], ends: set[int],
        taken: set[str], margin: int, result: str | None = None,
    ) -> list[str]:
        """The lines of statements; the last is called `result`."""
        lines = []
        last = {ref: at for at, item in enumerate(items) for ref in item.refs}
        last |= dict.fromkeys(ends, len(items))
        for at, item in enumerate(items):
            busy = {word for one, word in variables.items() if last.get(one, -1) > at}
            busy |= taken
            old = variables[item.refs[0]] if item.refs else ""
            if isinstance(item, Loop):  # every iteration reads these
                busy |= {variables[one] for one in item.refs[1:]}
            target = old if old and old not in busy else spare(busy)
            if result and at == len(items) - 1:
                target = result
            if isinstance(item, Loop):
                if target != old:
                    lines.append(f"{' ' * margin}{target} = {old}")
                lines += head(item, margin)
                inside = {one: variables[one] for one in item.refs[1:]}
                inside[CARRIED] = target
                lines += self.block(
                    item.body, inside, set(), busy - {target}, margin + 4, target
                )
            else:
                target = variables.get(item.id, target)
                lines += statement(item, variables, target, margin)
            variables[item.id] = target
        return lines


def spare(busy: Iterable[str]) -> str:
    """A word for a result."""
    taken = set(busy)
    return next((one for one in LETTERS if one not in taken), "") or free("z", taken)


def statement(
    made: Call, variables: dict[int, str], target: str, margin: int
) -> list[str]:
    """One call."""
    words = [variables[one] for one in made.refs]
    owner = [words.pop()] if made.shares else []
    inputs = [f"[{', '.join(words)}]"] if made.many else words
    settings = [
        literal(value) if key in made.bare else f"{key}={literal(value)}"
        for key, value in made.settings.items()
        if literal(value) != made.usual.get(key)
    ]
    name = [literal(made.name)] if made.name is not None else []
    if not made.function.startswith("dl."):
        given = [*inputs, *name, *settings]
    else:
        given = [*inputs, *settings]
        if made.function == "dl.Node":
            given = [*settings, *inputs]
        given += [f"share={one}" for one in owner] + [f"name={one}" for one in name]
    return call(f"{target} = {made.function}(", given, margin, ")")


def head(loop: Loop, margin: int) -> list[str]:
    """The first line of a loop: a range if it counts, or a table."""
    start = f"for {', '.join(loop.table) or '_'} in "
    columns = list(loop.table.values())
    if not columns:
        return [f"{' ' * margin}{start}range({loop.count}):"]
    if len(columns) > 1:
        rows = [literal(row) for row in zip(*columns, strict=True)]
        return call(f"{start}(", rows, margin, "):")
    column = columns[0]
    if all(type(one) is int for one in column) and column[0] != column[1]:
        step = column[1] - column[0]
        end = column[0] + step * loop.count
        if column == tuple(range(column[0], end, step)):
            given = [column[0]] * (step != 1 or column[0] != 0) + [end]
            said = ", ".join(map(str, given + [step] * (step != 1)))
            return [f"{' ' * margin}{start}range({said}):"]
    return call(f"{start}(", [literal(one) for one in column], margin, "):")


def frozen(model: Any) -> list[str]:
    """Patterns that match the frozen parameters, and nothing else."""
    names = list(model.store.at)
    found: list[str] = []
    for name in names:
        if name not in model.frozen or any(fnmatchcase(name, one) for one in found):
            continue
        dots = [at + 1 for at, one in enumerate(name) if one == "."]
        wishes = [f"{escape(name[:at])}*" for at in (0, *dots)]
        found.append(next(
            (
                one for one in wishes
                if model.frozen.issuperset(n for n in names if fnmatchcase(n, one))
            ),
            escape(name),
        ))
    return found


def source(model: Any) -> str:
    """The text of a module whose `build()` gives the graph again, without weights."""
    text = Source(model)
    variables: dict[int, str] = {}
    for one, name in zip(text.inputs, model.inputs, strict=True):
        if name.isidentifier() and name.isascii() and name not in text.taken:
            variables[one] = name
            text.taken.add(name)
    ends = [*text.inputs, *text.outputs]
    calls, blocks = folded(text.calls, ends, text.taken)
    functions = "".join(
        "\n".join(["\n", *text.function(block), ""]) for block in blocks
    )
    body = text.body(calls, variables, ends, ())
    names = [[variables[one] for one in some] for some in (text.inputs, text.outputs)]
    given = [
        some[0] if single else f"[{', '.join(some)}]"
        for some, single in zip(names, model._single, strict=True)
    ]
    given += [f"name={literal(model.name)}"] + [
        f"{key}={literal(getattr(model, key))}" for key, value in USUAL.items()
        if getattr(model, key) != value
    ]
    if model.frozen:
        body += call("net = dl.Model(", given, 4, ")")
        body += call("net.freeze(", [literal(one) for one in frozen(model)], 4, ")")
        body += ["    return net"]
    else:
        body += call("return dl.Model(", given, 4, ")")
    return "\n".join([
        f'"""The network {escaped(model.name)}."""', "", "import minidl as dl",
        *sorted(text.imports), *[""][: len(text.constants)], *text.constants, functions,
        "", "def build() -> dl.Model:",
        '    """Its graph, with fresh parameters."""', *body, "",
    ])
