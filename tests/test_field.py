"""What a position sees is what it changes with: by formula, by brute force."""

import numpy as np
import pytest
from test_ops import every_case, network, point

import minidl as dl
from minidl import draw
from minidl.draw.picture import Rect
from minidl.draw.sight import sight


def depends(net, xs, k, place):
    """Which positions of the output a place of input k reaches."""
    other = [x.copy() for x in xs]
    if isinstance(net.graph.nodes[net.outputs[0]]["node"].op, bilinear):
        other[k][(0, *place)] += 1  # no neighbour with weight 0 counts
        return (net(*other) != net(*xs))[0].any(-1)
    other[k][(0, *place)] = np.nan
    return np.isnan(net(*other)[0]).any(-1)


bilinear = type(dl.upsample(dl.Input((2, 2, 1)), 2).op)


@every_case
def test_an_op_says_what_it_reads(row, case):
    net, xs = network(row, case), point(row, case, batch=1)
    op = net.graph.nodes[net.outputs[0]]["node"].op
    shapes = [x.shape[1:] for x in xs]
    out = net(*xs)
    if op.reduces:
        return
    inner = out.shape[1:-1]
    seen = [np.zeros((*inner, *shape[:-1]), bool) for shape in shapes]
    for at in np.ndindex(*inner):
        share = np.zeros(inner)
        share[at] = 1
        parts = op.field(share, *shapes)
        assert [part.shape for part in parts] == [shape[:-1] for shape in shapes]
        assert sum(part.sum() for part in parts) < 1 + 1e-9
        for one, part in zip(seen, parts, strict=True):
            one[at] = part > 0
    for k, shape in enumerate(shapes):
        if xs[k].dtype.kind == "f":
            for place in np.ndindex(*shape[:-1]):
                wanted = depends(net, xs, k, place)
                assert np.array_equal(seen[k][(..., *place)], wanted), (k, place)


def awkward():
    """Stride, dilation, one-sided padding, skips, a fork, a way back up."""
    z = dl.Input((13, 11, 2), name="image")
    a = dl.conv(z, 2, 3, stride=2, pad=((0, 1), (2, 0)), name="a")
    b = dl.conv(dl.leaky_relu(a), 2, (2, 3), pad="same", dilation=(1, 2), name="b")
    c = dl.max_pool(a + b, 2, 1, pad=((1, 0), (0, 1)), name="c")
    d = dl.conv_transpose(c, 2, 3, stride=2, pad=1, name="d")
    e = dl.crop(dl.pad(z, 1), ((1, 1), (2, 2)))
    e = dl.avg_pool(e, 3, 1, pad=1, name="e")
    size = (min(d.shape[0], e.shape[0]), min(d.shape[1], e.shape[1]))
    d, e = (
        dl.crop(one, tuple((0, n - m) for n, m in zip(one.shape, size, strict=False)))
        for one in (d, e)
    )
    end = dl.concat([d, dl.decimate(dl.upsample(e, 2), 2)])
    return dl.Model(z, end, name="awkward", dtype="float64")


def test_the_field_is_what_brute_force_finds():
    net = awkward()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 13, 11, 2))
    for node in ("b", "c", "d", net.outputs[0]):
        before = net.values(x, at=node)[node]
        shape = before.shape[1:-1]
        reached = np.zeros((*shape, 13, 11), bool)
        for place in np.ndindex(13, 11):
            for much in (-1e4, 1e4):  # one of them is the largest of its window
                z = x.copy()
                z[(0, *place)] += much
                found = net.values(z, at=node)[node]
                reached[(..., *place)] |= (found != before)[0].any(-1)
        for at in np.ndindex(*shape):
            field = dl.receptive_field(net, node, at)
            assert np.array_equal(field.shares["image"] > 0, reached[at]), (node, at)
            reach = field.reach[node]
            if reach is None:
                continue
            box = field.box("image") or ((0, -1),) * 2
            for one, i, n, (low, high) in zip(reach, at, (13, 11), box, strict=True):
                begin = one.first + one.jump * i
                assert low >= max(begin, 0)
                assert high < min(begin + one.size, n)


