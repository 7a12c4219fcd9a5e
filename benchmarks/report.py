"""Results as text: `python benchmarks/report.py build/bench.json` prints them again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def duration(seconds: float) -> str:
    """Milliseconds with three digits."""
    return f"{seconds * 1e3:#.3g}".rstrip(".")


def lines(case: dict[str, Any]) -> Iterator[str]:
    """A case: everybody's time and memory, minidl's time in shares of theirs."""
    yield f"{case['network']}, {case['mode']}, batch {case['batch']}"
    for name, row in case["contestants"].items():
        text = f"  {name:14}{duration(row['seconds']):>9} ms{row['peak'] / 1e6:9.0f} MB"
        if "ratio" in row:
            text += f"   minidl / it {row['ratio']:.3f}"
        if name == case["fastest"]:
            text += "   fastest peer"
        yield text
    for name, why in case["skipped"].items():
        yield f"  {name:14}left out: {why}"


def columns(found: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Inference of one, of many, training; with their cases."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in found["cases"]:
        one = "one" if case["batch"] == 1 else "several"
        key = "training" if case["mode"] == "train" else f"inference, {one}"
        groups.setdefault(key, []).append(case)
    return list(groups.items())


def cell(case: dict[str, Any]) -> str:
    """Minidl's time over the fastest peer's, who that is, and memory in shares."""
    if case["ratio"] is None:
        return "-"
    rows = case["contestants"]
    text = f"{case['ratio']:.2f} {case['fastest']}"
    peaks = [row["peak"] for name, row in rows.items() if name == "torch"]
    if peaks and peaks[0]:
        text += f", {rows['minidl']['peak'] / peaks[0]:.2f} MB/MB"
    return text


def summary(found: dict[str, Any]) -> str:
    """The table in Markdown: minidl's time in shares of the fastest peer's."""
    groups = columns(found)
    networks = list(dict.fromkeys(case["network"] for case in found["cases"]))
    rows = [["", *(key for key, _ in groups)], ["---"] * (len(groups) + 1)]
    for network in networks:
        of = (
            next((cell(one) for one in cases if one["network"] == network), "")
            for _, cases in groups
        )
        rows.append([network, *of])
    machine = found["machine"]
    versions = {
        name.split(" ")[0].split(".")[0]: row["version"]
        for case in found["cases"]
        for name, row in case["contestants"].items()
    }
    return "\n".join(
        [
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            "minidl's time in shares of the fastest peer's; its memory in shares of "
            "torch's.",
            f"{machine['cpu']}, {found['threads']} threads, {machine['level']}; "
            f"{found['rounds']} rounds, {machine['date']}; "
            + ", ".join(f"{name} {version}" for name, version in versions.items()),
        ]
    )


def main() -> None:
    """Print the results in a file."""
    found = json.loads(Path(sys.argv[1]).read_text())
    for case in found["cases"]:
        print(*lines(case), sep="\n")
    print(summary(found))


if __name__ == "__main__":
    main()
