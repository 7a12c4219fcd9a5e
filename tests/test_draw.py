"""Diagrams hold every node and edge, nothing overlaps, any name is right."""

import inspect
import shutil
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

import networkx as nx
import pytest

import minidl as dl
from minidl import draw
from minidl.draw.blocks import scene
from minidl.draw.fold import Block
from minidl.draw.label import clean, width
from minidl.draw.layout import layout
from minidl.files import writable, write_atomic
from minidl.network import Graph, build
from minidl.ops import TABLE

NAMES = (
    'a "quoted" name', "colon: name", "<b>&amp;", "äöü 日本 🦊", "two\nlines",
    "back\\N", "nul\x00", "\ud800", "x" * 500, "{a|b}", "--", "%&;#",
)  # fmt: skip
SPACE = "{http://www.w3.org/2000/svg}"


def tangle():
    """Skips over one and many layers, two inputs, a fork, a double edge."""
    image, late = dl.Input((8, 8, 4), name="image"), dl.Input((8, 8, 4), name="late")
    z = image
    for _ in range(3):
        z = dl.relu(dl.relu(dl.relu(z)) + z)
    a, b = dl.relu(z), dl.relu(dl.relu(dl.relu(z)))
    z = dl.concat([a, dl.relu(z), b, image])
    z = dl.relu(z) + dl.relu(z)
    z = z + z
    return build([dl.concat([z, late])])[0]


GRAPHS = {
    "empty": Graph,
    "one": lambda: build([dl.Input((3,))])[0],
    "tangle": tangle,
    "zoo": lambda: dl.models.lenet5().graph,
}


def clean_layout(drawing):
    """Boxes lie in the picture and apart; frames hold or leave out; edges go around."""
    boxes, frames = drawing.boxes, drawing.frames
    for i, one in enumerate(boxes):
        assert min(one.x, one.y) >= 0
        assert one.x + one.width <= drawing.width
        assert one.y + one.height <= drawing.height
        assert width(one.label.head, 13) < one.width
        assert all(apart(one, other) for other in boxes[:i])
    for frame in frames:
        for one in [*boxes, *frames]:
            assert one is frame or apart(one, frame) or within(one, frame) or (
                within(frame, one)
            )
    for edge in drawing.edges:
        for (x0, y0), (x1, y1) in pairwise(edge.points):
            assert edge.square or y1 > y0
            assert (x0, y0) != (x1, y1)
            low, high = min(y0, y1), max(y0, y1)
            for box in boxes:
                beside = max(x0, x1) <= box.x or min(x0, x1) >= box.x + box.width
                over = high <= box.y or low >= box.y + box.height
                assert beside or over, (edge, box)


def apart(one, other):
    x = abs(2 * (one.x - other.x) + one.width - other.width)
    y = abs(2 * (one.y - other.y) + one.height - other.height)
    return x >= one.width + other.width or y >= one.height + other.height


def within(one, frame):
    return (
        frame.x < one.x
        and frame.y < one.y
        and one.x + one.width < frame.x + frame.width
        and one.y + one.height < frame.y + frame.height
    )


@pytest.mark.parametrize("fold", [None, 0])
@pytest.mark.parametrize("make", GRAPHS.values(), ids=list(GRAPHS))
def test_the_layout_is_clean(make, fold):
    graph = make()
    shown = scene(graph, fold=fold)
    found = layout(shown)
    clean_layout(found)
    assert {box.name for box in found.boxes} == set(shown.labels)
    if fold == 0:
        assert set(shown.labels) == set(graph)
        assert len(shown.arrows) == graph.number_of_edges()
        arrows = sum(edge.ends for edge in found.edges)
        stacked = sum(
            len(item) - 1 for block in blocks(shown.root) for item in block.items
            if isinstance(item, tuple)
        )  # fmt: skip
        assert arrows + stacked == graph.number_of_edges()


def blocks(block):
    yield block
    for item in block.items:
        if not isinstance(item, tuple):
            yield from blocks(item)


