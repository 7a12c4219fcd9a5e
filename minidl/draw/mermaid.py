"""Mermaid: it makes a layout of its own, as pages of Markdown show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .blocks import Scene
from .fold import Block, Id
from .picture import SHADES


def mermaid(scene: Scene, title: str) -> str:
    """The scene as a flowchart; nodes have ids of their own."""
    ids = {name: f"n{i}" for i, name in enumerate(scene.labels)}
    used = dict.fromkeys(label.family for label in scene.labels.values())
    lines = ["flowchart TB", f"  accTitle: {quote(title)}"]
    for family in used:
        (fill, line), _ = SHADES[family]
        lines.append(f"  classDef {family} fill:{fill},stroke:{line},color:#14171a")
    lines += _block(scene.root, scene, ids, "  ", [0])
    lines += [f"  {ids[s]} --> {ids[t]}" for s, t, _ in scene.arrows]
    marked = ",".join(ids[n] for n, label in scene.labels.items() if label.mark)
    if marked:
        lines.append(f"  style {marked} stroke-width:4px")
    return "\n".join([*lines, ""])


def _block(
    block: Block, scene: Scene, ids: Mapping[Id, str], indent: str, count: list[int]
) -> Iterator[str]:
    for item in block.items:
        if isinstance(item, Block):
            count[0] += 1
            yield f'{indent}subgraph b{count[0]} ["{quote(item.title) or " "}"]'
            yield from _block(item, scene, ids, indent + "  ", count)
            yield f"{indent}end"
            continue
        for name in item:
            label = scene.labels[name]
            head = f"{label.head}  {label.op}".rstrip()
            text = "<br>".join(map(quote, (head, *label.lines)))
            yield f'{indent}{ids[name]}["{text}"]:::{label.family}'


def quote(text: str) -> str:
    """Text in which only letters, digits and a few signs are not said by number.

    Examples
    --------
    >>> quote('a<b> "c"'), quote("5x5/2, 1.5")
    ('a#60;b#62; #34;c#34;', '5x5/2, 1.5')
    """
    text = text.replace("\\n", "\\\u2060n")  # or Mermaid would begin a new line
    return "".join(
        c if c.isalnum() or c in " .,/+-" else f"#{ord(c)};" for c in text
    )
