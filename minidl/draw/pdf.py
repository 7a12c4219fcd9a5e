# ruff: noqa: RUF001  # letters that look alike differ in width
"""PDF: one page of vectors in Helvetica, which every reader of PDF has."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from .label import width
from .picture import SHADES, Line, Picture, Shape, Text, corners, number, tip

UNIT = 0.75  # points in a pixel
LONGEST = 14_400  # points: the largest side of a page that readers must show
# of the letters, in thousandths of the font's size: Adobe's metrics of the fonts
NORMAL, BOLD = {
    191: "'", 222: "ijl‚‘’", 260: "|¦", 278: " !,./:;I[\\]ft·ÌÍÎÏìíîï",
    333: "()-`r„ˆ‹“”˜›¡¨¯´¸", 334: "{}", 350: "•", 355: '"', 365: "º", 370: "ª",
    389: "*", 400: "°", 469: "^", 500: "Jcksvxyzšžçýÿ", 537: "¶", 584: "+<=>~¬±×÷",
    556: "#$0123456789?L_abdeghnopqu€ƒ†‡–¢£¤¥§«µ»àáâãäåèéêëðñòóôõöùúûüþ",
    611: "FTZŽ¿ßø", 667: "&ABEKPSVXYŠŸÀÁÂÃÄÅÈÉÊËÝÞ", 722: "CDHNRUwÇÐÑÙÚÛÜ",
    737: "©®", 778: "GOQÒÓÔÕÖØ", 833: "Mm", 834: "¼½¾", 889: "%æ", 944: "Wœ",
    1000: "…‰Œ—™Æ", 1015: "@",
}, {
    238: "'", 278: " ,./I\\ijl‚‘’·ÌÍÎÏìíîï", 280: "|¦", 333: "!()-:;[]`ftˆ‹˜›¡¨¯´¸",
    350: "•", 365: "º", 370: "ª", 389: "*r{}", 400: "°", 474: '"', 500: "z„“”ž",
    556: "#$0123456789J_aceksvxy€ƒ†‡–š¢£¤¥§«¶»àáâãäåçèéêëýÿ", 584: "+<=>^~¬±×÷",
    611: "?FLTZbdghnopquŽµ¿ßðñòóôõöøùúûüþ", 667: "EPSVXYŠŸÈÉÊËÝÞ",
    722: "&ABCDHKNRUÀÁÂÃÄÅÇÐÑÙÚÛÜ", 737: "©®", 778: "GOQwÒÓÔÕÖØ", 833: "M",
    834: "¼½¾", 889: "%mæ", 944: "Wœ", 975: "@", 1000: "…‰Œ—™Æ",
}  # fmt: skip
DOES = {(0, 0): "n", (0, 1): "S", (1, 0): "f", (1, 1): "B"}  # filled? stroked?
ADVANCE = [
    {c: thousandths for thousandths, letters in table.items() for c in letters}
    for table in (NORMAL, BOLD)
]


def pdf(picture: Picture) -> bytes:
    """The picture as a PDF document, in the colours for light ground."""
    unit = min(UNIT, LONGEST / max(picture.width, picture.height))
    wide, high = number(picture.width * unit), number(picture.height * unit)
    scale = number(unit, 6)
    start = f"{scale} 0 0 -{scale} 0 {high} cm\n"  # y grows downwards
    drawn = [start, *(line for shape in picture.shapes for line in _shape(shape))]
    stream = zlib.compress("\n".join(drawn).encode("cp1252"), 9)
    title = ("\ufeff" + picture.title).encode("utf-16-be", "replace").hex()
    font = "/Type /Font /Subtype /Type1 /Encoding /WinAnsiEncoding /BaseFont"
    return _file(
        b"/Type /Catalog /Pages 2 0 R",
        b"/Type /Pages /Kids [3 0 R] /Count 1",
        f"/Type /Page /Parent 2 0 R /MediaBox [0 0 {wide} {high}] /Contents 4 0 R "
        "/Resources << /Font << /F0 5 0 R /F1 6 0 R >> >>".encode(),
        (f"/Length {len(stream)} /Filter /FlateDecode".encode(), stream),
        f"{font} /Helvetica".encode(),
        f"{font} /Helvetica-Bold".encode(),
        f"/Title <{title}> /Producer (minidl)".encode(),
    )


def _file(*objects: bytes | tuple[bytes, bytes]) -> bytes:
    """Objects, each a dictionary and perhaps a stream, with their table."""
    found = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for i, one in enumerate(objects, 1):
        places.append(len(found))
        head, stream = one if isinstance(one, tuple) else (one, None)
        found += b"%d 0 obj\n<< %s >>\n" % (i, head)
        if stream is not None:
            found += b"stream\n" + stream + b"\nendstream\n"
        found += b"endobj\n"
    n = len(objects)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return found + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R "
        b"/Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    ) % (n + 1, table, n + 1, n, len(found))


def _shape(one: Shape) -> Iterator[str]:
    if isinstance(one, Text):
        yield from _text(one)
        return
    fill, stroke = SHADES[one.style][0]
    if isinstance(one, Line):
        yield f"{_colour(stroke)} RG {_colour(fill)} rg {number(one.thick)} w"
        dash = f"[{5 * one.dashed or ''}] 0 d"
        close = " h" if one.filled else ""
        does = DOES[bool(one.filled and fill), bool(stroke)]
        yield f"{dash} {_path(one.start, one.pieces)}{close} {does} [] 0 d"
        if one.arrow:
            first, *rest = tip(one)
            head = _path(first, [("L", (point,)) for point in rest])
            yield f"{_colour(stroke)} rg {head} h f"
        return
    yield f"{_colour(stroke)} RG {_colour(fill)} rg {number(one.thick)} w"
    start, pieces = corners(one)
    yield f"{_path(start, pieces)} h {DOES[bool(fill), bool(stroke)]}"


def _path(
    start: tuple[float, float],
    pieces: Iterable[tuple[str, tuple[tuple[float, float], ...]]],
) -> str:
    words = [number(start[0]), number(start[1]), "m"]
    for kind, points in pieces:
        words += [number(at) for point in points for at in point]
        words.append(kind.lower())
    return " ".join(words)


def _colour(colour: str | None) -> str:
    """Red, green and blue, from "#rrggbb"."""
    parts = (int((colour or "#000000")[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return " ".join(number(part, 3) for part in parts)


def _text(one: Text) -> Iterator[str]:
    """Runs, made narrower where they would take more room than they were given."""
    runs = [(said(text), size, style) for text, size, style in one.runs]
    wide = sum(advance(text, size, style == "ink") for text, size, style in runs)
    room = sum(width(text, size) * 1.1 for text, size, _ in one.runs)
    part = min(1, room / wide) if wide else 1
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}[one.anchor]
    yield f"BT 1 0 0 -1 {number(one.x - share * wide * part)} {number(one.y)} Tm"
    yield f"{number(100 * part)} Tz"
    for text, size, style in runs:
        colour = _colour(SHADES[style][0][0])
        plain = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        yield f"{colour} rg /F{int(style == 'ink')} {number(size)} Tf ({plain}) Tj"
    yield "ET"


def said(text: str) -> str:
    r"""Text in the letters that the fonts have; others as Python escapes them.

    Examples
    --------
    >>> print(said("naïve ε 日"))
    naïve \u03b5 \u65e5
    """
    return "".join(
        c if c in ADVANCE[0] else c.encode("unicode_escape").decode() for c in text
    )


def advance(text: str, size: float, bold: bool) -> float:
    """How wide text is in Helvetica."""
    return size / 1000 * sum(ADVANCE[bold][c] for c in text)