@pytest.mark.parametrize("make", GRAPHS.values(), ids=list(GRAPHS))
def test_svg_is_xml_with_everything_in_it(make):
    graph = make()
    root = ElementTree.fromstring(draw.encode(graph, ".svg", fold=0))
    titles = [one.text for one in root.findall(f"{SPACE}rect/{SPACE}title")]
    assert len(titles) == len(graph)
    for name in graph:
        node = graph.nodes[name]["node"]
        (title,) = (t for t in titles if f"[{name}: " in t)
        assert title.split()[:2] == type(node.op).__doc__.split()[:2]
        assert any(name == one.text for one in root.iter(f"{SPACE}tspan"))


@pytest.mark.parametrize("suffix", draw.FORMATS)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(name, suffix, tmp_path):
    z = dl.relu(dl.Input((3,), name=name))
    net = dl.Model(build([z]) and z.inputs[0], z, name=name)
    path = tmp_path / f"x{suffix}"
    net.draw(path)
    data = path.read_bytes()
    net.draw(path)
    assert path.read_bytes() == data
    if suffix == ".svg":
        first = next(ElementTree.fromstring(data).iter(f"{SPACE}tspan"))
        assert first.text == clean(name)
    elif suffix in (".dot", ".gv") and shutil.which("dot"):
        words = ["dot", "-Tplain", path]
        plain = subprocess.run(words, capture_output=True, check=True)
        assert plain.stdout.decode().startswith("graph")
        assert not plain.stderr


def test_an_op_of_ones_own_is_drawn():
    @dataclass(frozen=True)
    class Twice(dl.Op):
        """x = 2 z"""

        by: tuple[int, ...] = ()
        note: str = ""

        def infer(self, *z):
            return dl.Spec(z[0])

    node = dl.Node(Twice((2, 2), 'a<"b">'), [dl.Input((3,))])
    svg = draw.encode(build([node])[0], ".svg").decode()
    assert "by 2x2, note a&lt;&quot;b&quot;&gt;" in svg
    assert "<title>x = 2 z  [twice1: 3]</title>" in svg


def test_shared_parameters_name_their_owner():
    z = dl.Input((3,))
    first = dl.dense(z, 3, name="first")
    second = dl.dense(first, 3, share=first)
    svg = draw.encode(build([second])[0], ".svg").decode()
    assert svg.count("12 parameters") == 2  # in a box, and under the picture
    assert "shares first" in svg
    first = dl.dense(z, 3)
    unnamed = dl.dense(dl.relu(dl.dense(first, 3)), 3, share=first)
    assert "shares dense1" in draw.encode(build([unnamed])[0], ".svg").decode()


def test_a_block_takes_over_the_names_of_frames_around_it_alone():
    x = dl.Input((4, 4, 3), name="image")
    for name in ("body.0.a", "body.0.b", "body.1.in.a", "body.1.in.b", "body.2.a"):
        x = dl.conv(x, 3, 1, name=name)
    root = scene(build([x])[0], fold=0).root
    (body,) = (item for item in root.items if isinstance(item, Block))
    inside = [item for item in body.items if isinstance(item, Block)]
    assert [one.title for one in (body, *inside)] == ["body", "body.0", "body.1.in"]


@pytest.mark.parametrize("depth", range(4))
def test_a_closed_block_within_a_folded_one_does_not_read_itself(depth):
    x = dl.Input((4, 4, 3), name="image")
    for i in range(5):
        a = dl.conv(x, 3, 1, name=f"body.{i}.conv.0")
        a = dl.conv(a, 3, 1, name=f"body.{i}.conv.1")
        x = dl.add(x, a, name=f"body.{i}.add")
    shown = scene(build([x])[0], depth=depth)
    assert nx.is_directed_acyclic_graph(nx.DiGraph(a[:2] for a in shown.arrows))
    assert layout(shown).boxes


def test_many_nodes_are_quick():
    z = dl.Input((3,))
    for i in range(1500):
        z = dl.relu(z) + z if i % 10 == 0 else dl.relu(z)
    assert draw.encode(build([z])[0], ".svg", fold=0).decode().count("<title>") == 1652


