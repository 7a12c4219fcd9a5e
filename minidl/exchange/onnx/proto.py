"""An ONNX file, read and checked before anything is made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...spec import DataError
from .out import package

OLDEST, NEWEST = 7, 28  # opsets: what broadcasts as NumPy does, and what is known
LARGEST = 2**31  # bytes: no protobuf is larger
AXES = 32  # as many as every NumPy knows
TYPES: dict[int, Any] = {  # TensorProto.DataType
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32,
    7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32,
    13: np.uint64,
}
FIELDS = {np.float32: "float_data", np.float64: "double_data", np.int64: "int64_data",
          np.uint32: "uint64_data", np.uint64: "uint64_data"}  # others: int32_data


@dataclass(frozen=True)
class Said:
    """A node of the file."""

    kind: str
    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name or (self.outputs or ('?',))[0]!r} ({self.kind})"


@dataclass
class File:
    """What the file holds: the nodes in order, each after what it reads."""

    path: str
    name: str
    opset: int
    inputs: dict[str, tuple[int, tuple[int | None, ...] | None]]  # type, sizes
    outputs: list[str]
    constants: dict[str, np.ndarray]
    ours: bool  # minidl wrote it, so its arrays of three axes and more are n c ...
    nodes: list[Said] = field(default_factory=list)


def read(path: Any) -> File:
    """The file, or an error that says what is wrong with it."""
    onnx = package()
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"expected a path to read, got {type(path).__name__}")
    where = os.fspath(path)
    try:
        size = Path(path).stat().st_size
        if size >= LARGEST:
            raise DataError(
                f"{where}: has {size:,} bytes, and no graph has more than 2 GB; large "
                "weights belong in a file beside it (external data)"
            )
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{where}: cannot be read: {reason}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # of protobuf, whose classes differ by back end
        raise DataError(
            f"{where}: is not an ONNX file, or a part of one: {error}"
        ) from None
    if not model.HasField("graph") or not model.graph.node:
        raise DataError(f"{where}: is not an ONNX file, or its graph has no nodes")
    return _checked(where, model)


def _checked(where: str, model: Any) -> File:
    graph = model.graph
    versions = {one.domain: one.version for one in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if not OLDEST <= opset <= NEWEST:
        raise DataError(
            f"{where}: has operator set {opset}, this minidl reads {OLDEST} to "
            f"{NEWEST}; convert it with onnx.version_converter"
        )
    folder = Path(where).resolve().parent
    constants: dict[str, np.ndarray] = {}
    for what in ("initializer", "input", "output"):
        names = [one.name for one in getattr(graph, what)]
        if len(set(names)) < len(names):
            twice = next(one for one in names if names.count(one) > 1)
            raise DataError(f"{where}: {twice!r} stands twice among its {what}s")
    for one in graph.initializer:
        constants[one.name] = tensor(f"{where}: {one.name!r}", one, folder)
    if graph.sparse_initializer:
        raise DataError(f"{where}: holds sparse constants; only dense ones are read")
    inputs = {
        one.name: _sizes(f"{where}: {one.name!r}", one)
        for one in graph.input if one.name not in constants
    }
    ours = model.producer_name == "minidl"
    found = File(where, graph.name, opset, inputs, [], constants, ours)
    known = {"", *constants, *inputs}
    made = {name for node in graph.node for name in node.output}
    for one in graph.node:
        node = Said(
            one.op_type, one.name, one.domain, tuple(one.input), tuple(one.output),
            _settings(where, one, folder),
        )
        for name in node.inputs:
            if name not in known and name in made:
                raise DataError(
                    f"{where}: {node} reads {name!r} before it is made: the graph has "
                    "a cycle, or its nodes are out of order"
                )
            if name not in known:
                raise DataError(
                    f"{where}: {node} reads {name!r}, which is neither an input, nor a "
                    "constant, nor made by a node"
                )
        if not any(node.outputs[:1]):
            raise DataError(f"{where}: {node}: its first output has no name")
        for name in node.outputs:
            if name in known and name:
                raise DataError(f"{where}: {name!r} is made twice, again by {node}")
            known.add(name)
        found.nodes.append(node)
    found.outputs = [one.name for one in graph.output]
    missing = [name for name in found.outputs if name not in known or not name]
    if missing or not found.outputs:
        raise DataError(
            f"{where}: no node makes the outputs {missing}" if missing else
            f"{where}: has no output"
        )
    return found


def _sizes(where: str, value: Any) -> tuple[int, tuple[int | None, ...] | None]:
    """The type of an input, and its sizes: None where one is open."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise DataError(f"{where}: is {kind or 'untyped'}, expected a tensor")
    found = value.type.tensor_type
    if not found.HasField("shape"):
        return found.elem_type, None
    if len(found.shape.dim) > AXES:
        raise DataError(f"{where}: has {len(found.shape.dim)} axes, at most {AXES} do")
    sizes = []
    for at, one in enumerate(found.shape.dim):
        n = one.dim_value if one.HasField("dim_value") else None
        if n is not None and (n < 0 or n >= 2**40 or (n == 0 and at)):
            raise DataError(f"{where}: has the size {n} in axis {at}")
        sizes.append(n or None)
    return found.elem_type, tuple(sizes)


