"""From a model to an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ... import files
from ...graph import Input, Op
from ...network import order, readers
from ...spec import DataError, Error, Shape
from . import convs, norms, pairs, pools, products, shapes, simple, sizes
from .out import Call, Rule, Sheet, package, to_first

OPSET, IR = 19, 9  # what ONNX 1.14, ONNX Runtime 1.15 and all later ones read
LARGE = 2**31 - 2**24  # bytes of weights that no protobuf holds beside a graph
SMALL = 1024  # bytes of an array that stays in the graph all the same
RULES: dict[type[Op], Rule] = {
    **convs.WRITE, **pools.WRITE, **sizes.WRITE, **shapes.WRITE, **simple.WRITE,
    **pairs.WRITE, **norms.WRITE, **products.WRITE,
}


def write(model: Any, path: files.AnyPath, external: bool | None = None) -> None:
    """Write the model; its weights go beside it where they are too large."""
    onnx = package()
    sheet = said(model, onnx)
    size = sum(one.nbytes for one in sheet.constants.values())
    beside = size > LARGE if external is None else external
    initialisers, data = [], []
    at, name = 0, f"{Path(path).name}.data"
    for key, array in sheet.constants.items():
        tensor = onnx.TensorProto(name=key, dims=array.shape)
        tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        if beside and array.nbytes > SMALL:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            place = {"location": name, "offset": at, "length": array.nbytes}
            for word, value in place.items():
                tensor.external_data.add(key=word, value=str(value))
            data.append(array.data.cast("B"))
            at += array.nbytes
        else:
            tensor.raw_data = array.tobytes()
        initialisers.append(tensor)
    graph = onnx.helper.make_graph(
        sheet.nodes, model.name, [_value(model, onnx, one) for one in model.inputs],
        [_value(model, onnx, one) for one in model.outputs], initialisers,
    )
    file = onnx.helper.make_model(
        graph, producer_name="minidl", ir_version=IR,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    if beside:
        files.write_atomic(Path(path).with_name(name), data)
    files.write_atomic(path, file.SerializeToString(deterministic=True))


def said(model: Any, onnx: Any) -> Sheet:
    """Every node as ONNX says it, or an error that names all that it cannot say."""
    graph, arrays = model.graph, model.store.arrays
    for name in graph:
        _utf8(name)
    sheet = Sheet(list(graph), onnx)
    wrong = []
    for name in order(graph):
        node = graph.nodes[name]["node"]
        if isinstance(node.op, Input):
            continue
        owner = model._owner.get(name, name)
        theta = {
            k: (f"{owner}.{k}", arrays[f"{owner}.{k}"]) for k in node.spec.theta
        }
        z = tuple(readers(graph, name))
        inside = tuple(graph.nodes[one]["node"].shape for one in z)
        call = Call(sheet, name, node.op, z, inside, node.shape, theta, model.dtype)
        before = len(sheet.nodes)
        try:
            if type(node.op) not in RULES:
                raise DataError("no standard op of ONNX says it")
            call.finish(RULES[type(node.op)](call), before)
        except Error as error:
            wrong.append(f"{name} ({node.op.kind}): {error}")
    for name in model.inputs:
        dtype = graph.nodes[name]["node"].op.dtype
        if dtype == "int64":
            wrong.append(f"{name} (input): holds {dtype}, labels are not exported")
        if name in model.outputs:
            wrong.append(f"{name} (input): is an output as well; put identity behind")
    if wrong:
        raise DataError(
            f"{model.name}: cannot be written as ONNX, nothing was written: "
            f"{'; '.join(wrong[:12])}"
        )
    return sheet


def _utf8(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{name!r} is not valid Unicode, which names in ONNX must be; rename the "
            "node"
        ) from None


def _value(model: Any, onnx: Any, name: str) -> Any:
    """What goes in or comes out: its type and shape, open axes by name."""
    spec = model.graph.nodes[name]["node"].spec
    shape: Shape = ("N", *spec.x)
    dtype = model.dtype if spec.dtype == "real" else spec.dtype
    words = [f"{name}.{i}" if n is None else n for i, n in enumerate(shape)]
    turned = [words[axis] for axis in to_first(len(shape) - 1)]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, turned)



