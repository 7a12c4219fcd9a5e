"""The network that a command names, alone or for its data."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from .spec import DataError, Error, ShapeError, alike

if TYPE_CHECKING:
    from .data import Split
    from .model import Model

SIDES = {"lenet5": 32}  # networks that take one size only
OPEN = 32  # stands for a height or a width that a network leaves open


def build(options: argparse.Namespace) -> Model:
    """The network that the command line asks for."""
    from .loading import from_onnx, load

    if not options.model.endswith((".onnx", ".npz")):
        return maker(options)()
    if options.variant:
        raise Error(f"{options.model} has no variants; leave out --variant")
    read: Any = load if options.model.endswith(".npz") else from_onnx
    return read(options.model)


def maker(options: argparse.Namespace) -> Callable[..., Model]:
    """What makes a network of the zoo; of what it is told it hears what it knows."""
    from . import models as zoo

    make = zoo.get(options.model)
    takes = signature(make).parameters
    given = {"variant": options.variant, "seed": getattr(options, "seed", None)}
    given = {key: value for key, value in given.items() if value is not None}
    if "variant" in given and "variant" not in takes:
        raise Error(f"{options.model} has no variants; leave out --variant")
    return lambda **more: make(**given, **{k: more[k] for k in takes.keys() & more})


def prepare(options: argparse.Namespace) -> tuple[Model, Split]:
    """The data, and the network for it: its classes, its size, its bytes."""
    from .graph import show

    if options.model.endswith(".npz"):
        return _loaded(options)
    make = maker(options)
    side = SIDES.get(options.model, options.size)
    data = chosen(options, None if side is None else (side, side))
    shape = data.train.images.shape[1:]
    classes = len(data.train.classes) or int(data.train.labels.max()) + 1
    sides = (side or shape[0], side or shape[1])
    try:
        net = make(input=(*sides, shape[2]), classes=classes)
    except ShapeError as error:
        raise ShapeError(
            f"{options.model}: does not take images of {show(shape)}, as {options.data}"
            f" has them: {error}; choose another network, or another --size where the "
            "set comes in any"
        ) from None
    scores = net.graph.nodes[net.outputs[0]]["node"].shape
    if scores != (classes,):
        raise DataError(
            f"{net.name}: makes {scores} of an image; to learn {options.data} a "
            f"network must make {classes} scores"
        )
    net = fitted(net, data)
    if options.weights:
        net.load_weights(options.weights)
    return net, data


def chosen(options: argparse.Namespace, size: tuple[int, int] | None) -> Split:
    """The data, at a size where they come in any."""
    from .data import named

    data = named(options.data, size, options.seed, options.download)
    found = data.train.images.shape[1:3]
    if options.size and found != (options.size,) * 2:
        raise Error(
            f"--size {options.size}: {options.data} comes in {found[0]}x{found[1]} "
            f"for {options.model}; leave out --size"
        )
    if not (data.train.labels != data.train.labels[0]).any():
        raise DataError(f"{options.data}: has one class; expected two at the least")
    return data


def _loaded(options: argparse.Namespace) -> tuple[Model, Split]:
    """A model from its file, and the data at the size of its input."""
    from .graph import show

    net = build(options)
    node = net.graph.nodes[net.inputs[0]]["node"]
    shape = node.shape
    if len(shape) != 3:
        raise DataError(f"{options.model}: takes {show(shape)}, which is no image")
    data = chosen(options, (
        shape[0] or options.size or OPEN, shape[1] or options.size or OPEN
    ))  # fmt: skip
    images = data.train.images
    kind = "bytes" if images.dtype == "uint8" else "floats"
    mine = "bytes" if node.op.dtype == "uint8" else "floats"
    if not alike(shape, images.shape[1:]) or kind != mine:
        raise DataError(
            f"{options.model}: takes {mine} of {show(shape)}, {options.data} has {kind}"
            f" of {show(images.shape[1:])}; give the data it was made for"
        )
    if options.weights:
        net.load_weights(options.weights)
    return net, data


def fitted(net: Model, data: Split) -> Model:
    """The network behind what its data need: pixels as bytes, a frame."""
    from .graph import new_input
    from .ops.normalise import normalise
    from .ops.structure import pad

    images = data.train.images
    h, w, c = images.shape[1:]
    name = net.inputs[0]
    shape = net.graph.nodes[name]["node"].shape
    room = tuple((a or b) - b for a, b in zip(shape[:2], (h, w), strict=True))
    if min(room) < 0:
        raise ShapeError(f"{net.name}: takes {shape}, the images are {(h, w, c)}")
    if images.dtype != "uint8" and not any(room):
        return net
    kind = "uint8" if images.dtype == "uint8" else "real"
    z = new_input((h, w, c), "pixels", kind)
    if kind == "uint8":
        z = normalise(z, 0.0, 255.0, "unit") if net.name.startswith("lenet5") else (
            normalise(z, *statistics(images), name="normal"))
    if any(room):
        z = pad(z, tuple((n // 2, n - n // 2) for n in room), name="frame")
    z.name = z.name if z.name != name else None
    return net.rewired({name: lambda: z})


def statistics(images: Any, most: int = 10_000) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, over at most so many images."""
    import numpy as np

    step = -(-len(images) // most)
    some = np.asarray(images[np.arange(0, len(images), step)], np.float32)
    mean, std = some.mean((0, 1, 2)), some.std((0, 1, 2))
    return mean.tolist(), np.maximum(std, 1).tolist()
