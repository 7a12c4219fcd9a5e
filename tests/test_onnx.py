"""ONNX: what goes out means the same to others, and comes back as the same."""

import importlib
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.backend.test.case.node import _NodeTestCases
from test_ops import network, point

import minidl as dl
from minidl.ops import TABLE

CASES = [
    pytest.param(row, case, id=f"{name}-{i}")
    for name, row in TABLE.items()
    for i, case in enumerate(row.cases)
]
NOT_SAID = {  # ops that are not for inference
    "softmax_cross_entropy", "mean_squared_error", "hinge", "binary_cross_entropy",
    "soft_cross_entropy",
}
ONE_WAY = {  # what they become in ONNX no file is read with
    "locally_connected": "several matrices", "tiled_conv": "several matrices",
    "col2im": "no such operation",
}


def first(z):
    """n h w c as n c h w."""
    return np.ascontiguousarray(np.moveaxis(z, -1, 1)) if z.ndim > 2 else z


def theirs(path, *x):
    """What ONNX Runtime makes of it, channels last."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, dict(zip(names, map(first, x), strict=True)))
    return [np.moveaxis(y, 1, -1) if y.ndim > 2 else y for y in found]


def close(a, b, tolerance=1e-4):
    """Assert that they agree, beside the size of the numbers."""
    assert np.shape(a) == np.shape(b)
    assert np.isfinite(b).all()
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, abs(b).max()))


def settled(net):
    """The network with statistics as after training."""
    rng = np.random.default_rng(5)
    for name, value in net.buffers.items():
        if name.endswith(".var"):
            value[...] = rng.uniform(0.5, 2, value.shape)
        elif name.endswith(".mean"):
            value[...] = rng.normal(0, 0.2, value.shape)
    return net


@pytest.mark.parametrize(("row", "case"), CASES)
def test_every_op_goes_out_and_comes_back(row, case, tmp_path):
    net, path = network(row, case, "float32"), tmp_path / "x.onnx"
    name = row.build.__name__
    if name in NOT_SAID or (name == "lrn" and case.settings.get("size", 5) % 2 == 0):
        with pytest.raises(dl.DataError, match="cannot be written as ONNX"):
            net.to_onnx(path)
        assert not path.exists()
        return
    z = point(row, case, dtype="float32")
    net.to_onnx(path)
    onnx.checker.check_model(path, full_check=True)
    x = net(*z)
    (found,) = theirs(path, *z)
    close(found, x)
    try:
        back = dl.from_onnx(path)
    except dl.DataError as error:
        assert ONE_WAY[name] in str(error)  # noqa: PT017
        return
    assert back.inputs == net.inputs
    assert back.outputs == net.outputs
    close(back(*z), x)


SMALL = {"input": (32, 32, 3), "classes": 10}
ZOO = {
    "lenet5": {}, "resnet20": {}, "mobilenet_v2": SMALL, "efficientnet_b0": SMALL,
    "googlenet": {**SMALL, "input": (64, 64, 3)}, "densenet_bc_100_12": {},
    "all_cnn_c": {}, "nasnet_mobile": SMALL,
}


@pytest.mark.parametrize("name", ZOO)
def test_networks_go_out_and_come_back(name, tmp_path):
    net, path = settled(dl.models.get(name)(**ZOO[name])), tmp_path / "x.onnx"
    net.to_onnx(path)
    onnx.checker.check_model(path, full_check=True)
    shape = net.graph.nodes[net.inputs[0]]["node"].shape
    z = np.random.default_rng(0).normal(size=(2, *(n or 32 for n in shape)))
    z = z.astype("float32")
    x = net(z)
    close(theirs(path, z)[0], x)
    back = dl.from_onnx(path)
    close(back(z), x)
    if name not in ("lenet5", "efficientnet_b0"):  # which ONNX says in other words
        assert list(back.graph) == list(net.graph), "names are kept"
        assert back.count == net.count


def test_bytes_go_out_and_come_back(tmp_path):
    image = dl.Input((8, 8, 3), name="image", dtype="uint8")
    z = dl.normalise(image, (125.0, 123.0, 114.0), (64.0, 63.0, 66.0))
    net, path = dl.Model(image, dl.conv(z, 4, 3)), tmp_path / "x.onnx"
    net.to_onnx(path)
    onnx.checker.check_model(path, full_check=True)
    z = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    back = dl.from_onnx(path)
    assert back.graph.nodes["image"]["node"].spec.dtype == "uint8"
    for found in (theirs(path, z)[0], back(z)):
        close(found, net(z), 1e-5)


LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.fixture(scope="module")
def sweep():
    """The script that makes the figures of the docs."""
    home = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, home)
    yield importlib.import_module("exchange")
    sys.path.remove(home)
    del sys.modules["exchange"]


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v2"])
def test_light_models_come_in(name, sweep, tmp_path):
    """With weights in place of the constants that keep these files small."""
    path = tmp_path / "x.onnx"
    sweep.weighted(LIGHT / f"light_{name}.onnx", path)
    net = dl.from_onnx(path)
    z = np.random.default_rng(0).uniform(0, 1, (1, 224, 224, 3)).astype("float32")
    close(net(z), theirs(path, z)[0], 1e-5)


def test_transposes_cancel():
    """Shuffled channels move once, not there and back in each of the 16 units."""
    net = dl.from_onnx(LIGHT / "light_shufflenet.onnx")
    kinds = [data["node"].op.kind for _, data in net.graph.nodes(data=True)]
    assert kinds.count("transpose") == 16


# The node tests of the onnx package, a part of them; the sweep runs all.
MODULES = (
    "conv", "convtranspose", "maxpool", "gemm", "matmul", "resize", "transpose", "pad",
    "reshape", "softmax", "flatten", "squeeze", "unsqueeze", "add", "prelu", "clip",
    "dropout", "batch_normalization", "lrn", "concat", "depthtospace", "spacetodepth",
    "slice", "split", "sub", "expand", "selu", "thresholdedrelu",
)
REFUSED = {  # and the reason
    "test_batchnorm_example_training_mode": "takes statistics of the batch",
    "test_batchnorm_epsilon_training_mode": "takes statistics of the batch",
    "test_convtranspose_3d": "a kernel of 3 axes",
    "test_training_dropout_default": "draws at random",
    "test_training_dropout": "draws at random",
    "test_reshape_allowzero_reordered": "would not be the batch",
    "test_resize_tf_crop_and_resize": "tf_crop_and_resize",
    "test_resize_tf_crop_and_resize_extrapolation_value": "tf_crop_and_resize",
    "test_resize_tf_crop_and_resize_axes_2_3": "tf_crop_and_resize",
    "test_resize_tf_crop_and_resize_axes_3_2": "tf_crop_and_resize",
}
REFUSED |= {
    "test_slice_neg_steps": "reads backwards",
    "test_slice_start_out_of_bounds": "takes nothing",
    "test_split_zero_size_splits_opset13": "",
    "test_split_zero_size_splits_opset18": "",
}
MORE = {"DepthToSpace", "SpaceToDepth", "Slice", "Split", "Sub", "Expand"}


@pytest.mark.filterwarnings("ignore")
def test_node_tests(sweep, tmp_path):
    for name in MODULES:
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    cases = list(sweep.chosen(_NodeTestCases, sweep.KINDS | MORE))
    assert len(cases) > 180
    wrong = {}
    for case in cases:
        why = sweep.attempt(case, tmp_path / "x.onnx")
        if REFUSED.get(case.name, "") not in (why or [""])[0] or (
            bool(why) != (case.name in REFUSED)
        ):
            wrong[case.name] = why
    assert wrong == {}
