"""DOT, for Graphviz: it makes a layout of its own."""

from __future__ import annotations

from collections.abc import Iterator

from .blocks import Scene
from .fold import Block, Id
from .picture import SHADES


def dot(scene: Scene, title: str) -> str:
    """The scene as DOT; nodes have ids of their own, as names may hold anything."""
    ids = {name: f"n{i}" for i, name in enumerate(scene.labels)}
    lines = [
        f"digraph {quote(title)} {{",
        '  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=11]',
        '  graph [fontname="Helvetica" fontsize=11 style=rounded color="#c3c9cf"]',
        *_block(scene.root, scene, ids, "  ", [0]),
    ]
    lines += [f"  {ids[s]} -> {ids[t]}" for s, t, _ in scene.arrows]
    return "\n".join([*lines, "}", ""])


def _block(
    block: Block, scene: Scene, ids: dict[Id, str], indent: str, count: list[int]
) -> Iterator[str]:
    for item in block.items:
        if isinstance(item, Block):
            count[0] += 1
            yield f"{indent}subgraph cluster{count[0]} {{"
            yield f"{indent}  label={quote(item.title)} labeljust=l"
            yield from _block(item, scene, ids, indent + "  ", count)
            yield f"{indent}}}"
            continue
        for name in item:
            text = scene.labels[name]
            fill, border = SHADES[text.family][0]
            yield (
                f"{indent}{ids[name]} [label="
                f"{quote(f'{text.head}  {text.op}'.rstrip(), *text.lines)} "
                f'fillcolor="{fill}" color="{border}" tooltip={quote(text.title)}'
                f"{' penwidth=3' if text.mark else ''}]"
            )


def quote(*lines: str) -> str:
    r"""Lines as a DOT string: Graphviz reads escapes and entities in it.

    Examples
    --------
    >>> print(quote('a "b" \\N', "R&D"))
    "a \"b\" \\N\nR&amp;D"
    """
    plain = (
        line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
        for line in lines
    )
    return '"' + r"\n".join(plain) + '"'
