"""What else an ONNX file may hold, and what is written to one."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from test_onnx import close, theirs
from test_onnx_files import W, file, node

import minidl as dl
from minidl import cli
from minidl.exchange.onnx import into, proto


def test_images_of_others_come_in_channels_last(tmp_path):
    """A file whose input is n h w c, with a transpose to n c h w and one back."""
    path = tmp_path / "x.onnx"
    nodes = [
        node("Transpose", ["x"], ["a"], "in", perm=[0, 3, 1, 2]),
        node("Conv", ["a", "w"], ["b"], "c1"),
        node("Relu", ["b"], ["c"], "r1"),
        node("Transpose", ["c"], ["y"], "out", perm=[0, 2, 3, 1]),
    ]
    file(path, nodes, [W], shape=("N", 8, 8, 3))
    net = dl.from_onnx(path)
    assert [data["node"].op.kind for _, data in net.graph.nodes(data=True)] == [
        "input", "conv", "relu"
    ]
    assert net.outputs == ("y",)
    assert net.graph.nodes["x"]["node"].shape == (8, 8, 3)


def test_open_sizes(tmp_path):
    """Sizes that follow from others, as exporters write them."""
    path = tmp_path / "x.onnx"
    nodes = [
        node("Conv", ["x", "w"], ["a"], "c1", pads=[1, 1, 1, 1]),
        node("Shape", ["a"], ["s"], "shape"),
        node("Gather", ["s", "zero"], ["n"], "batch"),
        node("Unsqueeze", ["n", "axis"], ["u"], "row"),
        node("Concat", ["u", "rest"], ["t"], "join", axis=0),
        node("Reshape", ["a", "t"], ["y"], "flat"),
    ]
    constants = [
        W, ("zero", TensorProto.INT64, (), [0]), ("axis", TensorProto.INT64, (1,), [0]),
        ("rest", TensorProto.INT64, (1,), [-1]),
    ]
    file(path, nodes, constants, shape=("N", 3, "h", "w"))
    with pytest.raises(dl.DataError, match="open"):
        dl.from_onnx(path)
    net = dl.from_onnx(path, size=(4, 5))
    z = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    assert net(z).shape == (2, 80)
    close(net(z), theirs(path, z)[0])


def test_shared_constants_are_shared_parameters(tmp_path):
    image = dl.Input((6, 6, 3), name="image")
    one = dl.conv(image, 3, 3, pad=1, name="one")
    two = dl.conv(one, 3, 3, pad=1, name="two", share=one)
    net = dl.Model(image, two)
    net.to_onnx(tmp_path / "x.onnx")
    assert len(onnx.load(tmp_path / "x.onnx").graph.initializer) == 2
    back = dl.from_onnx(tmp_path / "x.onnx")
    assert list(back.parameters) == ["one.w", "one.b"]


def test_whose_constants_are_shared_is_found_by_their_name_at_once():
    compared = []

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(other)
            return str(self) == str(other)

    theta, z = {}, dl.Input((4, 4, 3))
    for i in (*range(50), 7):
        said = proto.Said("Conv", "", "", ("x", Name(f"w{i}")), ("y",), {})
        step = into.Step(said, (), 19, theta)
        made = step.owned(dl.conv(z, 2, 1, bias=False), w=np.zeros((1, 1, 3, 2)))
    assert made.owner is theta["Conv", "w7"][0][0]
    assert (len(theta), len(compared)) == (50, 2)  # here, and by the line before this


def test_weights_beside_the_graph(tmp_path):
    net = dl.models.lenet5(variant="modern")
    net.to_onnx(tmp_path / "x.onnx", external=True)
    assert (tmp_path / "x.onnx.data").stat().st_size > 100_000
    onnx.checker.check_model(tmp_path / "x.onnx")
    z = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    close(theirs(tmp_path / "x.onnx", z)[0], net(z))
    close(dl.from_onnx(tmp_path / "x.onnx")(z), net(z))


def test_the_same_model_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        dl.models.resnet20().to_onnx(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", ['a"b', "a:b", "<a>", "über", "a\nb", "a/b", "a.w"])
def test_any_name(name, tmp_path):
    image = dl.Input((4, 4, 3), name="image")
    net = dl.Model(image, dl.relu(dl.conv(image, 2, 1, name=name), name=f"{name}.w"))
    net.to_onnx(tmp_path / "x.onnx")
    onnx.checker.check_model(tmp_path / "x.onnx")
    assert list(dl.from_onnx(tmp_path / "x.onnx").graph) == list(net.graph)


def test_what_cannot_be_said_is_named(tmp_path):
    image, labels = dl.Input((4,), name="z"), dl.Input((), name="l", dtype="int64")
    loss = dl.softmax_cross_entropy(image, labels, name="loss")
    net = dl.Model([image, labels], loss)
    text = r"loss \(softmax_cross_entropy\).*l \(input"
    with pytest.raises(dl.DataError, match=text):
        net.to_onnx(tmp_path / "x.onnx")
    odd = dl.Model(image, dl.relu(image, name="\ud800"))
    with pytest.raises(dl.DataError, match="not valid Unicode"):
        odd.to_onnx(tmp_path / "x.onnx")
    with pytest.raises(dl.DataError, match="as well"):
        dl.Model(image, [image, dl.relu(image)]).to_onnx(tmp_path / "x.onnx")
    net = dl.Model(image, dl.relu(image))
    with pytest.raises(dl.DataError, match="nothing was changed"):
        net.to_onnx(tmp_path / "nowhere" / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    image = dl.Input((4,))
    with pytest.raises(dl.Error, match=r"pip install minidl\[onnx\]"):
        dl.Model(image, dl.relu(image)).to_onnx(tmp_path / "x.onnx")


def test_the_command_line(tmp_path, capsys):
    path = str(tmp_path / "x.onnx")
    assert cli.main(["export", "lenet5", "-o", path]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert cli.main(["summary", path]) == 0
    assert "C3" in capsys.readouterr().out
    assert cli.main(["export", "lenet5", "-o", str(tmp_path / "x.doc")]) == 1
    assert "expected a name that ends in" in capsys.readouterr().err
    assert cli.main(["summary", str(tmp_path / "y.onnx")]) == 1
    assert "No such file" in capsys.readouterr().err
