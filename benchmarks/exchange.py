"""What ONNX files give and take: the figures of docs/exchange.md.

    python benchmarks/exchange.py nodes     the node tests of the onnx package
    python benchmarks/exchange.py light     its nine light models
    python benchmarks/exchange.py zoo       every network: out, ONNX Runtime, back
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import minidl as dl

WORDS = """
    Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool
    BatchNormalization LRN Gemm MatMul Relu LeakyRelu PRelu Elu Selu Celu
    ThresholdedRelu Softmax Concat Pad Resize Upsample Flatten Reshape Transpose Add Mul
    Sum Dropout Clip Sigmoid Tanh HardSwish HardSigmoid Unsqueeze Squeeze Identity
    Constant ConstantOfShape
"""
KINDS = frozenset(WORDS.split())
FLOAT = onnx.TensorProto.FLOAT


def chosen(cases: Any, kinds: frozenset[str] = KINDS) -> Iterator[Any]:
    """Those that hold these operations alone, and compute with float32."""
    for case in cases:
        graph = case.model.graph
        types = {one.type.tensor_type.elem_type for one in graph.output}
        first = {one.type.tensor_type.elem_type for one in graph.input[:1]}
        if {one.op_type for one in graph.node} <= kinds and types == {FLOAT} and (
            first <= {FLOAT} or graph.node[0].op_type == "ConstantOfShape"
        ):
            yield case


def bindings(given: dict[str, Any]) -> Iterator[tuple[bool, list[str]]]:
    """Which inputs of a test are data: one, or all; the others are constants, as
    weights are in a file. First with the first axis as the batch, then without one."""
    real = [name for name, array in given.items() if array.dtype == np.float32]
    some = [real[:1], real, real[1:2]] if len(real) > 1 else [real]
    for batch in (True, False):
        for data in some:
            yield batch, data


def attempt(case: Any, path: Path) -> list[str]:
    """Nothing if a binding gives the outputs of the test, else why each did not."""
    inputs, outputs = (
        [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto)
         else np.asarray(v) for v in values]
        for values in case.data_sets[0]
    )
    names = [one.name for one in case.model.graph.input]
    given = dict(zip(names, inputs, strict=True))
    onnx.save(case.model, path)
    why = []
    for batch, data in bindings(given):
        rest = {name: one for name, one in given.items() if name not in data}
        try:
            net = dl.from_onnx(path, channels="first", batch=batch, constants=rest)
            x = [given[name] if batch else given[name][None] for name in net.inputs]
            found = net(*x)
        except dl.Error as error:
            why.append(str(error).rpartition("nodes: ")[2])
            continue
        found = found if isinstance(found, tuple) else (found,)
        found = [one if batch else one[0] for one in found]
        if len(found) == len(outputs) and all(
            a.shape == b.shape and np.allclose(a, b, case.rtol, case.atol)
            for a, b in zip(found, outputs, strict=True)
        ):
            return []
        why.append("other numbers")
    return list(dict.fromkeys(why))


def nodes() -> None:
    """The node tests: how many pass, and why the others do not."""
    from onnx.backend.test.case.node import collect_testcases

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        cases = list(chosen(collect_testcases(None)))
        found = {case.name: attempt(case, Path(folder) / "x.onnx") for case in cases}
    passed = sum(not why for why in found.values())
    print(f"onnx {onnx.__version__}: {passed} of {len(found)} pass")
    for name, why in found.items():
        if why:
            print(f"  {name}: {why[0]}")


def theirs(path: Any, x: Any) -> Any:
    """What ONNX Runtime computes, channels last."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    turned = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    (y,) = session.run(None, {session.get_inputs()[0].name: turned})
    return np.moveaxis(y, 1, -1)


def apart(a: Any, b: Any) -> float:
    """The largest difference, against the largest number."""
    return float(abs(a - b).max() / abs(b).max())


def weighted(path: Path, into: Path) -> None:
    """A light model with random weights in place of its constants, and without the
    softmax at its end, which would hide what the others do."""
    model, rng = onnx.load(path), np.random.default_rng(0)
    graph = model.graph
    shapes = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    kept = [one for one in graph.node if one.op_type != "ConstantOfShape"]
    for one in graph.node:
        if one.op_type == "ConstantOfShape":
            shape = shapes[one.input[0]]
            array = rng.uniform(0.5, 1.5, shape)  # biases, variances
            if len(shape) > 1:
                array = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
            graph.initializer.append(
                onnx.numpy_helper.from_array(array.astype("float32"), one.output[0])
            )
    if kept[-1].op_type == "Softmax":
        graph.output[0].name = kept.pop().input[0]
    del graph.node[:]
    graph.node.extend(kept)
    onnx.save(model, into)


def light() -> None:
    """Each light model on the package's own input, and against ONNX Runtime as it is
    and with random weights."""
    from onnx.backend.test.runner import Runner

    home = Path(onnx.__file__).parent / "backend/test/data/light"
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(home.glob("*.onnx")):
            net = dl.from_onnx(path)
            want = onnx.TensorProto()
            want.ParseFromString(
                path.with_name(f"{path.stem}_output_0.pb").read_bytes()
            )
            into = Path(folder) / "x.onnx"
            weighted(path, into)
            other = dl.from_onnx(into)
            x = np.random.default_rng(1).uniform(0, 1, (1, 224, 224, 3))
            x = x.astype("float32")
            y = net(x)
            want = onnx.numpy_helper.to_array(want)
            (given,) = (one for one in onnx.load(path).graph.input
                        if one.name == net.inputs[0])
            z = np.moveaxis(Runner.generate_dummy_data(given), 1, -1)
            found = np.moveaxis(net(np.ascontiguousarray(z)), -1, 1)
            assert found.shape == want.shape, path.name
            said = apart(found, want)
            plain, random = apart(y, theirs(path, x)), apart(other(x), theirs(into, x))
            print(
                f"{path.stem}: {len(net.graph)} nodes, {said:.1e} from what the "
                f"package expects, {plain:.1e} from ONNX Runtime, "
                f"{random:.1e} with random weights", flush=True,
            )


def zoo(names: list[str]) -> None:
    """Every network with random weights and statistics: out and back."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in names or dl.models.list():
            net, path = dl.models.get(name)(), Path(folder) / "x.onnx"
            for key, value in net.buffers.items():
                if key.endswith(".var"):
                    value[...] = rng.uniform(0.5, 2, value.shape)
                elif key.endswith(".mean"):
                    value[...] = rng.normal(0, 0.2, value.shape)
            net.to_onnx(path)
            onnx.checker.check_model(path, full_check=True)
            shape = net.graph.nodes[net.inputs[0]]["node"].shape
            x = rng.normal(size=(2, *(n or 32 for n in shape))).astype("float32")
            y, back = net(x), dl.from_onnx(path)
            print(
                f"{name}: {apart(theirs(path, x), y):.1e} from ONNX Runtime, "
                f"{apart(back(x), y):.1e} after coming back, {len(net.graph)} nodes, "
                f"then {len(back.graph)}", flush=True,
            )


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["nodes"]
    {"nodes": nodes, "light": light, "zoo": lambda: zoo(rest)}[what]()
