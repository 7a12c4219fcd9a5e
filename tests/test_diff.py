"""What differs: nothing from itself, little after a rename; the sums add up."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import minidl as dl
from minidl import cli, draw
from minidl.align import matched
from minidl.draw.picture import Rect, Text
from minidl.lines import lines

PAIRS = [
    ("resnet18", "resnet34"), ("vgg16", "vgg16_bn"), ("alexnet", "zfnet"),
    ("lenet5", "resnet20"), ("googlenet", "mobilenet_v2"), ("densenet121", "lenet5"),
]  # fmt: skip


def small(prefix="", kernel=3, width=4, more=False, skip=True):
    """A net whose names, sizes and edges can be changed."""
    z = dl.Input((8, 8, 3), name=f"{prefix}image")
    a = dl.relu(dl.conv(z, width, kernel, pad="same", name=f"{prefix}c"),
                name=f"{prefix}a")  # fmt: skip
    b = dl.conv(a, width, 3, pad="same", name=f"{prefix}d")
    if more:
        b = dl.batch_norm(b, name=f"{prefix}bn")
    b = dl.relu(b + a if skip else b + b, name=f"{prefix}e")
    end = dl.dense(dl.flatten(b, name=f"{prefix}f"), 5, name=f"{prefix}out")
    return dl.Model(z, end, name=f"{prefix}small")


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_sums_add_up(pair):
    a, b = (dl.models.get(name)() for name in pair)
    for old, new in ((a, b), (b, a)):
        found = dl.diff(old, new)
        deltas = [sum(each) for each in zip(*(c.deltas for c in found.nodes),
                                            strict=True)]  # fmt: skip
        assert deltas == [y - x for x, y in zip(*found.totals, strict=True)]
        assert deltas[0] == new.count - old.count
        assert deltas[1] == new.plan().macs - old.plan().macs
        assert found
        assert sorted(c.old.name for c in found.nodes if c.old) == sorted(old.graph)
        assert sorted(c.new.name for c in found.nodes if c.new) == sorted(new.graph)
        text = str(found).splitlines()
        assert max(map(len, text[2:])) <= 100
        shown = [
            sum(each) for each in zip(*(one.deltas for one in lines(found.changes)),
                                      strict=True)
        ]  # fmt: skip
        assert shown == deltas


@pytest.mark.parametrize("name", ["lenet5", "resnet50", "densenet121", "nasnet_mobile"])
def test_nothing_differs_from_itself(name):
    one, other = dl.models.get(name)(), dl.models.get(name)(seed=1)
    found = dl.diff(one, other)
    assert not found
    assert found.changes == ()
    assert str(found).count("\n") == 1


def test_a_rename_is_a_rename():
    found = dl.diff(small(), small("new."))
    assert {one.what for one in found.nodes} == {"changed", "same"}
    assert [one.name for one in found.nodes if one.what == "same"] == ["add1"]
    for one in found.changes:
        assert one.says == (one.renamed,)
        assert one.new.name == f"new.{one.old.name}"
        assert one.deltas == (0, 0, 0)


def test_what_is_put_between_changes_no_one_else():
    found = dl.diff(small(), small(more=True))
    assert [(c.what, c.name) for c in found.changes if c.says or not c.old] == [
        ("added", "bn")
    ]
    back = dl.diff(small(more=True), small())
    assert [(c.what, c.name) for c in back.changes if c.says or not c.new] == [
        ("removed", "bn")
    ]


def test_settings_shapes_and_edges_that_change():
    found = {c.name: c for c in dl.diff(small(), small(kernel=5)).changes}
    assert found["c"].says == ("kernel 3 -> 5",)
    assert found["c"].deltas[0] == 4 * 3 * (25 - 9)
    assert set(found) == {"c"}
    found = {c.name: c for c in dl.diff(small(), small(width=6)).changes}
    assert found["c"].says == ("8x8x4 -> 8x8x6",)
    assert found["out"].says == ("w 256x5 -> 384x5",)
    (one,) = (c for c in dl.diff(small(), small(skip=False)).changes if c.says)
    assert one.says == ("reads d, d, before d, a",)


def test_what_stands_elsewhere_is_not_new():
    def net(first):
        z = dl.Input((4, 4, 2), name="z")
        make = {"l": lambda: dl.conv(z, 3, 1, name="l"),
                "r": lambda: dl.conv(z, 5, 3, pad=1, name="r")}  # fmt: skip
        parts = {name: make[name]() for name in first}
        return dl.Model(z, dl.concat([parts["l"], parts["r"]]))

    assert not dl.diff(net("lr"), net("rl"))


def test_those_alike_are_matched_in_order():
    a = [c.item for c in dl.diff(small(), small()).nodes]
    b = [replace(one, name=f"x{one.name}") for one in a if one.name != "d"]
    pairs = matched(a, b)
    assert [(p and p.name, q and q.name) for p, q in pairs] == [
        (one.name, None if one.name == "d" else f"x{one.name}") for one in a
    ]


def test_a_model_and_its_plan():
    net = dl.models.resnet18()
    found = dl.diff(net, net.plan())
    what = {c.name: c for c in found.nodes}
    assert what["bn1"].what == "removed"
    assert what["conv1"].says[0] == "+ then frozen_batch_norm + relu"
    assert found.totals[0] == found.totals[1]
    assert sum(c.deltas[0] for c in found.nodes) == 0
    step = dl.diff(net, net.plan(train=True))
    assert step.names == ("resnet18", "resnet18 as planned")
    assert {c.name for c in step.nodes} >= {"labels", "loss"}
    assert dl.diff(net.plan(), net).totals == found.totals[::-1]


def test_the_picture_holds_all(tmp_path):
    found = dl.diff(small(), small(more=True, kernel=5))
    path = tmp_path / "x.svg"
    found.draw(path)
    root = ElementTree.parse(path)
    words = [one.text for one in root.iter() if one.tag.endswith("tspan")]
    assert {"+ bn", "± c", "image", "+ 1 added"} <= set(words)
    assert "kernel 3 -> 5" in words
    first = path.read_bytes()
    found.draw(path)
    assert path.read_bytes() == first
    with pytest.raises(dl.DataError, match="no format for the suffix"):
        found.draw(tmp_path / "x.dot")
    with pytest.raises(dl.DataError, match="cannot write"):
        found.draw(tmp_path / "none" / "x.svg")


@pytest.mark.parametrize("pair", PAIRS[:4], ids="-".join)
def test_boxes_of_the_picture_stand_apart(pair):
    found = dl.diff(*(dl.models.get(name)() for name in pair))
    picture = draw.changes(found)
    boxes = [
        one for one in picture.shapes
        if isinstance(one, Rect) and one.title
        and one.style in ("added", "removed", "changed", "same")
    ]  # fmt: skip
    assert {one.style for one in boxes} == {c.what for c in found.nodes}
    for i, one in enumerate(boxes):
        assert one.x >= 0
        assert one.x + one.width <= picture.width
        for other in boxes[:i]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, down) <= 0
    signs = {"added": "+ ", "removed": "- ", "changed": "± "}
    heads = [one.runs[0][0] for one in picture.shapes if isinstance(one, Text)]
    for what, sign in signs.items():
        many = sum(one.style == what for one in boxes)
        assert sum(head.startswith(sign) for head in heads) >= many


def test_names_of_all_kinds(tmp_path):
    z = dl.Input((3,), name='a "b" <c>:\n')
    one = dl.Model(z, dl.relu(z, name="x" * 500), name="<&>")
    only = dl.Model(z, z, name="only")
    found = dl.diff(one, only)
    assert [c.what for c in found.changes] == ["removed"]
    assert all(len(line) <= 100 for line in str(found).splitlines()[2:])
    for suffix in ("svg", "pdf", "tex"):
        found.draw(tmp_path / f"x.{suffix}")
    assert not dl.diff(only, only)
    with pytest.raises(dl.DataError, match="expected a model or a plan, got str"):
        dl.diff(one, "lenet5")


def test_too_many_to_match(monkeypatch):
    monkeypatch.setattr("minidl.align.MOST", 3)
    with pytest.raises(dl.SizeError, match="nodes differ, which are too many"):
        dl.diff(small(), small("x"))


def test_from_the_command_line(capsys, tmp_path):
    path = str(tmp_path / "x.svg")

    def run(*words):
        code = cli.main(["diff", *words])
        return (code, *capsys.readouterr())

    assert run("resnet20", "resnet20") == (0, "", "")
    code, out, err = run("resnet20", "resnet32", "-o", path)
    assert (code, err) == (1, "")
    assert out.splitlines()[3].split()[:2] == ["+", "layer1.3…4"]
    assert "added" in Path(path).read_text()
    code, out, _ = run("resnet20", "resnet32", "--json")
    found = json.loads(out)
    assert code == 1
    deltas = sum(one["parameters"] for one in found["changes"])
    assert deltas == found["new"]["parameters"] - found["old"]["parameters"] > 0
    code, out, _ = run("lenet5", "--plan")
    assert code == 1
    assert "lenet5 as planned" in out
    saved = str(tmp_path / "net.npz")
    dl.models.lenet5().save(saved)
    assert run("lenet5", saved) == (0, "", "")
    for words in (("lenet5",), ("lenet5", "vgg11", "--plan"), ("lenet5", "nothing"),
                  ("lenet5", "vgg11", "-o", "x.dot")):  # fmt: skip
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.startswith("minidl: error: ")
