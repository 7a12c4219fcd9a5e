"""From an ONNX file to the arguments of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ...graph import Node, new_input
from ...ops.dropout import identity
from ...spec import DataError, Error
from . import convs, fold, norms, pairs, pools, products, proto, shapes, simple, sizes
from .into import Rule, Step, Theta
from .out import package
from .proto import File
from .value import NONE, Refused, Value

RULES: dict[str, Rule] = {
    **convs.READ, **pools.READ, **sizes.READ, **shapes.READ, **simple.READ,
    **pairs.READ, **norms.READ, **products.READ,
}
DTYPES = {1: "real", 11: "real", 2: "uint8"}  # by ONNX's numbers of types
# what tells that axis 1 of its first input is the channels
IMAGES = {
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool",
    "GlobalMaxPool", "BatchNormalization", "LRN", "DepthToSpace", "SpaceToDepth",
}
# what a setting or a constant may hold that makes no sense for it
AMISS = (
    ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError,
    MemoryError,
)


def read(
    path: Any,
    channels: str = "last",
    batch: bool = True,
    size: Sequence[int] | None = None,
    constants: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """The arguments of a Model, and the values of its parameters, node by node."""
    file = proto.read(path)
    if channels not in ("last", "first"):
        raise DataError(f'channels: expected "last" or "first", got {channels!r}')
    for key, array in (constants or {}).items():
        if key not in file.inputs:
            raise DataError(
                f"constants: {file.path} has no input {key!r}; inputs: "
                f"{', '.join(file.inputs)}"
            )
        del file.inputs[key]
        file.constants[key] = np.asarray(array)
    found = _Reader(file, channels, batch, size)
    found.inputs()
    found.nodes()
    found.outputs()
    if found.wrong:
        raise DataError(
            f"{file.path}: cannot be imported, nothing was built: "
            f"{len(found.wrong)} of {len(file.nodes)} nodes: "
            f"{'; '.join(found.wrong[:12])}{'; ...' * (len(found.wrong) > 12)}"
        )
    double = any(kind == 11 for kind, _ in file.inputs.values())
    return {
        "model": {
            "inputs": found.ins[0] if len(found.ins) == 1 else found.ins,
            "outputs": found.outs[0] if len(found.outs) == 1 else found.outs,
            "name": name or file.name or "model",
            "dtype": "float64" if double else "float32",
        },
        "theta": dict(chain.from_iterable(found.theta.values())),
    }


class _Reader:
    """What is known while the nodes are read in order."""

    def __init__(
        self, file: File, channels: str, batch: bool, size: Sequence[int] | None
    ) -> None:
        self.file, self.channels, self.batch = file, channels, batch
        self.size = size
        self.values: dict[str, Any] = {"": None, **file.constants}
        self.lost: set[str] = set()  # what refused nodes would have made
        self.wrong: list[str] = []
        self.theta: Theta = {}
        self.worked_out = 0  # bytes of constants
        self.ins: list[Node] = []
        self.outs: list[Node] = []
        self.names: set[str] = set()
        self.used = {one for node in file.nodes for one in node.inputs}
        self.used |= set(file.outputs)

    def name(self, node: Node, *names: str) -> None:
        """Give a node the first of these that is free.

        One that is called "x/MatMul", say, is a step towards "x", and may take its
        name: what came behind it has moved nothing.
        """
        for one in names:
            old = node.name
            if one and one not in self.names and (
                old is None or old.startswith(f"{one}/")
            ):
                self.names.add(one)
                node.name = one

    def rename(self, node: Node, name: str) -> None:
        """Give a node this name instead of its own; the file's outputs are known by
        theirs."""
        if node.name != name:
            self.names.discard(node.name or "")
            node.name = None
            self.name(node, name, f"{name}/output")

    def inputs(self) -> None:
        """An Input for each input of the file that is used."""
        for name, (kind, shape) in self.file.inputs.items():
            if name not in self.used:
                continue
            try:
                self.values[name] = self.input(name, kind, shape)
            except Error as error:
                self.wrong.append(f"{name!r} (input): {error}")
                self.lost.add(name)

    def input(
        self, name: str, kind: int, shape: tuple[int | None, ...] | None
    ) -> Value:
        """An Input, its channels last where it is an image."""
        if kind not in DTYPES:
            raise Refused(
                "holds no floats or bytes; give it with constants={...} if it is "
                "always the same"
            )
        if shape is None:
            raise Refused("has no shape")
        if self.batch and not shape:
            raise Refused("is a number without axes, expected a batch; use batch=False")
        rank = len(shape)
        order: tuple[int, ...] = tuple(range(rank))
        if not self.batch:
            order = (NONE, *order)
        elif self.channels == "last" and self.image(name, rank):
            order = (0, *range(2, rank), 1)
        given = iter(self.size or ())
        known = [
            next(given, None) if n is None and i else n for i, n in enumerate(shape)
        ]
        node = new_input(
            tuple(known[axis] for axis in order[1:]), name, DTYPES[kind]
        )
        self.names.add(name)
        self.ins.append(node)
        return Value(node, order)

    def image(self, name: str, rank: int) -> bool:
        """Whether axis 1 of an input is the channels, as what reads it tells."""
        if rank < 3 or self.file.ours:
            return rank > 2
        axes = {name: [*range(rank)]}  # which of its axes lies where
        for node in self.file.nodes:
            known = [one for one in node.inputs if one in axes]
            if not known:
                continue
            at = axes[known[0]]
            if node.kind in IMAGES and node.inputs[0] in axes:
                return at[1] == 1
            if node.kind == "Transpose":
                perm = node.settings.get("perm", [*range(rank)][::-1])
                if isinstance(perm, list) and sorted(perm) == [*range(rank)]:
                    at = [at[one] for one in perm]
            axes.update(dict.fromkeys(node.outputs, at))
        return rank > 3

    def nodes(self) -> None:
        """Every node by its rule."""
        for said in self.file.nodes:
            if any(one in self.lost for one in said.inputs):
                self.lost.update(said.outputs)
                continue
            try:
                self.values[said.outputs[0]] = self.node(said)
                for name in said.outputs:
                    if name in self.used and name not in self.values:
                        raise Refused(
                            f"its output {name!r} is read, and minidl has none such"
                        )
            except Error as error:
                self.wrong.append(f"{said}: {error}")
                self.lost.update(said.outputs)
            except AMISS as error:
                self.wrong.append(
                    f"{said}: its settings or constants do not fit: {error!r:.120}"
                )
                self.lost.update(said.outputs)

    def node(self, said: proto.Said) -> Any:
        """What a node makes: a Value, or an array where all is known."""
        given = [self.values[one] for one in said.inputs]
        step = Step(said, given, self.file.opset, self.theta)
        if said.domain not in ("", "ai.onnx"):
            raise Refused(f"is an operation of {said.domain!r}, not a standard one")
        schema = package().defs
        if schema.has(said.kind, self.file.opset, ""):
            most = schema.get_schema(said.kind, self.file.opset).max_input
            if len(given) > most:
                raise Refused(f"has {len(given)} inputs, at most {most} are known")
        known = said.kind in fold.RULES
        if known and not any(isinstance(one, Value) for one in given):
            constant = fold.RULES[said.kind](step)
            step.rest()
            if isinstance(constant, np.ndarray) and constant.base is None:
                self.worked_out += constant.nbytes
            if self.worked_out > fold.TOTAL:
                raise Refused("what follows from constants would fill more than 2 GB")
            return constant
        if said.kind == "Shape":
            return fold.sizes(step)
        if said.kind not in RULES:
            raise Refused("minidl has no such operation")
        found = RULES[said.kind](step)
        step.rest()
        if isinstance(found, list):
            for name, one in zip(said.outputs[1:], found[1:], strict=False):
                self.values[name] = one
                self.name(one.node, name)
            found = found[0]
        names = (said.outputs[0], said.name)
        end = said.outputs[0] in self.file.outputs
        self.name(found.node, *(names if end else reversed(names)))
        return found

    def outputs(self) -> None:
        """A node for each output, its axes in the order that the caller expects."""
        for name in self.file.outputs:
            if name in self.lost:
                continue
            value = self.values[name]
            if not isinstance(value, Value):
                self.wrong.append(f"{name!r} (output): depends on no input")
                continue
            try:
                node = value.ordered(self.outward(value))
            except Error as error:
                self.wrong.append(f"{name!r} (output): {error}")
                continue
            if node in (*self.ins, *self.outs):
                node = identity(node)
            inner = value.node
            if inner.name == name and inner is not node and inner not in self.ins:
                self.rename(inner, f"{name}/{inner.op.kind}")
            self.rename(node, name)
            self.outs.append(node)

    def outward(self, value: Value) -> tuple[int, ...]:
        """Images go out channels last, all else as the file has it."""
        plain = tuple(range(value.rank))
        if value.order[0] == NONE:
            return (NONE, *plain)
        image = (0, *range(2, value.rank), 1)
        if self.channels == "first" or value.rank < 3:
            return plain
        if self.file.ours or value.order == image:
            return image
        return plain if value.order == plain or value.rank < 4 else image


__all__ = ["RULES", "read"]
