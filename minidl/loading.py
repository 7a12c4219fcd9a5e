"""Models from files: minidl's own, and ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from . import checkpoint, npz
from .graph import Op
from .model import Model


def load(path: str | Path, ops: Sequence[type[Op]] = ()) -> Model:
    """The model that `model.save` wrote: graph, parameters and buffers.

    Parameters
    ----------
    path
        An .npz that `save` wrote.
    ops
        The classes of ops that are not minidl's own.
    """
    found = checkpoint.load(path, ops)
    model = Model(**found["model"])
    model.classes = found["classes"]
    npz.assign(model.store.arrays, found["arrays"], str(path), model.name)
    model.store.version += 1
    return model


def from_onnx(
    path: str | Path,
    channels: str = "last",
    batch: bool = True,
    size: Sequence[int] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    name: str | None = None,
) -> Model:
    """The model that an ONNX file (extra `onnx`) holds, its weights in place.

    What cannot be imported is named, node by node, before anything is built.

    Parameters
    ----------
    path
        The file; weights outside it are read from its own folder only.
    channels
        "last": images go in and come out as n h w c, as everywhere in minidl. "first":
        all arrays are as the file has them.
    batch
        Whether the first axis of each input is the batch. Otherwise the file says what
        is done to one example, and a batch is put before all its axes.
    size
        What stands for the axes that the file leaves open.
    constants
        Inputs of the file that are always the same, by name.
    name
        The model's name, instead of the graph's.
    """
    from .exchange import onnx

    found = onnx.read(path, channels, batch, size, constants, name)
    model = Model(**found["model"])
    names = {data["node"]: name for name, data in model.graph.nodes(data=True)}
    arrays = model.store.arrays
    for node, theta in found["theta"].items():
        for local, array in theta.items() if node in names else ():
            arrays[f"{names[node]}.{local}"][...] = array
    model.store.version += 1
    return model
