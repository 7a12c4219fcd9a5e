"""Every diagram of the zoo, read by the programs that people look at it with.

    python benchmarks/diagrams.py [--only svg,dot,tex,mmd,pdf,graphml] [NETWORK ...]

Each network is drawn folded and unfolded. Chromium says how wide the text of the SVG
comes out in a real font, and whether it lies inside its box; Graphviz reads the DOT;
LaTeX sets the TikZ; Mermaid's own program (`mmdc`, from the npm package
@mermaid-js/mermaid-cli) renders the Mermaid; PDFium reads the PDF; NetworkX reads the
GraphML. A program that is not there is said to be missing. The exit code is 1 if any
of them refuses any file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from time import perf_counter

import networkx as nx

import minidl as dl
from minidl import draw
from minidl.draw.records import flat, records

MEASURE = """
const found = {texts: 0, outside: [], widest: 0};
for (const svg of document.querySelectorAll("svg")) {
  const rects = [...svg.querySelectorAll("rect")].map(r => r.getBBox());
  for (const text of svg.querySelectorAll("text")) {
    const t = text.getBBox();
    const x = t.x + t.width / 2, y = t.y + t.height / 2;
    const around = rects.filter(r => r.x <= x && x <= r.x + r.width
      && r.y <= y && y <= r.y + r.height);
    around.sort((a, b) => a.width * a.height - b.width * b.height);
    const box = around[0];
    found.texts += 1;
    found.widest = Math.max(found.widest, t.width / box.width);
    if (t.x < box.x || t.x + t.width > box.x + box.width
        || t.y < box.y || t.y + t.height > box.y + box.height)
      found.outside.push(text.textContent);
  }
}
document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
"""
CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom")


class Refused(Exception):
    """A program does not take a file."""


def run(*words: str | Path, folder: Path) -> str:
    """What a program says; it must end well."""
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise Refused(f"{words[0]}: {(done.stdout + done.stderr)[-600:]}")
    return done.stdout


def svg(path: Path) -> str:
    """Chromium: all text inside its box."""
    page = path.with_suffix(".html")
    picture = path.read_text()
    page.write_text(f"<meta charset=utf-8><body>{picture}<script>{MEASURE}</script>")
    page_dom = run(*CHROMIUM, page.as_uri(), folder=path.parent)
    match = re.search(r"<pre>(.*?)</pre>", page_dom, re.DOTALL)
    if not match:
        raise Refused("chromium: no measurements")
    found = json.loads(unescape(match[1]))
    if found["outside"]:
        raise Refused(f"text outside its box: {found['outside'][:5]}")
    return f"{found['texts']} texts, at most {found['widest']:.0%} of the box"


def dot(path: Path) -> str:
    """Graphviz: a layout without a warning."""
    found = run("dot", "-Tsvg", path.name, folder=path.parent)
    count = found.count('class="node"')
    return f"{count} nodes"


def tex(path: Path) -> str:
    """LaTeX: a page."""
    words = ("pdflatex", "-interaction=batchmode", "-halt-on-error", path.name)
    run(*words, folder=path.parent)
    return f"{path.with_suffix('.pdf').stat().st_size} bytes"


def mmd(path: Path) -> str:
    """Mermaid: a picture with all nodes."""
    (path.parent / "browser.json").write_text(json.dumps(
        {"executablePath": shutil.which("chromium"), "args": ["--no-sandbox"],
         "protocolTimeout": 900_000}
    ))  # fmt: skip
    (path.parent / "mermaid.json").write_text(
        json.dumps({"maxTextSize": 10**7, "maxEdges": 10**5})
    )
    out = path.with_suffix(".mmd.svg")
    run(
        os.environ.get("MMDC", "mmdc"), "-q", "-i", path.name, "-o", out.name,
        "-p", "browser.json", "-c", "mermaid.json", folder=path.parent,
    )  # fmt: skip
    picture = out.read_text()
    drawn = len(set(re.findall(r'id="[^"]*flowchart-(n\d+)-', picture)))
    wanted = len(re.findall(r'^ *n\d+\["', path.read_text(), re.MULTILINE))
    if drawn != wanted:
        raise Refused(f"mermaid: {drawn} nodes of {wanted}")
    return f"{drawn} nodes"


def pdf(path: Path) -> str:
    """PDFium: a page with text."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    text = document[0].get_textpage().get_text_range()
    document.close()
    if len(text) < 10:
        raise Refused("pdfium: no text")
    return f"{len(text)} letters"


def graphml(path: Path) -> str:
    """NetworkX: the same graph."""
    name = path.name.split("-")[0]
    wanted = flat(records(dl.models.get(name)().graph, name))
    back = nx.read_graphml(path, force_multigraph=True)
    for key in ("node_default", "edge_default"):
        back.graph.pop(key, None)
    if not nx.utils.graphs_equal(back, wanted):
        raise Refused("networkx: another graph")
    return f"{len(back)} nodes"


CHECKS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "svg": ("chromium", svg), "dot": ("dot", dot), "tex": ("pdflatex", tex),
    "mmd": (os.environ.get("MMDC", "mmdc"), mmd), "pdf": ("", pdf),
    "graphml": ("", graphml),
}  # fmt: skip


def main() -> int:
    """Run the checks; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=dl.models.list())
    parser.add_argument("--only", default=",".join(CHECKS))
    parser.add_argument("--detail", default="shapes")
    options = parser.parse_args()
    refused = 0
    for kind in options.only.split(","):
        program, check = CHECKS[kind]
        if program and not shutil.which(program):
            print(f"{kind}: {program} is missing")
            continue
        times, passed, all_ = [], 0, 0
        for name in options.networks:
            net = dl.models.get(name)()
            costs = net.costs(1, (32, 32)) if options.detail == "full" else None
            for fold in (None, 0) if kind != "graphml" else (None,):
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"{name}-{fold}.{kind}"
                    start = perf_counter()
                    data = draw.encode(
                        net, path.suffix, options.detail, fold, costs=costs
                    )
                    took = perf_counter() - start
                    path.write_bytes(data)
                    all_ += 1
                    try:
                        says = check(path)
                        passed += 1
                        times.append((took, name))
                    except (Refused, subprocess.TimeoutExpired) as error:
                        says = f"REFUSED {error}"
                        refused += 1
                    print(f"  {kind} {name} fold={fold}: {took:.2f} s to draw; {says}",
                          flush=True)  # fmt: skip
        slowest = max(times, default=(0.0, "-"))
        print(f"{kind}: {passed} of {all_} taken; slowest to draw: {slowest[1]}, "
              f"{slowest[0]:.2f} s", flush=True)  # fmt: skip
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