def tensor(where: str, proto: Any, folder: Path) -> np.ndarray:
    """The array of a TensorProto: its data must be there, and as large as declared."""
    if proto.data_type not in TYPES:
        raise DataError(f"{where}: has the type {proto.data_type}, which is not read")
    kind: Any = TYPES[proto.data_type]
    shape = tuple(proto.dims)
    absurd = prod(max(n, 1) for n in shape) > 2**60  # NumPy minds, 0 among them or not
    if len(shape) > AXES or min(shape, default=0) < 0 or absurd:
        raise DataError(f"{where}: has the shape {shape!s:.80}")
    count, dtype = prod(shape), np.dtype(kind).newbyteorder("<")
    if proto.data_location == 1:
        data: Any = _external(where, proto, folder)
    elif proto.HasField("raw_data"):
        data = proto.raw_data
    else:
        values = getattr(proto, FIELDS.get(kind, "int32_data"))
        _as_many(where, shape, count, len(values))
        if kind is np.float16:
            return np.array(values, np.uint16).view(np.float16).reshape(shape)
        return np.array(values).astype(kind).reshape(shape)
    _as_many(where, shape, count * dtype.itemsize, len(data), "bytes")
    return np.frombuffer(data, dtype).reshape(shape)


def _as_many(
    where: str, shape: tuple[int, ...], want: int, got: int, what: str = "numbers"
) -> None:
    if want != got:
        raise DataError(
            f"{where}: its shape {shape} asks for {want:,} {what}, its data has {got:,}"
        )


def _external(where: str, proto: Any, folder: Path) -> Any:
    """Data from a file beside the graph, and from nowhere else."""
    about = {one.key: one.value for one in proto.external_data}
    location = about.get("location", "")
    path = folder / location
    try:
        inside = location and path.resolve().is_relative_to(folder)
        if not inside or Path(location).is_absolute() or path.is_symlink():
            raise DataError(
                f"{where}: its data lies in {location!r}; only a file in the folder of "
                "the graph is read"
            )
        offset, size = int(about.get("offset", 0)), path.stat().st_size
        length = int(about.get("length", size - offset))
        if offset < 0 or length < 0 or offset + length > size:
            raise DataError(
                f"{where}: its data is bytes {offset} to {offset + length} of "
                f"{location!r}, which has {size}"
            )
        if not length:
            return b""
        return np.memmap(path, np.uint8, "r", offset, (length,))
    except (OSError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{where}: its data in {location!r} cannot be read: {reason}"
        ) from None


def _settings(where: str, node: Any, folder: Path) -> dict[str, Any]:
    """The attributes; what is no number, text or array stays what it is."""
    found: dict[str, Any] = {}
    for one in node.attribute:
        try:
            found[one.name] = {
                1: lambda a: float(a.f), 2: lambda a: int(a.i),
                3: lambda a: a.s.decode(),
                4: lambda a: tensor(f"{where}: {node.name!r}", a.t, folder),
                6: lambda a: [float(v) for v in a.floats],
                7: lambda a: [int(v) for v in a.ints],
                8: lambda a: [v.decode() for v in a.strings],
            }.get(one.type, lambda a: a)(one)  # type: ignore[no-untyped-call]
        except UnicodeDecodeError:
            raise DataError(
                f"{where}: {node.name!r}: {one.name} is not text"
            ) from None
    return found
