"""Parameters by name, from files of minidl's and with the names that others publish.

torchvision and timm publish convolutions as [f, c, kh, kw], dense layers as [out, in]
with the input flattened map after map, and a batch norm as weight, bias, running_mean,
running_var. minidl's zoo names its nodes as torchvision does, so a name tells where an
array belongs and the op tells how to lay it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import npz
from ..graph import Node
from ..network import order, readers
from ..ops.conv import Conv
from ..ops.dense import Dense
from ..ops.layout import Flatten
from ..ops.norm import BatchNorm
from ..spec import CheckpointError, Shape
from . import safetensors

Arrays = Mapping[str, np.ndarray]
Layout = Callable[[np.ndarray], np.ndarray]

OWN = "minidl."  # entries with this prefix are about the file
# names that some publish under others; (pattern, what stands for it)
ALIASES = (
    (r"^module\.", ""),  # a model that was trained on several devices
    (r"^features\.(.*)\.(norm|conv)\.(\d)\.", r"features.\1.\2\3."),  # old DenseNets
    (r"^pre_logits\.fc1\.", "classifier.0."),  # timm's VGG
    (r"^pre_logits\.fc2\.", "classifier.3."),
    (r"^head\.fc\.", "classifier.6."),
)
IGNORED = re.compile(r"(^|\.)num_batches_tracked$")


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file; its suffix tells which kind it is."""
    suffix = Path(path).suffix.lower()
    if suffix == ".safetensors":
        return safetensors.read(path)
    if suffix in (".pt", ".pth", ".bin", ".ckpt", ".pkl"):
        raise CheckpointError(
            f"{path}: {suffix} files hold Python's pickle, which can run anything and "
            "is never read; where PyTorch is installed, convert it once: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), "
            '"weights.safetensors")'
        )
    found = npz.read(path)
    return {k: v for k, v in found.items() if not k.startswith(OWN)}


def write(path: str | Path, arrays: Arrays) -> None:
    """Write .npz or .safetensors, whole or not at all."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        raise CheckpointError(
            f"{path}: expected a name that ends with .npz or .safetensors"
        )
    (npz if suffix == ".npz" else safetensors).write(path, arrays)


def load(model: Any, path: str | Path, strict: bool) -> tuple[str, ...]:
    """Take the arrays of a file into a model; what did not fit, where not strict."""
    given, mine = read(path), dict(model.store.arrays)
    if not mine.keys() & given.keys():
        given, mine = translated(model, given)
    wrong = npz.misfits(mine, given)
    if wrong and not strict:
        both = mine.keys() & given.keys()
        fits = [k for k in both if not npz.misfits({k: mine[k]}, {k: given[k]})]
        given, mine = {k: given[k] for k in fits}, {k: mine[k] for k in fits}
    npz.assign(mine, given, str(path), model.name)
    model.store.version += 1
    return tuple(wrong)


def translated(
    model: Any, given: Arrays
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Arrays with published names under minidl's; and the model's that they must fill.

    An array that belongs nowhere keeps its name; one of another size is laid out as far
    as its axes allow, so that the report can say both shapes.
    """
    places = published(model)
    found: dict[str, np.ndarray] = {}
    for name, array in given.items():
        for pattern, instead in ALIASES:
            if name not in places:
                name = re.sub(pattern, instead, name)
        if IGNORED.search(name):
            continue
        own, layout = places.get(name, (name, None))
        if layout is not None:
            array = layout(array)
        if array.dtype.kind == "f" or own in model.store.arrays:
            array = array.astype(model.store.arrays.get(own, array).dtype, copy=False)
        found[own] = array
    arrays = model.store.arrays
    return found, {own: arrays[own] for own, _ in places.values()}


def published(model: Any) -> dict[str, tuple[str, Layout | None]]:
    """Where each published name belongs, and how its array is laid out there."""
    found: dict[str, tuple[str, Layout | None]] = {}
    for name in order(model.graph):
        node: Node = model.graph.nodes[name]["node"]
        if model._owner.get(name, name) != name:
            continue
        for local, param in node.spec.theta.items():
            if isinstance(node.op, Conv) and local == "w":
                found[f"{name}.weight"] = f"{name}.w", _conv
            elif isinstance(node.op, Dense) and local == "w":
                before = _flattened(model, name)
                found[f"{name}.weight"] = f"{name}.w", _dense(before, param.shape)
            elif isinstance(node.op, Conv | Dense) and local == "b":
                found[f"{name}.bias"] = f"{name}.b", None
            elif isinstance(node.op, BatchNorm):
                found[f"{name}.{NORM[local]}"] = f"{name}.{local}", None
            elif not param.buffer or param.dtype == "real":
                found[f"{name}.{local}"] = f"{name}.{local}", None
    return found


NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}


def _conv(array: np.ndarray) -> np.ndarray:
    """[f, c, kh, kw] -> [kh, kw, c, f]"""
    return np.moveaxis(array, (0, 1), (-1, -2)) if array.ndim > 2 else array


def _dense(before: Shape, shape: Shape) -> Layout:
    """[out, in] -> [in, out], where `in` was c h w if h w c was flattened `before`"""

    def layout(array: np.ndarray) -> np.ndarray:
        out = array.shape[0] if array.ndim else 1
        if array.ndim not in (2, 4) or array.size != shape[0] * out:
            return array.T if array.ndim == 2 else array
        flat = array.reshape(out, -1)
        if len(before) == 3:
            h, w, c = before
            flat = np.moveaxis(flat.reshape(out, c, h, w), 1, -1).reshape(out, -1)
        return flat.T

    return layout


def _flattened(model: Any, name: str) -> Shape:
    """The shape that a dense node's input had before it was flattened."""
    while True:
        (name,) = readers(model.graph, name)
        node = model.graph.nodes[name]["node"]
        if isinstance(node.op, Flatten):
            (source,) = readers(model.graph, name)
            shape = model.graph.nodes[source]["node"].shape
            return shape if node.op.order == "row" else ()
        if len(node.shape) != 1 or len(node.inputs) != 1:
            return ()
        if node.spec.theta and not all(p.buffer for p in node.spec.theta.values()):
            return ()  # behind something that learned: nothing was flattened since