@pytest.mark.parametrize("path", ["x.docx", "x", "x.svgz", 3, None, b"x.svg"])
def test_no_such_format(path):
    with pytest.raises(dl.DataError, match="draw: "):
        draw.write(Graph(), path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.svg"
    write_atomic(path, b"old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(dl.DataError, match="No space left on device; nothing was"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["none/x.svg", "file/x.svg", ".", "a\0b", "n" * 300])
@pytest.mark.parametrize("do", [writable, lambda path: write_atomic(path, b"")])
def test_paths_that_cannot_be_written(tmp_path, name, do):
    (tmp_path / "file").write_text("")
    with pytest.raises(dl.DataError, match="cannot write"):
        do(str(tmp_path / name))


def test_writing_follows_links_and_devices(tmp_path):
    target, link = tmp_path / "real", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    write_atomic("/dev/null", b"new")
    writable(link)
    assert target.read_bytes() == b"new"
    with target.open() as file, pytest.raises(dl.DataError, match="expected a path"):
        write_atomic(file, b"")


@pytest.mark.parametrize("name", TABLE)
def test_hovering_shows_both_formulas(name):
    row = TABLE[name]
    case = row.cases[0]
    nodes = [dl.Input(shape) for shape in case.shapes]
    if row.labels:
        nodes[-1] = dl.Input(case.shapes[-1], dtype="int64")
    out = row.build(*([nodes] if row.variadic else nodes), **case.settings)
    root = ElementTree.fromstring(draw.encode(build([out])[0], ".svg", fold=0))
    formula = " ".join((row.op.formula or inspect.getdoc(row.op)).split())
    said = [one.text for one in root.iterfind(f"{SPACE}rect/{SPACE}title")]
    assert any(one.startswith(f"{formula}  [") for one in said)
    assert " = " in formula
    assert "delta" in formula


@pytest.mark.parametrize("detail", ["plain", "shapes", "full"])
def test_what_a_box_says(detail):
    net = dl.models.vgg16()
    found = scene(net.graph, detail, 0, costs=net.costs(batch=2)).labels
    first = found["features.0"]
    assert first.op == "conv  3x3 pad 1"
    assert first.lines == {
        "plain": (),
        "shapes": ("224x224x64  ·  1,792 parameters",),
        "full": ("224x224x64  ·  1,792 parameters", "173.41 M MACs  ·  keeps 25.7 MB"),
    }[detail]
    assert sum(label.mark == "peak" for label in found.values()) == 1
    assert sum(cost.macs for cost in net.costs(batch=2).values()) == (
        net.plan(batch=2, train=True).macs
    )


def test_costs_are_those_of_the_plan():
    net = dl.models.lenet5(variant="modern")
    plan = net._compile(net.outputs, net._shapes(3, None), train=True, adjoint=True)
    found = net.costs(batch=3)
    assert sum(cost.macs for cost in found.values()) == plan.macs
    peak = plan.steps[plan.peak_step].node
    assert [name for name, cost in found.items() if cost.peak] == [peak]
    kept = sum(cost.kept for cost in found.values())
    assert 0 < kept <= plan.bytes


def test_repeats_say_from_what_to_what():
    net = dl.models.densenet121()
    shown = scene(net.graph)
    assert len(shown.labels) < 60
    concat = shown.labels["features.denseblock1.concat1"]
    assert concat.lines == ("56x56x96…256",)
    conv = shown.labels["features.denseblock1.denselayer1.conv1"]
    assert conv.lines == ("56x56x128  ·  8,192…28,672 parameters",)
    closed = scene(net.graph, "full", depth=2, costs=net.costs()).labels
    assert len(closed) < 30
    dense = [label for label in closed.values() if label.head == "x 6"]
    assert [label.lines[0] for label in dense] == [
        "56x56x256  ·  335,040 parameters in all"
    ]


def test_a_notebook_shows_the_folded_picture():
    net = dl.models.resnet50()
    assert net._repr_svg_() == draw.encode(net, ".svg").decode()
    assert ">layer3.1  x 5<" in net._repr_svg_()
    # the style of one picture leaves the rest of the page alone
    style = net._repr_svg_().split("<style>")[1].split("</style>")[0]
    rules = [line for line in style.splitlines() if "{" in line and line[0] != "@"]
    assert all(line.startswith(".minidl ") for line in rules)


def test_every_detail_is_known():
    with pytest.raises(dl.DataError, match="expected one of plain, shapes, full"):
        draw.encode(tangle(), ".svg", "much")
