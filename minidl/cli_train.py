"""minidl train | eval | predict"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cli_net import OPEN, prepare
from .spec import DataError, Error


def train(options: argparse.Namespace) -> int:
    """Train a network, and measure it on the held-out data."""
    from . import files
    from .data import Flip, Shift
    from .metrics import evaluate
    from .optim import optimiser

    settings(options)
    threads(options)
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
    threads(options)
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
