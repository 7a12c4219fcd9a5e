"""The results as a picture: an SVG written by hand."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log2
from typing import Any

from report import columns, duration

# of Okabe and Ito, which all eyes tell apart
COLOURS = {
    "torch": "#d55e00", "torch nhwc": "#e69f00", "torch.compile": "#cc79a7",
    "onnxruntime": "#0072b2", "openvino": "#56b4e9", "ncnn": "#009e73",
}  # fmt: skip
LEFT, WIDTH, ROW, TOP, GAP, RIGHT = 150, 560, 26, 92, 46, 30
STYLE = """
text { font: 13px Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #14171a }
.ground { fill: #fff } .head { font-weight: bold }
.soft { fill: #4a4f55; font-size: 11px }
.grid { stroke: #d5d8db } .own { stroke: #14171a; stroke-width: 2 }
.range { stroke: #b9bec4; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
text { fill: #f2f2f2 } .ground { fill: #14171a } .soft { fill: #b9bec4 }
.grid { stroke: #3a4046 } .own { stroke: #f2f2f2 } .range { stroke: #5a6066 } }
"""


def plot(found: dict[str, Any]) -> str:
    """How many times minidl's time every peer takes, on a logarithmic scale."""
    groups = columns(found)
    ratios = [
        row["ratio"] for case in found["cases"]
        for row in case["contestants"].values() if row.get("ratio")
    ]  # fmt: skip
    low = min([floor(log2(1 / max(ratios))), -1]) if ratios else -1
    high = max([ceil(log2(1 / min(ratios))), 1]) if ratios else 1

    def x(times: float) -> float:
        return round(LEFT + WIDTH * (log2(times) - low) / (high - low), 1)

    body: list[str] = []
    y = TOP
    for key, cases in groups:
        bottom = y + ROW * len(cases)
        body.append(f'<text class="head" x="12" y="{y - 10}">{escape(key)}</text>')
        for power in range(low, high + 1):
            line, times = x(2.0**power), f"{2.0**power:g}"
            kind = "own" if power == 0 else "grid"
            body += [
                f'<path class="{kind}" d="M{line} {y}V{bottom}"/>',
                f'<text class="soft" x="{line}" y="{bottom + 14}" '
                f'text-anchor="middle">{times}</text>',
            ]
        for i, case in enumerate(cases):
            body += row(case, x, y + ROW * i + ROW // 2)
        y = bottom + GAP
    height, width = y - GAP + 24, LEFT + WIDTH + RIGHT
    machine = found["machine"]
    title = "Time of each peer, in times minidl's: right of the line, minidl is faster"
    under = (
        f"{machine['cpu']}, {found['threads']} threads, {machine['level']}, float32; "
        f"medians of {found['rounds']} paired runs, {machine['date']}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}"/>',
            f'<text class="head" x="12" y="20">{escape(title)}</text>',
            f'<text class="soft" x="12" y="36">{escape(under)}</text>',
            *legend(found),
            *body,
            "</svg>\n",
        ]
    )


def legend(found: dict[str, Any]) -> list[str]:
    """The colours of those who took part."""
    seen = {name for case in found["cases"] for name in case["contestants"]}
    made = []
    at = LEFT
    for name in (name for name in COLOURS if name in seen):
        made += [dot(name, at, 52, name), f'<text x="{at + 9}" y="56">{name}</text>']
        at += 30 + 7 * len(name)
    return made


def row(case: dict[str, Any], x: Any, y: float) -> list[str]:
    """A case: a dot for each peer."""
    rows = case["contestants"]
    label = f"{case['network']}, {case['batch']}"
    made = [f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{label}</text>']
    dots = {name: one for name, one in rows.items() if one.get("ratio")}
    if not dots:
        return made
    ends = [x(1 / one["ratio"]) for one in dots.values()]
    made.append(f'<path class="range" d="M{min(ends)} {y}H{max(ends)}"/>')
    for name, one in dots.items():
        tip = (
            f"{name}: {duration(one['seconds'])} ms, minidl "
            f"{duration(rows['minidl']['seconds'])} ms"
        )
        made.append(dot(name, x(1 / one["ratio"]), y, tip))
    return made


def dot(name: str, x: float, y: float, tip: str) -> str:
    """A dot in the colour of a peer."""
    return (
        f'<circle cx="{x}" cy="{y}" r="5.5" fill="{COLOURS[name]}">'
        f"<title>{escape(tip)}</title></circle>"
    )
