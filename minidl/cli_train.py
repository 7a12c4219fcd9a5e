"""minidl train | eval | predict"""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import math
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .spec import DataError, Error, ShapeError, alike

if TYPE_CHECKING:
    from .data import Split
    from .model import Model

SIDES = {"lenet5": 32}  # networks that take one size only


def train(options: argparse.Namespace) -> int:
    """Train a network, and measure it on the held-out data."""
    from . import files
    from .data import Flip, Shift
    from .metrics import evaluate
    from .optim import optimiser

    settings(options)
    if options.out:
        files.writable(options.out)  # now, not after the last epoch
    net, (learn, held) = prepare(options)
    if options.freeze:
        net.freeze(*options.freeze)
    complete(options, min(learn.images.shape[1:3]))
    more = {"weight_decay": options.weight_decay}
    more |= {"momentum": options.momentum} if options.momentum is not None else {}
    more |= {"nesterov": True} if options.nesterov else {}
    net.compile(
        optimiser=optimiser(options.optimiser, lr=options.lr, **more),
        clip=options.clip, average=options.average, smoothing=options.smoothing,
    )  # fmt: skip
    augment = [Shift(options.shift)] * bool(options.shift) + [Flip()] * options.flip
    history = net.fit(
        learn, epochs=options.epochs, batch=options.batch, validation=held,
        schedule=options.schedule, warmup=options.warmup, augment=augment,
        seed=options.seed, patience=options.patience, keep_best=options.keep_best,
        checkpoint=options.checkpoint, every=options.every, resume=options.resume,
        logs=options.logs, workers=options.workers,
    )  # fmt: skip
    if options.out:
        net.save(options.out)  # before anything else can fail
    found = evaluate(net, held)
    say(options, {
        "model": net.name, "epochs": history.rows(), **measured(found),
        "weights": options.out,
    }, learn.classes)  # fmt: skip
    return 0


def eval_(options: argparse.Namespace) -> int:
    """Measure weights on the held-out data."""
    from .metrics import evaluate

    defaults(options)
    if not options.weights and not options.model.endswith(".npz"):
        raise Error(f"which parameters of {options.model}? say --weights FILE")
    net, (_, held) = prepare(options)
    found = {"model": net.name, **measured(evaluate(net, held))}
    say(options, found | {"weights": options.weights}, held.classes)
    return 0


def predict(options: argparse.Namespace) -> int:
    """Say what is on pictures; the model is a file that `minidl train --out` wrote."""
    import numpy as np

    from .data.folder import Pictures
    from .loading import load
    from .ops.softmax import Softmax

    threads(options)
    net = load(options.file)
    node = net.graph.nodes[net.inputs[0]]["node"]
    shape = node.shape
    if len(net.inputs) != 1 or len(shape) != 3 or shape[2] not in (1, 3):
        raise DataError(f"{options.file}: {net.name} does not read one picture")
    size = (shape[0] or OPEN, shape[1] or OPEN)
    paths = [Path(one) for one in options.pictures]
    pixels: Any = Pictures(paths, size, grey=shape[2] == 1)[:]
    if node.op.dtype == "real":
        pixels = pixels.astype(net.dtype) / 255
    scores = net(pixels)
    scores = scores[0] if isinstance(scores, tuple) else scores
    if scores.ndim != 2:
        raise DataError(f"{options.file}: {net.name} does not make a score a class")
    last = net.graph.nodes[net.outputs[0]]["node"].op
    if not isinstance(last, Softmax):
        scores = np.exp(scores - scores.max(1, keepdims=True))
        scores /= scores.sum(1, keepdims=True)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : options.top]
    names = dict(enumerate(net.classes))  # the number, where nobody gave a name
    rows: list[dict[str, Any]] = [
        {"picture": str(path), "classes": [
            {"class": names.get(k, k), "share": float(row[k])} for k in order.tolist()
        ]}
        for path, row, order in zip(paths, scores, best, strict=True)
    ]  # fmt: skip
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        said = ", ".join(f"{c['class']} ({c['share']:.1%})" for c in row["classes"])
        print(f"{row['picture']}: {said}")
    return 0


OPEN = 32  # stands for a height or a width that a network leaves open


