"""Views of a model: what is drawn holds, from the coordinates."""

import json
from itertools import pairwise

import pytest

import minidl as dl
from minidl import cli, draw
from minidl.draw.label import clean, width
from minidl.draw.legend import ticks
from minidl.draw.lifetimes import USES, alive, buffers
from minidl.draw.picture import Line, Rect, Text


def fork():
    """Two inputs, a skip, an op in place, what is read twice."""
    a, b = dl.Input((9, 7, 3), name='"a" <&>'), dl.Input((9, 7, 3), name="late:\n")
    z = dl.conv(dl.relu(a + b), 4, 3, pad="same", name="c")
    z = dl.max_pool(dl.relu(dl.batch_norm(z)) + z, 2)
    return dl.Model((a, b), dl.dense(dl.flatten(z), 5), name="fork <&>")


def apart(boxes):
    """No two of them overlap."""
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, down) < TINY, (one.title, other.title)


TINY = 1e-6
NETS = {"fork": fork, "lenet5": dl.models.lenet5, "resnet20": dl.models.resnet20}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("make", NETS.values(), ids=list(NETS))
def test_buffers_that_are_alive_together_lie_apart(make, train):
    net = make()
    plan = net.plan(2, train)
    picture = draw.view(net, "plan", batch=2, size=None, train=train)
    rects = (one for one in picture.shapes if isinstance(one, Rect))
    boxes = [one for one in rects if " at byte " in one.title]
    assert len(boxes) == len(buffers(plan))
    apart(boxes)
    for one in boxes:
        assert one.x >= 0
        assert one.x + one.width <= picture.width
    high = max(one.y + one.height for one in boxes) - min(one.y for one in boxes)
    (scale,) = {round(b.height / a.bytes * plan.bytes, 6)
                for a, b in zip(buffers(plan), boxes, strict=True)}  # fmt: skip
    assert high <= scale + TINY  # every buffer is in the arena
    assert max(alive(plan)) == alive(plan)[plan.peak_step] <= plan.bytes
    assert {one.use for one in buffers(plan)} <= set(USES)
    drawn = {name for one in buffers(plan) for name in one.names}
    assert drawn == {r.name for r in plan.regions if r.last >= 0 and r.bytes}


