"""ONNX files that are wrong, or wish us ill, and files of others that are fine."""

import sys

import numpy as np
import pytest
from onnx import TensorProto, helper
from test_onnx import close, theirs

import minidl as dl
from minidl.exchange.onnx import fold, proto


def node(kind, inputs, outputs, name="n", **settings):
    """A node of a file."""
    return helper.make_node(kind, inputs, outputs, name, **settings)


def file(path, nodes, constants=(), inputs=("x",), shape=(1, 3, 8, 8), outputs=("y",)):
    """A file of these nodes, that reads images; what was made of it."""
    kinds = [
        helper.make_tensor_value_info(one, TensorProto.FLOAT, shape) for one in inputs
    ]
    ends = [
        helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs
    ]
    graph = helper.make_graph(
        nodes, "bad", kinds, ends,
        [helper.make_tensor(*one) if isinstance(one, tuple) else one
         for one in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    path.write_bytes(model.SerializeToString())
    return model


W = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 3, 3), [0.1] * 108)
RELU = node("Relu", ["x"], ["y"])


def huge():
    """A constant that declares far more than it holds."""
    return TensorProto(name="w", dims=[2**20, 2**20], data_type=1, raw_data=b"1234")


def outside(location, length="432"):
    """A constant whose data lies elsewhere."""
    one = TensorProto(name="w", dims=[4, 3, 3, 3], data_type=1, data_location=1)
    for key, value in {"location": location, "length": length}.items():
        one.external_data.add(key=key, value=value)
    return one