def test_dilation_leaves_holes():
    z = dl.Input((9, 1), name="z")
    field = dl.receptive_field(dl.Model(z, dl.conv(z, 1, 3, dilation=2)), position=1)
    assert [*(field.shares["z"] > 0)] == [i in (1, 3, 5) for i in range(9)]
    assert field.box("z") == ((1, 5),)


def test_numbers_of_others():
    """As published by Araujo, Norris and Sim (Distill, 2019), and by VGG's table."""
    for name, node, size, jump in (
        ("alexnet", "pool5", 195, 32), ("vgg16", None, 212, 32),
        ("mobilenet_v1", None, 315, 32),
    ):  # fmt: skip
        field = dl.receptive_field(dl.models.get(name)(), node)
        for one, (low, high) in zip(
            field.reach[field.node], field.box("image"), strict=True
        ):
            assert (one.size, one.jump) == (size, jump)
            last = field.shapes["image"][0] - 1
            start = one.first + 3 * one.jump
            assert (low, high) == (max(start, 0), min(start + size - 1, last))


def test_the_lectures_sizes():
    """A stack of 3x3 sees 3, 5, 7; a step makes the next ones count double."""
    z = node = dl.Input((32, 32, 1))
    for i in range(3):
        node = dl.conv(node, 1, 3, name=f"c{i}")
    node = dl.conv(dl.max_pool(node, 2, name="p"), 1, 3, name="c3")
    field = dl.receptive_field(dl.Model(z, node))
    sizes = [field.reach[name][0].size for name in ("c0", "c1", "c2", "p", "c3")]
    assert sizes == [3, 5, 7, 8, 12]


def test_what_all_positions_share_is_seen_everywhere():
    z = dl.Input((6, 5, 2), name="z")
    gate = dl.sigmoid(dl.conv(dl.global_avg_pool(z, keep=True), 2, 1))
    field = dl.receptive_field(dl.Model(z, z * gate, name="gate"), position=(0, 0))
    assert field.reach[field.node] is None
    assert field.box("z") == ((0, 5), (0, 4))
    assert field.shares["z"].argmax() == 0
    assert np.isclose(field.shares["z"].sum(), 1)


def test_what_is_drawn_is_what_is_seen():
    net = awkward()
    field = dl.receptive_field(net, "c", (3, 2))
    shades = [
        one for one in sight(net, field).shapes
        if isinstance(one, Rect) and one.style.startswith("heat") and not one.radius
    ]  # fmt: skip
    side = 360 // 13
    area = sum(one.width * one.height for one in shades)
    assert round(area / side**2) == (field.shares["image"] > 0).sum()


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ({"node": "nor"}, dl.GraphError, "no node is called 'nor'; did you mean norm"),
        ({"node": 7}, dl.GraphError, "no node is called 7"),
        ({"node": "C1", "position": (28, 0)}, dl.DataError, r"\(0 to 27, 0 to 27\)"),
        ({"node": "C1", "position": (-1, 0)}, dl.DataError, "C1: position: expected"),
        ({"node": "C1", "position": 3}, dl.DataError, "C1: position: expected"),
        ({"node": "C1", "position": (1.5, 0)}, dl.DataError, "C1: position: expected"),
        ({"node": "F6", "position": 0}, dl.DataError, r"expected \(\) for a vector"),
    ],
)
def test_what_no_field_has(how, error, match):
    with pytest.raises(error, match=match):
        dl.receptive_field(dl.models.lenet5(), **how)


def test_small_graphs(tmp_path):
    z = dl.Input((3,), name="only <&>")
    field = dl.receptive_field(dl.Model(z, z))
    assert field.box("only <&>") == ()
    assert "only <&>" in str(field)
    net = dl.Model(z, dl.dense(z, 2), name="vector")
    net.draw(tmp_path / "x.svg", view="field")
    signal = dl.Input((None, 1), name="signal")
    net = dl.Model(signal, dl.conv(signal, 1, 3))
    with pytest.raises(dl.Error, match="size"):
        dl.receptive_field(net)
    assert dl.receptive_field(net, size=(7,)).box("signal") == ((2, 4),)
    draw.write(draw.view(net, "field", size=(7,)), tmp_path / "y.pdf")