def test_round_numbers():
    for most in (*range(40), 10**6, 10**9 + 7):
        found = ticks(most)
        assert found[0] == 0
        assert 1 <= len(found) <= 9
        assert found[-1] <= most


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".tex"])
def test_a_plan_in_every_picture_format(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    fork().draw(path, view="plan", train=True)
    first = path.read_bytes()
    fork().draw(path, view="plan", train=True)
    assert path.read_bytes() == first


@pytest.mark.parametrize("fold", [None, 0])
@pytest.mark.parametrize("make", [fork, dl.models.resnet20, dl.models.lenet5])
def test_every_node_that_learns_stands_beside_its_adjoint(make, fold):
    net = make()
    picture = draw.view(net, "training", fold=fold)
    boxes = [one for one in picture.shapes if isinstance(one, Rect)
             and "  [" in one.title]  # fmt: skip
    apart(boxes)
    for one in boxes:
        assert one.x >= 0
        assert one.x + one.width <= picture.width
    adjoints = [one for one in boxes if one.title.startswith("adjoint of ")]
    forward = {one.title: one for one in boxes if one not in adjoints}
    across = {round(one.x + forward[one.title[11:]].x + one.width, 3)
              for one in adjoints}  # fmt: skip
    assert len(across) == 1  # one axis to mirror at
    for one in adjoints:
        other = forward[one.title[11:]]
        assert (one.y, one.width, one.height) == (other.y, other.width, other.height)
    if fold == 0:
        graph, steps = net.trainer.graph, net.plan(train=True).steps
        assert len(forward) == len(graph)
        back = {step.node for step in steps if step.do == "adjoint"}
        for name in back:
            assert any(f"[{clean(name)}: " in one.title for one in adjoints)
    texts = [one for one in picture.shapes if isinstance(one, Text)]
    inside = 0
    for text in texts:
        for box in boxes:
            middle = abs(text.x - box.x - box.width / 2) < 0.01
            if middle and box.y < text.y < box.y + box.height:
                inside += 1
                assert sum(width(run, size) for run, size, _ in text.runs) < box.width
    assert inside > 2 * len(boxes) - len(forward)
    kept = [one for one in picture.shapes if isinstance(one, Line)
            and " keeps " in one.title]  # fmt: skip
    heights = sorted(one.start[1] for one in kept)
    assert all(b - a > 5 for a, b in pairwise(heights))


def test_what_is_frozen_has_no_adjoint():
    net = dl.models.lenet5()
    net.freeze("C1.*", "S2.*")
    picture = draw.view(net, "training", batch=2)
    titles = [one.title for one in picture.shapes if isinstance(one, Rect)]
    said = [one for one in titles if one.startswith("adjoint of ")]
    assert not any("[C1: " in one or "[S2: " in one for one in said)
    assert any("[C3: " in one for one in said)
    words = [run[0] for one in picture.shapes if isinstance(one, Text)
             for run in one.runs]  # fmt: skip
    assert any(text.startswith("batch 2  ·  ") for text in words)
    assert "no delta" in words


def test_blocks_of_a_training_step_close(tmp_path):
    net = dl.models.resnet20()
    net.draw(tmp_path / "x.svg", view="training", depth=0)
    assert "adjoints" in (tmp_path / "x.svg").read_text()
    z = dl.Input((3,))
    with pytest.raises(dl.Error, match="nothing learns"):
        dl.Model(z, z).draw(tmp_path / "y.svg", view="training")


@pytest.mark.parametrize(
    ("name", "many", "arcs"),
    [("lenet5", 8, 0), ("alexnet", 12, 0), ("vgg16", 22, 0), ("resnet18", 21, 8)],
)
def test_volumes_stand_beside_each_other(name, many, arcs):
    net = dl.models.get(name)()
    picture = draw.view(net, "volumes")
    fronts = [one for one in picture.shapes if isinstance(one, Rect)]
    assert len(fronts) == many
    before = None
    for one in fronts:
        if before is not None and one.x > before.x:  # in the same row
            assert one.x > before.x + before.width
        before = one
        assert one.x >= 0
        assert one.x + one.width < picture.width
    words = {run[0] for one in picture.shapes if isinstance(one, Text)
             for run in one.runs}  # fmt: skip
    for node in net.graph:
        if net.graph.nodes[node]["node"].op.kind in ("conv", "dense", "max_pool"):
            assert node in words or "downsample" in node
    lines = [one for one in picture.shapes if isinstance(one, Line)]
    assert sum(one.arrow for one in lines) == arcs
    for one in lines:
        for x, y in (one.start, *(p for _, points in one.pieces for p in points)):
            assert 0 <= x <= picture.width
            assert 0 <= y <= picture.height


def test_lengths_of_volumes_follow_their_sizes():
    fronts = [
        one for one in draw.view(dl.models.vgg16(), "volumes").shapes
        if isinstance(one, Rect)
    ]  # fmt: skip
    tall, thick = ([getattr(one, what) for one in fronts] for what in
                   ("height", "width"))  # fmt: skip
    assert tall[:19] == sorted(tall[:19], reverse=True)
    assert thick[:19] == sorted(thick[:19])
    assert tall[1] == pytest.approx(2 * tall[9], abs=2)  # of 224 and 56 pixels


def test_what_is_no_chain():
    with pytest.raises(dl.DataError, match="googlenet is no chain: a branch of sev"):
        draw.view(dl.models.googlenet(), "volumes")
    z = dl.Input((2, 3, 4, 1), name="z")
    with pytest.raises(dl.DataError, match="z is 2x3x4x1: volumes have at most"):
        draw.view(dl.Model(z, dl.relu(z)), "volumes")
    z = dl.Input((3,), name="<&>")
    assert draw.view(dl.Model(z, z), "volumes").shapes
    assert draw.view(fork(), "volumes").shapes
    assert draw.view(dl.models.efficientnet_b0(), "volumes", size=(224, 224)).shapes


def test_what_cannot_be_viewed(tmp_path):
    net = dl.models.lenet5()
    with pytest.raises(dl.DataError, match="view: expected one of network, training"):
        net.draw(tmp_path / "x.svg", view="nothing")
    with pytest.raises(dl.DataError, match=r"no format for the suffix '\.dot'"):
        net.draw(tmp_path / "x.dot", view="plan")
    with pytest.raises(dl.DataError, match="the view 'plan' has no setting 'at'"):
        net.draw(tmp_path / "x.svg", view="plan", at="C1")
    with pytest.raises(dl.GraphError, match="no node is called 'C0'"):
        net.draw(tmp_path / "x.svg", view="field", at="C0")
    with pytest.raises(dl.DataError, match="cannot write"):
        net.draw(tmp_path / "none" / "x.svg", view="plan")


def test_views_from_the_command_line(capsys, tmp_path):
    path = tmp_path / "x.svg"
    words = ["draw", "lenet5", "--view", "plan", "--train", "--batch", "3"]
    assert cli.main([*words, "-o", str(path)]) == 0
    assert "memory for 3 images" in path.read_text()
    assert capsys.readouterr().out == f"{path}\n"
    words = ["lenet5", "--at", "C3", "--position", "0,9"]
    assert cli.main(["draw", *words, "--view", "field", "-o", str(path)]) == 0
    assert "what C3 (0, 9) sees" in path.read_text()
    capsys.readouterr()
    assert cli.main(["field", *words]) == 0
    assert "C3            10x10x16  14x14     2" in capsys.readouterr().out
    assert cli.main(["field", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["seen"] == "0, 9"
    assert cli.main(["field", *words[:-1], "9,10"]) == 1
    assert "(0 to 9, 0 to 9)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["field", *words[:-1], "a,b"])