def settings(options: argparse.Namespace) -> None:
    """Fill what the command line left out from the config file, and look at it."""
    if options.config:
        configure(options)
    defaults(options)
    if options.resume:
        if options.checkpoint not in (None, options.resume):
            raise Error(
                f"--resume {options.resume} goes on writing that file, but --checkpoint"
                f" is {options.checkpoint}; leave out --checkpoint"
            )
        options.checkpoint = options.resume
    options.resume = bool(options.resume)
    if options.out and not options.out.endswith(".npz"):
        raise Error(f"--out: expected a name that ends in .npz, got {options.out!r}")
    if options.out and options.out == options.checkpoint:
        raise Error(
            f"--out and --checkpoint are both {options.out}; a checkpoint holds more "
            "than the model: give each a file of its own"
        )


def complete(options: argparse.Namespace, side: int) -> None:
    """Fill what nobody said from the recipe; `side` is the images' shorter one."""
    from .recipes import recipe

    network = f"{options.model}{'_' + options.variant if options.variant else ''}"
    network = Path(network).stem
    usual = asdict(recipe(network, options.data, options.optimiser or "sgd"))
    usual["shift"] = min(usual["shift"], side // 8)
    usual |= {"smoothing": 0.0, "workers": 1}
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def defaults(options: argparse.Namespace) -> None:
    """What stands where nobody said anything."""
    if options.model is None:
        raise Error("which network? give its name, or model = ... in the config file")
    for name, value in {"data": "digits", "seed": 0}.items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)


def configure(options: argparse.Namespace) -> None:
    """Options from a TOML file, where the command line has none."""
    try:
        given = tomllib.loads(Path(options.config).read_text())
    except OSError as error:
        raise Error(f"{options.config}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Error(f"{options.config}: is not TOML: {error}") from None
    known = sorted(options.actions.keys() - {"config"})
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise Error(
                f"{options.config}: unknown setting {key!r}; {hint}known: "
                f"{', '.join(known)}"
            )
        try:
            value = _parsed(options.actions[name], value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise Error(f"{options.config}: {key}: {error}") from None
        if getattr(options, name) is None:
            setattr(options, name, value)


def _parsed(action: argparse.Action, value: Any) -> Any:
    """A setting of the file, checked as the command line checks it."""
    if callable(action.type):
        return action.type(str(value))
    kind: Any = bool if action.nargs == 0 else str
    each = value if isinstance(value, list) and action.nargs == "+" else [value]
    if not all(isinstance(one, kind) for one in each):
        wanted = "true or false" if kind is bool else "text in quotes"
        raise ValueError(f"expected {wanted}, got {value!r}")
    return each if action.nargs == "+" else value


def prepare(options: argparse.Namespace) -> tuple[Model, Split]:
    """The data, and the network for it: its classes, its size, its bytes."""
    from . import models as zoo
    from .graph import show

    threads(options)
    if options.model.endswith(".npz"):
        return _loaded(options)
    make = zoo.get(options.model)
    side = SIDES.get(options.model, options.size)
    data = chosen(options, None if side is None else (side, side))
    given = {"variant": options.variant, "seed": options.seed}
    given = {key: value for key, value in given.items() if value is not None}
    takes = inspect.signature(make).parameters
    if "variant" in given and "variant" not in takes:
        raise Error(f"{options.model} has no variants; leave out --variant")
    shape = data.train.images.shape[1:]
    if "input" in takes:
        given["input"] = (side or shape[0], side or shape[1], shape[2])
    classes = len(data.train.classes) or int(data.train.labels.max()) + 1
    if "classes" in takes:
        given["classes"] = classes
    try:
        net = make(**given)
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
    net.classes = data.train.classes
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
    from .loading import load

    if options.variant:
        raise Error(f"{options.model} has no variants; leave out --variant")
    net = load(options.model)
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
    net.classes = net.classes or data.train.classes
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


def measured(found: Any) -> dict[str, Any]:
    """Metrics as JSON knows them."""
    return {
        "accuracy": found.accuracy, "top5": found.top5,
        "loss": found.loss if math.isfinite(found.loss) else None,
        "held_out": found.n, "confusion": found.confusion.tolist(),
    }  # fmt: skip


def threads(options: argparse.Namespace) -> None:
    """Use as many as the command line says."""
    from ._ext import set_threads

    if options.threads:
        set_threads(options.threads)


def say(
    options: argparse.Namespace, found: dict[str, Any], classes: tuple[str, ...]
) -> None:
    """The result, as a sentence or as JSON."""
    if options.json:
        print(json.dumps(found | {"classes": classes}))
        return
    share, n = found["accuracy"], found["held_out"]
    print(f"{found['model']}: {share:.2%} of {n} held-out images ({round(share * n)})")
    if found["weights"]:
        print(f"weights: {found['weights']}")
