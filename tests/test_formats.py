"""Each format says what the graph holds, whatever the names are; others can read it."""

import json
import struct
import sys
import zlib
from importlib import import_module

import networkx as nx
import numpy as np
import pytest

import minidl as dl
from minidl import draw
from minidl.draw.label import clean
from minidl.draw.pdf import ADVANCE, said
from minidl.draw.records import flat, graphml, node_link, records
from minidl.network import Graph, build

NAMES = (
    'a "quoted" name', "colon: name", "<b>&amp;</b>", "äöü 日本 🦊 ε", "two\nlines",
    "back\\N\\", "nul\x00", "\ud800", "x" * 500, "{a|b}", "--", "%&;#$_^~", "`tick`",
    "end", "a*b*_c_", "1. one", " ", "(a) [b]", "\u202eback", "]]>", "$x$ ?` ,, <<",
)  # fmt: skip


def network():
    """A node for each of the names, and one that reads two of them."""
    image = z = dl.Input((4, 4, 3), name=NAMES[0])
    for name in NAMES[1:-1]:
        z = dl.conv(z, 3, 3, pad="same", name=name)
    return dl.Model(image, dl.add(z, image, name=NAMES[-1]), name=NAMES[3])


def same(one, other):
    """Whether two graphs are equal: names, facts and edges."""
    for key in ("node_default", "edge_default"):  # that NetworkX's reader adds
        one.graph.pop(key, None)
    return nx.utils.graphs_equal(one, other) and one.is_multigraph()


def test_graphml_is_read_back(tmp_path):
    net = network()
    found = records(net.graph, net.name, net.costs())
    net.draw(tmp_path / "x.graphml", detail="full")
    back = nx.read_graphml(tmp_path / "x.graphml", force_multigraph=True)
    assert same(back, flat(found))
    assert len(back) == len(net.graph) == len(NAMES)
    assert {facts["shape"] for _, facts in back.nodes(data=True)} == {"4x4x3"}
    assert sum(facts["parameters"] for _, facts in back.nodes(data=True)) == net.count
    assert sum(facts["macs"] for _, facts in back.nodes(data=True)) == net.plan().macs
    assert sum(facts["peak"] for _, facts in back.nodes(data=True)) == 1


def test_json_is_read_back():
    net = network()
    found = records(net.graph, net.name)
    data = json.loads(draw.encode(net, ".json"))
    assert [node["id"] for node in data["nodes"]] == [*NAMES]
    assert [node["settings"] for node in data["nodes"]][1]["pad"] == "same"
    back = nx.relabel_nodes(found, {})  # with lists, as JSON has no tuples
    for _, facts in back.nodes(data=True):
        facts |= json.loads(json.dumps(facts))
    read = {"edges": "edges"} if nx.__version__ >= "3.4" else {"link": "edges"}
    assert same(nx.node_link_graph(data, **read), back)


@pytest.mark.parametrize("name", dl.models.list())
def test_data_of_the_zoo(name):
    graph = dl.models.get(name)().graph
    found = records(graph, name)
    assert same(nx.parse_graphml(graphml(found), force_multigraph=True), flat(found))
    data = json.loads(node_link(found))
    assert [node["id"] for node in data["nodes"]] == [*found]
    assert len(data["edges"]) == graph.number_of_edges()


def test_pdf_holds_every_name():
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(draw.encode(network(), ".pdf", fold=0))
    assert len(document) == 1
    text = "".join(document[0].get_textpage().get_text_range().split())
    for name in NAMES:
        assert "".join(said(clean(name)).split()) in text
    assert document.get_metadata_value("Title") == clean(NAMES[3])
    document.close()
    assert set(ADVANCE[0]) == set(ADVANCE[1])  # both fonts have the same letters


def pixels(data):
    """Columns and rows of a PNG, and its rows of bytes."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert check == zlib.crc32(kind + body)
        found[kind], at = body, at + 12 + size
    columns, rows = struct.unpack(">II", found[b"IHDR"][:8])
    lines = zlib.decompress(found[b"IDAT"])
    assert len(lines) == rows * (1 + 3 * columns)
    return columns, rows, lines


def test_png_shows_the_picture():
    pytest.importorskip("pypdfium2")
    net = dl.models.lenet5()
    picture = draw.picture(net)
    columns, rows, lines = pixels(draw.encode(picture, ".png"))
    assert abs(columns - 2 * picture.width) <= 1
    assert abs(rows - 2 * picture.height) <= 1
    box = next(one for one in picture.shapes if getattr(one, "style", "") == "linear")
    x, y = round(2 * box.x + 16), round(2 * box.y + 8)
    at = y * (1 + 3 * columns) + 1 + 3 * x
    assert lines[at : at + 3] == b"\xdc\xeb\xf7"  # of convolutions, in the light


def test_a_strip_of_pixels_is_not_seen(monkeypatch):
    pytest.importorskip("pypdfium2")
    png = import_module("minidl.draw.png")
    one = draw.encode(dl.models.lenet5(), ".png")
    monkeypatch.setattr(png, "STRIP", 100)
    other = draw.encode(dl.models.lenet5(), ".png")
    whole, strips = (np.frombuffer(pixels(x)[2], np.uint8) for x in (one, other))
    assert np.abs(whole.astype(int) - strips).max() <= 2  # from rounding, in 255


def test_without_the_extra_an_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(dl.Error, match=r"pip install 'minidl\[draw\]'"):
        dl.models.lenet5().draw(tmp_path / "x.png")
    assert not [*tmp_path.iterdir()]


def test_tikz_is_balanced_and_plain():
    text = draw.encode(network(), ".tex", fold=0).decode()
    assert all(c.isascii() or c in "äöü" for c in text)
    body = text[text.index(r"\begin{document}") :].replace("\\\\", "")
    bare = body.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    for line in text.splitlines()[20:]:
        said_ = line.replace(r"\%", "").replace(r"\#", "").replace(r"\&", "")
        assert not set("%#&") & set(said_) or line.startswith("% "), line
        assert "$" not in line.replace(r"\$", "")
    assert text.count(r"\node") == text.count(r"\fit{")


def test_mermaid_says_odd_signs_by_number():
    text = draw.encode(network(), ".mmd", fold=0).decode()
    lines = [line.strip() for line in text.splitlines()]
    boxes = [line for line in lines if line.startswith("n") and "[" in line]
    assert len(boxes) == len(NAMES)
    for line in boxes:
        ident, rest = line.split('["')
        inner, after = rest.split('"]')
        assert ident[1:].isdigit()
        assert after.startswith(":::")
        plain = inner.replace("<br>", "")
        assert not set(plain) & set('"<>`*_[]{}|&()$\\')
    assert sum("-->" in line for line in lines) == len(NAMES)


@pytest.mark.parametrize("suffix", draw.FORMATS)
def test_nothing_and_one(suffix):
    assert draw.encode(Graph(), suffix)
    assert draw.encode(build([dl.Input((3,))])[0], suffix)


@pytest.mark.parametrize("suffix", [".dot", ".mmd", ".graphml", ".json"])
def test_a_picture_is_no_graph(suffix):
    with pytest.raises(dl.DataError, match=r"choose from \.svg, \.pdf, \.png, \.tex"):
        draw.encode(draw.picture(Graph()), suffix)
