"""Files of weights: one .npz with the arrays and the graph as JSON. No pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from . import init, npz
from .graph import Input, Node, Op
from .network import order, readers
from .ops import OPS
from .spec import CheckpointError, Error

FORMAT = 1
GRAPH = "minidl.graph"  # the entry that holds the definition


def save(model: Any, path: str | Path) -> None:
    """Write graph, parameters and buffers."""
    definition = json.dumps(describe(model)).encode()
    arrays = dict(model.store.arrays)
    arrays[GRAPH] = np.frombuffer(definition, np.uint8)
    npz.write(path, arrays)


def describe(model: Any) -> dict[str, Any]:
    """The graph in words that JSON knows."""
    nodes = []
    for name in order(model.graph):
        node = model.graph.nodes[name]["node"]
        op = node.op
        settings = {one.name: _plain(getattr(op, one.name)) for one in fields(op)}
        entry = {"name": name, "op": type(op).__name__, "settings": settings}
        entry["inputs"] = readers(model.graph, name)
        if model._owner.get(name, name) != name:
            entry["share"] = model._owner[name]
        nodes.append(entry)
    return {
        "format": FORMAT, "name": model.name, "dtype": model.dtype, "seed": model.seed,
        "exact": model.exact, "inputs": model.inputs, "outputs": model.outputs,
        "single": model._single, "classes": list(model.classes), "nodes": nodes,
    }


def load(path: str | Path, ops: Sequence[type[Op]] = ()) -> dict[str, Any]:
    """The arguments of a Model, and its arrays, from a file that `save` wrote."""
    arrays = npz.read(path)
    if GRAPH not in arrays:
        raise CheckpointError(
            f"{path}: holds arrays but no graph; build the model and use load_weights"
        )
    try:
        about = json.loads(arrays.pop(GRAPH).tobytes())
        if about["format"] != FORMAT:
            raise CheckpointError(
                f"{path}: has format {about['format']}, this minidl reads {FORMAT}"
            )
        known = {op.__name__: op for op in (*OPS, Input, *ops)}
        nodes: dict[str, Node] = {}
        for entry in about["nodes"]:
            if entry["op"] not in known:
                raise CheckpointError(
                    f"{path}: {entry['name']} is a {entry['op']}, which minidl does "
                    "not know; pass its class: load(path, ops=[...])"
                )
            settings = {k: _rich(v) for k, v in entry["settings"].items()}
            op = known[entry["op"]](**settings)
            inputs = [nodes[one] for one in entry["inputs"]]
            share = nodes[entry["share"]] if "share" in entry else None
            nodes[entry["name"]] = Node(op, inputs, entry["name"], share)
        ins, outs = ([nodes[n] for n in about[k]] for k in ("inputs", "outputs"))
        one_in, one_out = about["single"]
        classes = tuple(map(str, about.get("classes", ())))
        arguments = {
            "inputs": ins[0] if one_in else ins,
            "outputs": outs[0] if one_out else outs,
            "name": about["name"], "dtype": about["dtype"], "seed": about["seed"],
            "exact": bool(about.get("exact", False)),  # older files do not say
        }
    except CheckpointError:
        raise
    except (Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its graph cannot be read: {type(error).__name__}: {error}"
        ) from None
    return {"model": arguments, "arrays": arrays, "classes": classes}


def _plain(value: Any) -> Any:
    """A setting as JSON: tuples as lists, initialisers and ops by name and fields."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    kind = type(value)
    if kind.__module__ == init.__name__:
        inside = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {"init": kind.__name__, "fields": inside}
    if isinstance(value, np.generic):
        return value.item()
    raise CheckpointError(
        f"cannot write the setting {value!r} of type {kind.__name__}; ops with "
        "settings of numbers, strings and tuples can be saved"
    )


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(one) for one in value)
    if isinstance(value, dict):
        made = getattr(init, value["init"])
        return made(**{k: _rich(v) for k, v in value["fields"].items()})
    return value
