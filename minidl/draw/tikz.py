"""TikZ: a LaTeX document of its own, or a picture to take out of it."""

from __future__ import annotations

from collections.abc import Iterator

from .drawing import Point
from .label import width
from .picture import SHADES, TIP, Line, Picture, Rect, Shape, Text, number

UNIT = 0.75  # big points in a pixel
LONGEST = 14_000  # big points: TeX knows no length over 16,322
ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}
SAID = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&",
    "#": r"\#", "_": r"\_", "%": r"\%", "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}", "·": r"\textperiodcentered{}", "×": r"\texttimes{}",  # noqa: RUF001
    "…": r"\ldots{}", "—": r"\textemdash{}", "-": "-{}", ",": ",{}", "<": "<{}",
    ">": ">{}", "!": "!{}", "?": "?{}",
}  # fmt: skip
HEAD = r"""\documentclass[border=0pt]{standalone}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\RequirePackage{fix-cm}}
\usepackage{tikz}
\usetikzlibrary{arrows.meta}
\renewcommand{\familydefault}{\sfdefault}
\newsavebox{\said}
% text in a given size, made narrower where it would take more than its room
\newcommand{\fit}[2]{\sbox{\said}{#2}\ifdim\wd\said>#1\relax
  \resizebox{#1}{\height}{\usebox{\said}}\else\usebox{\said}\fi}
"""


def tikz(picture: Picture) -> str:
    """The picture as LaTeX, in the colours for light ground."""
    unit = min(UNIT, LONGEST / max(picture.width, picture.height))
    step = number(unit, 6)
    used = dict.fromkeys(
        style for shape in picture.shapes
        for style in (
            [run[2] for run in shape.runs] if isinstance(shape, Text)
            else [shape.style]
        )
    )  # fmt: skip
    colours = [
        rf"\definecolor{{{style}-{part}}}{{HTML}}{{{colour[1:].upper()}}}"
        for style in used
        for part, colour in zip(("fill", "line"), SHADES[style][0], strict=True)
        if colour
    ]
    return "\n".join([
        HEAD + "\n".join(colours), r"\begin{document}",
        rf"% {plain(picture.title)}",
        rf"\begin{{tikzpicture}}[x={step}bp, y=-{step}bp, inner sep=0pt]",
        rf"\useasboundingbox (0,0) rectangle ({number(picture.width)},"
        rf"{number(picture.height)});",
        *(line for shape in picture.shapes for line in _shape(shape, unit)),
        r"\end{tikzpicture}", r"\end{document}", "",
    ])  # fmt: skip


def _shape(one: Shape, unit: float) -> Iterator[str]:
    if isinstance(one, Text):
        room = sum(width(text, size) * 1.1 for text, size, _ in one.runs)
        weights, light = {"ink": r"\bfseries"}, r"\mdseries"
        runs = "".join(
            rf"\fontsize{{{number(size * unit)}}}{{{number(size * unit)}}}\selectfont"
            rf"{weights.get(style, light)}\color{{{style}-fill}}{plain(text)}"
            for text, size, style in one.runs
        )
        yield (
            rf"\node[anchor={ANCHORS[one.anchor]}] at {_at((one.x, one.y))} "
            rf"{{\fit{{{number(room * unit)}bp}}{{{runs}}}}};"
        )
        return
    fill, line = SHADES[one.style][0]
    how = [f"line width={number(one.thick * unit)}bp"]
    how += [f"fill={one.style}-fill"] if fill else []
    how += [f"draw={one.style}-line"] if line else []
    if isinstance(one, Rect):
        how.append(f"rounded corners={number(one.radius * unit)}bp")
        end = one.x + one.width, one.y + one.height
        yield rf"\path[{', '.join(how)}] {_at((one.x, one.y))} rectangle {_at(end)};"
        return
    if one.arrow:
        how.append(f"-{{Triangle[length={number(TIP * unit)}bp]}}")
    how += ["dashed"] if one.dashed else []
    close = " -- cycle" if one.filled else ""
    yield rf"\path[{', '.join(how)}] {_path(one)}{close};"


def _path(line: Line) -> str:
    words = [_at(line.start)]
    for kind, points in line.pieces:
        if kind == "L":
            words.append(f"-- {_at(points[0])}")
        else:
            a, b, end = map(_at, points)
            words.append(f".. controls {a} and {b} .. {end}")
    return " ".join(words)


def _at(point: Point) -> str:
    return f"({number(point[0])},{number(point[1])})"


def plain(text: str) -> str:
    r"""Text as LaTeX says it; letters beyond Western Europe as Python escapes them.

    Examples
    --------
    >>> print(plain("50 % of {a_1} & ä 日"))
    50 \% of \{a\_1\} \& ä \textbackslash{}u65e5
    """
    return "".join(map(_letter, text)).replace("  ", r"~\ ")


def _letter(c: str) -> str:
    if c in SAID:
        return SAID[c]
    if c.isascii() or (c.isalpha() and "À" <= c <= "ÿ"):
        return c
    return "".join(map(_letter, c.encode("unicode_escape").decode()))