CONV = node("Conv", ["x", "w"], ["y"])
BAD = {  # nodes, constants and more, and what the error says
    "unknown op": ([node("Einsum", ["x"], ["y"])], {}, "no such operation"),
    "other domain": ([node("Relu", ["x"], ["y"], domain="com.me")], {}, "com.me"),
    "control flow": ([node("Loop", ["x"], ["y"])], {}, "'n' (Loop)"),
    "cycle": ([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"], "m"),
               node("Relu", ["b"], ["y"], "k")], {}, "has a cycle"),
    "missing constant": ([CONV], {}, "reads 'w', which is neither an input"),
    "made twice": ([RELU, RELU], {}, "'y' is made twice"),
    "no such output": ([RELU], {"outputs": ("z",)}, "no node makes the outputs"),
    "no output": ([RELU], {"outputs": ()}, "has no output"),
    "no nodes": ([], {}, "no nodes"),
    "huge constant": ([CONV], {"constants": [huge()]}, "asks for 4,398,046,511,104"),
    "negative sizes": ([CONV], {"constants": [
        TensorProto(name="w", dims=[-4, 3], data_type=1)]}, "shape (-4, 3)"),
    "strange type": ([CONV], {"constants": [
        TensorProto(name="w", dims=[1], data_type=99)]}, "type 99"),
    "text as weights": ([CONV], {"constants": [
        TensorProto(name="w", dims=[1], data_type=8, string_data=[b"a"])]}, "type 8"),
    "whole weights": ([CONV], {"constants": [
        ("w", TensorProto.INT64, (4, 3, 3, 3), [1] * 108)]}, "expected floats"),
    "too few weights": ([CONV], {"constants": [TensorProto(
        name="w", dims=[4, 3, 3, 3], data_type=1, float_data=[1.0])]}, "data has 1"),
    "other channels": ([CONV], {"constants": [W], "shape": (1, 5, 8, 8)},
                       "expected (3, 3, 5, 4)"),
    "kernel too large": ([CONV], {"constants": [W], "shape": (1, 3, 2, 2)},
                         "kernel 3 is larger"),
    "absurd input": ([RELU], {"shape": (1, 2**62, 8, 8)}, "size 4611686018427387904"),
    "negative input": ([RELU], {"shape": (1, -3, 8, 8)}, "the size -3"),
    "no shape": ([RELU], {"shape": None}, "has no shape"),
    "absurd pads": ([node("Conv", ["x", "w"], ["y"], pads=[-1] * 4)],
                    {"constants": [W]}, "pad: expected a whole number"),
    "pads of a kind": ([node("Conv", ["x", "w"], ["y"], pads="many")],
                       {"constants": [W]}, "pads: expected list"),
    "strides of 0": ([node("Conv", ["x", "w"], ["y"], strides=[0, 0])],
                     {"constants": [W]}, "strides: expected a whole number >= 1"),
    "groups": ([node("Conv", ["x", "w"], ["y"], group=7)], {"constants": [W]},
               "does not divide"),
    "unknown setting": ([node("Relu", ["x"], ["y"], speed=3)], {}, "['speed']"),
    "unknown auto_pad": ([node("Conv", ["x", "w"], ["y"], auto_pad="MAYBE")],
                         {"constants": [W]}, "auto_pad"),
    "3-D": ([node("Conv", ["x", "w"], ["y"])], {"constants": [
        ("w", TensorProto.FLOAT, (1, 1, 1, 1, 1), [1.0])]}, "a kernel of 3 axes"),
    "computed filters": ([node("Conv", ["x", "x"], ["y"])], {}, "is computed"),
    "perm": ([node("Transpose", ["x"], ["y"], perm=[0, 0, 1, 9])], {}, "orders 4 axes"),
    "mixing the batch": ([node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])], {},
                         "minidl keeps examples apart"),
    "axis": ([node("Concat", ["x", "x"], ["y"], axis=9)], {}, "axis 9"),
    "reshape": ([node("Reshape", ["x", "s"], ["y"])], {"constants": [
        ("s", TensorProto.INT64, (2,), [1, 7])]}, "would not be the batch"),
    "reshape to much": ([node("Reshape", ["x", "s"], ["y"])], {"constants": [
        ("s", TensorProto.INT64, (2,), [-1, 2**62])]}, "(Reshape)"),
    "resize to much": ([node("Resize", ["x", "", "s"], ["y"])], {"constants": [
        ("s", TensorProto.FLOAT, (4,), [1, 1, 1e30, 1e30])]}, "scales"),
    "resize to nothing": ([node("Resize", ["x", "", "", "s"], ["y"])], {"constants": [
        ("s", TensorProto.INT64, (4,), [1, 3, 0, 8])]}, "0 pixels"),
    "expand a constant": ([node("Expand", ["w", "s"], ["e"]),
                           node("Add", ["x", "e"], ["y"])],
                          {"constants": [
                              W, ("s", TensorProto.INT64, (3,), [2**40] * 3)]},
                          "makes a constant of shape"),
    "add to much": ([node("ConstantOfShape", ["s"], ["a"]),
                     node("Add", ["a", "a"], ["b"]), node("Add", ["x", "b"], ["y"])],
                    {"constants": [("s", TensorProto.INT64, (2,), [2**20, 2**19])]},
                    "makes a constant of shape"),
    "by 0": ([node("Div", ["x", "w"], ["y"])], {"constants": [
        ("w", TensorProto.FLOAT, (1,), [0.0])]}, "by 0"),
    "data above": ([CONV], {"constants": [outside("../w.bin")]}, "'../w.bin'"),
    "data at the root": ([CONV], {"constants": [outside("/etc/passwd")]}, "/etc/pass"),
    "data nowhere": ([CONV], {"constants": [outside("")]}, "only a file in the folder"),
    "data missing": ([CONV], {"constants": [outside("w.bin")]}, "No such file"),
    "data by a link": ([CONV], {"constants": [outside("link.bin")]}, "'link.bin'"),
    "data too short": ([CONV], {"constants": [outside("short.bin")]}, "which has 4"),
    "data of a kind": ([CONV], {"constants": [outside("short.bin", "many")]}, "many"),
    "data less than none": ([CONV], {"constants": [outside("short.bin", "-4")]}, "-4"),
    "absurd strides": ([node("ConvTranspose", ["x", "w"], ["y"], strides=[2**50] * 2)],
                       {"constants": [("w", 1, (3, 1, 1, 1), [1.0] * 3)]}, "strides"),
    "100 axes of weights": ([CONV], {"constants": [
        TensorProto(name="w", dims=[1] * 100, data_type=1, raw_data=b"1234")]}, "'w'"),
    "100 axes of an input": ([RELU], {"shape": (1,) * 100}, "has 100 axes"),
    "0 times too much": ([CONV], {"constants": [TensorProto(
        name="w", dims=[0, 2**62, 2**62], data_type=1, raw_data=b"")]}, "shape (0, 4"),
    "two constants": ([CONV], {"constants": [W, W]}, "'w' stands twice"),
    "two inputs": ([RELU], {"inputs": ("x", "x")}, "'x' stands twice"),
    "two outputs": ([RELU], {"outputs": ("y", "y")}, "'y' stands twice"),
    "makes a constant": ([node("Relu", ["x"], ["w"])], {"constants": [W]}, "is made"),
    "makes nothing": ([node("Relu", ["x"], [])], {}, "first output has no name"),
    "makes no name": ([node("Relu", ["x"], [""])], {}, "first output has no name"),
    "reads nothing": ([node("Relu", [], ["y"])], {}, "input 0 is missing"),
    "reads too much": ([node("Relu", ["x"] * 9, ["y"])], {}, "9 inputs, at most 1"),
    "input without a name": ([RELU, node("Relu", [""], ["z"])],
                             {"inputs": ("x", "")}, "non-empty"),
    "constants that grow": (
        [node("Concat", [f"w{i}"] * 8, [f"w{i + 1}"], axis=0) for i in range(9)]
        + [node("Add", ["x", "w9"], ["y"])],
        {"constants": [("w0", TensorProto.FLOAT, (4096,), [0.0] * 4096)]},
        "too large a constant"),
    "absurd windows": ([node("MaxPool", ["x"], ["y"], kernel_shape=[2**31] * 2,
                             pads=[2**30] * 4)], {}, "at most 2^32 do"),
    "order of a kind": ([node("Transpose", ["x"], ["y"], perm=3)], {}, "perm"),
    "no second output": ([node("Relu", ["x"], ["y", "z"])], {"outputs": ("y", "z")},
                         "'z' is read"),
    "nothing moves": ([node("Identity", ["w"], ["y"])], {"constants": [W]},
                      "depends on no input"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_files_say_what_is_wrong(name, tmp_path):
    nodes, more, text = BAD[name]
    path = tmp_path / "x.onnx"
    (tmp_path / "short.bin").write_bytes(b"1234")
    secret = tmp_path.parent / f"{tmp_path.name}.bin"
    secret.write_bytes(b"0" * 432)
    (tmp_path / "link.bin").symlink_to(secret)
    file(path, nodes, **more)
    with pytest.raises(dl.Error) as caught:
        dl.from_onnx(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)


def sized(number, data):
    """A field of a protobuf that says its length."""
    def whole(n):
        return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + whole(n // 128)

    return whole(number * 8 + 2) + whole(len(data)) + data


def nested(depth):
    """A file of loops in loops."""
    end = helper.make_tensor_value_info("y", 1, None).SerializeToString()
    data = sized(1, RELU.SerializeToString()) + sized(12, end)
    for _ in range(depth):
        body = sized(5, sized(1, b"body") + sized(6, data) + b"\xa0\x01\x05")
        data = sized(1, sized(1, b"x") + sized(2, b"y") + sized(4, b"Loop") + body)
        data += sized(12, end)
    return b"\x08\x09" + sized(7, data) + sized(8, b"\x10\x13")


RAW = {  # bytes, and what the error says
    "a number for the graph": (b"\x38\x01", "is not an ONNX file"),
    "a length that lies": (b"\x3a\xff\xff\xff\xff\x0f", "is not an ONNX file"),
    "a number without end": (b"\xff" * 50, "is not an ONNX file"),
    "groups in groups": (b"\x0b" * 9999, "is not an ONNX file"),
    "loops in loops": (nested(9), "(Loop)"),
    "loops without end": (nested(999), "is not an ONNX file"),
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_graph(name, tmp_path):
    data, text = RAW[name]
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(dl.DataError) as caught:
        dl.from_onnx(tmp_path / "x.onnx")
    assert text in str(caught.value)


def test_constants_have_a_limit_together(tmp_path, monkeypatch):
    """Each is small enough, all of them would fill the memory."""
    monkeypatch.setattr(fold, "TOTAL", 4000)
    nodes = [node("Add", ["a", "a"], [f"b{i}"], f"n{i}") for i in range(3)]
    nodes += [node("Add", ["x", f"b{i}"], [f"y{i}"]) for i in range(3)]
    path, ends = tmp_path / "x.onnx", ("y0", "y1", "y2")
    file(path, nodes, [("a", 1, (400,), [0.0] * 400)], ("x",), (1, 400), ends)
    with pytest.raises(dl.DataError, match=r"'n2' \(Add\): what follows from"):
        dl.from_onnx(path)


def test_large_weights_go_beside_the_graph(tmp_path, monkeypatch):
    """The limit of a protobuf, lowered."""
    net = dl.models.lenet5(variant="modern")
    net.to_onnx(tmp_path / "whole.onnx")
    assert not (tmp_path / "whole.onnx.data").exists()
    writer = sys.modules["minidl.exchange.onnx.write"]
    monkeypatch.setattr(writer, "LARGE", 100_000)
    net.to_onnx(tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").stat().st_size < 20_000
    z = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    close(theirs(tmp_path / "x.onnx", z)[0], net(z))
    close(dl.from_onnx(tmp_path / "x.onnx")(z), net(z))
    monkeypatch.setattr(proto, "LARGEST", 10_000)
    with pytest.raises(dl.DataError, match="large weights belong"):
        dl.from_onnx(tmp_path / "whole.onnx")


def test_all_that_is_wrong_is_named_at_once(tmp_path):
    path = tmp_path / "x.onnx"
    file(path, [
        node("Einsum", ["x"], ["a"], "first"), node("Relu", ["a"], ["b"], "fine"),
        node("Det", ["x"], ["c"], "second"), node("Add", ["b", "c"], ["y"], "m"),
    ])
    with pytest.raises(dl.DataError) as caught:
        dl.from_onnx(path)
    text = str(caught.value)
    assert "nothing was built: 2 of 4 nodes: 'first' (Einsum)" in text
    assert "'second' (Det)" in text
    assert "fine" not in text


def test_every_cut_and_every_flip_is_an_error_or_a_model(tmp_path):
    """Truncated files, and files with a wrong byte, never raise anything else."""
    path, rng = tmp_path / "x.onnx", np.random.default_rng(0)
    image = dl.Input((8, 8, 3), name="x")
    z = dl.max_pool(dl.relu(dl.batch_norm(dl.conv(image, 4, 3, pad=1))), 2)
    z = dl.resize(dl.concat([z, z]), size=(6, 6))
    dl.Model(image, dl.dense(dl.flatten(z), 3)).to_onnx(path)
    whole = path.read_bytes()
    files = [whole[:n] for n in range(0, len(whole), 61)]
    for _ in range(400):
        flipped = bytearray(whole)
        for at in rng.integers(len(whole), size=rng.integers(1, 4)):
            flipped[at] = rng.integers(256)
        files.append(bytes(flipped))
    errors = 0
    for data in files:
        path.write_bytes(data)
        try:
            dl.from_onnx(path)
        except dl.Error:
            errors += 1
    assert errors > len(files) // 4


def test_other_files_and_paths(tmp_path):
    for name, data in {"empty": b"", "text": b"hello", "zeros": bytes(999)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(dl.DataError, match="is not an ONNX file"):
            dl.from_onnx(path)
    with pytest.raises(dl.DataError, match="No such file"):
        dl.from_onnx(tmp_path / "nowhere.onnx")
    with pytest.raises(dl.DataError, match="directory"):
        dl.from_onnx(tmp_path)
    with pytest.raises(dl.DataError, match="expected a path"):
        dl.from_onnx(3)
    path = tmp_path / "x.onnx"
    for opset in (6, 99):
        model = file(path, [RELU])
        model.opset_import[0].version = opset
        path.write_bytes(model.SerializeToString())
        with pytest.raises(dl.DataError, match=f"operator set {opset}"):
            dl.from_onnx(path)
    file(path, [RELU])
    with pytest.raises(dl.DataError, match="channels: expected"):
        dl.from_onnx(path, channels="middle")
    with pytest.raises(dl.DataError, match="has no input 'z'"):
        dl.from_onnx(path, constants={"z": np.zeros(3)})
    with open(path, "wb") as sparse:
        sparse.truncate(2**31)
    with pytest.raises(dl.DataError, match="more than 2 GB"):
        dl.from_onnx(path)
