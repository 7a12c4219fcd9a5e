"""minidl models | summary | draw | field | diff | export | check | train | ...

Results go to stdout, progress to stderr. Exit codes: 0 all is well, 1 it is not (an
error, a check that fails, networks that differ), 2 a command that is not understood
(of diff: any error), 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from .cli_train import OPEN, eval_, predict, threads, train
from .spec import Error

if TYPE_CHECKING:
    from .model import Model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except Error as error:
        print(f"minidl: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, Trouble) else 1
    except MemoryError as error:
        print(
            f"minidl: error: not enough memory: {error}; use fewer or smaller images, "
            "or a smaller --batch", file=sys.stderr,
        )  # fmt: skip
        return 1
    except OSError as error:  # every other file has said so itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who reads has read enough
            return 0
        print(f"minidl: error: cannot write the result: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"minidl: interrupted {stop}".rstrip(), file=sys.stderr)
        return 130


class Trouble(Error):
    """An error of a command whose exit code 1 means something else."""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        "minidl", description="Convolutional networks as graphs, on the CPU."
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(run: Callable[..., int], *options: str) -> argparse.ArgumentParser:
        name = run.__name__.strip("_")
        about = (run.__doc__ or "").rstrip(".")
        one = commands.add_parser(name, help=about, description=about)
        actions = (one.add_argument(*OPTIONS[o][0], **OPTIONS[o][1]) for o in options)
        one.set_defaults(run=run, actions={each.dest: each for each in actions})
        return one

    command(models, "names", "many", "json")
    command(summary, "model", "variant", "fold", "images")
    command(draw, "model", "variant", "output", "detail", "fold", "depth",
            "columns", "images", "view", "train", "at", "position")  # fmt: skip
    command(field, "model", "variant", "at", "position", "json")
    command(
        diff, "model", "variant", "other", "planned", "train", "images", "picture",
        "json",
    )  # fmt: skip
    command(export, "model", "variant", "file")
    command(check, "model", "variant", "seed")
    command(profile, "model", "variant", "train", "images", "threads", "json")
    learn = command(
        train, "network", "variant", "data", "download", "size", "config", "epochs",
        "batch", "optimiser", "lr", "momentum", "nesterov", "weight_decay", "schedule",
        "warmup", "shift", "flip", "smoothing", "clip", "average", "patience",
        "keep_best", "start", "freeze", "seed", "workers", "threads", "checkpoint",
        "every", "resume", "logs", "out", "json",
    )  # fmt: skip
    # None where nobody said anything: a config file or a recipe may
    learn.set_defaults(**dict.fromkeys(learn.get_default("actions")))
    command(
        eval_, "network", "variant", "data", "download", "size", "weights", "seed",
        "threads", "json",
    )  # fmt: skip
    command(predict, "saved", "pictures", "top", "threads", "json")
    return top


def place(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between."""
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers such as 3,4, got {text!r}"
        ) from None


Option = tuple[tuple[str, ...], dict[str, Any]]


def number(flag: str, default: float | None, low: float, about: str) -> Option:
    """An option of the type of `low`, which is the least it may be."""

    def parse(text: str) -> float:
        try:
            value = type(low)(text)
        except ValueError:
            value = float("nan")
        if not low <= value < float("inf"):
            kind = "whole number" if isinstance(low, int) else "number"
            raise argparse.ArgumentTypeError(
                f"expected a {kind} of at least {low}, got {text!r}"
            )
        return value

    usual = "" if default is None else f" ({default})"
    return (flag,), {"type": parse, "default": default, "help": about + usual}


def choice(flag: str, names: Sequence[str]) -> Option:
    """An option that is one of some names."""

    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(names)}, got {text!r}"
            )
        return text

    return (flag,), {"type": parse, "help": ", ".join(names)}


OPTIONS: dict[str, Option] = {
    "model": (
        ("model",),
        {"metavar": "MODEL", "help": "a name from `minidl models`, or a .onnx or .npz"},
    ),
    "variant": (("--variant",), {"help": "of the network, such as modern for lenet5"}),
    "network": (
        ("model",),
        {"metavar": "MODEL", "nargs": "?",
         "help": "a name from `minidl models`, or a file that --out wrote"},
    ),
    "data": (
        ("--data",),
        {"help": "digits, shapes, mnist:DIR, fashion:DIR, cifar10:DIR, cifar100:DIR, "
         "folder:DIR or FILE.npz (digits)"},
    ),
    "download": (
        ("--download",), {"action": "store_true", "help": "fetch what DIR lacks"}
    ),
    "size": number("--size", None, 8, "of the images, for sets that come in any"),
    "config": (
        ("--config",), {"metavar": "FILE.toml", "help": "settings by these names"}
    ),
    "epochs": number("--epochs", None, 1, "how often to go through the data"),
    "train": (
        ("--train",), {"action": "store_true", "help": "a training step, not inference"}
    ),
    "names": (("names",), {"metavar": "NETWORK", "nargs": "*", "help": "(all)"}),
    "many": number("--batch", 8, 1, "of which the memory to train is told"),
    "images": number("--batch", 1, 1, "how many images at a time"),
    "batch": number("--batch", None, 1, "how many images a step sees"),
    "optimiser": choice("--optimiser", ("sgd", "adam", "adamw", "rmsprop")),
    "lr": number("--lr", None, 0.0, "the learning rate"),
    "momentum": number("--momentum", None, 0.0, "of SGD or RMSprop, below 1"),
    "nesterov": (("--nesterov",), {"action": "store_true", "help": "SGD looks ahead"}),
    "weight_decay": number("--weight-decay", None, 0.0, "not of biases or norms"),
    "schedule": choice("--schedule", ("constant", "step", "cosine", "one_cycle")),
    "warmup": number("--warmup", None, 0.0, "the share in which the rate climbs"),
    "shift": number("--shift", None, 0, "move images by up to so many pixels"),
    "flip": (
        ("--flip",),
        {"action": argparse.BooleanOptionalAction, "help": "mirror half of the images"},
    ),
    "smoothing": number("--smoothing", 0.0, 0.0, "of the labels"),
    "clip": number("--clip", None, 0.0, "the largest norm of the gradient"),
    "average": number("--average", None, 0.0, "the decay of a moving average"),
    "patience": number("--patience", None, 1, "epochs to wait for a better accuracy"),
    "keep_best": (
        ("--keep-best",), {"action": "store_true", "help": "end with the best epoch"}
    ),
    "start": (
        ("--weights",), {"metavar": "FILE", "help": "begin with these parameters"}
    ),
    "freeze": (
        ("--freeze",),
        {"nargs": "+", "metavar": "PATTERN", "help": "what does not learn: layer1.*"},
    ),
    "workers": number("--workers", 1, 0, "threads that make batches ahead"),
    "checkpoint": (
        ("--checkpoint",),
        {"metavar": "FILE.npz", "help": "written after each epoch, and on Ctrl-C"},
    ),
    "every": number("--every", None, 1, "write it after so many steps too"),
    "resume": (
        ("--resume",), {"metavar": "FILE.npz", "help": "go on from this checkpoint"}
    ),
    "logs": (
        ("--logs",),
        {"metavar": "DIR", "help": "CSV, JSON lines, curves.svg, TensorBoard events"},
    ),
    "seed": number("--seed", 0, 0, "of all that is random"),
    "threads": number("--threads", None, 1, "instead of one per core"),
    "out": (("--out",), {"metavar": "FILE.npz", "help": "where to write the model"}),
    "weights": (("--weights",), {"metavar": "FILE", "help": "parameters to measure"}),
    "saved": (("file",), {"metavar": "FILE.npz", "help": "a model that --out wrote"}),
    "pictures": (("pictures",), {"metavar": "PICTURE", "nargs": "+"}),
    "top": number("--top", 3, 1, "how many classes to name"),
    "output": (("-o", "--out"), {"metavar": "FILE.svg", "required": True}),
    "view": (
        ("--view",),
        {"choices": ["network", "training", "plan", "field", "volumes"],
         "default": "network", "help": "what to draw (network)"},
    ),
    "at": (
        ("--at",), {"metavar": "NODE", "help": "whose field (the last with positions)"}
    ),
    "position": (
        ("--position",),
        {"metavar": "ROW,COLUMN", "type": place, "help": "on its map (the middle)"},
    ),
    "detail": (
        ("--detail",),
        {"choices": ["plain", "shapes", "full"], "default": "shapes",
         "help": "what a box says (shapes)"},
    ),
    "fold": number("--fold", None, 0, "levels of blocks whose repeats are shown once"),
    "depth": number("--depth", None, 0, "levels of blocks that are opened"),
    "columns": number("--columns", None, 1, "instead of as many as suit a page"),
    "other": (
        ("other",),
        {"metavar": "OTHER", "nargs": "?", "help": "a second one"},
    ),
    "planned": (
        ("--plan",),
        {"action": "store_true", "help": "compare a model with its plan"},
    ),
    "picture": (
        ("-o", "--out"), {"metavar": "FILE.svg", "help": "and draw it: .svg .pdf .png"}
    ),
    "file": (("-o", "--out"), {"metavar": "FILE.onnx", "required": True}),
    "json": (("--json",), {"action": "store_true", "help": "results as JSON"}),
}


def build(options: argparse.Namespace) -> Model:
    """The network that the command line asks for."""
    from . import models as zoo
    from .loading import from_onnx, load

    if options.model.endswith((".onnx", ".npz")):
        if options.variant:
            raise Error(f"{options.model} has no variants; leave out --variant")
        read: Any = load if options.model.endswith(".npz") else from_onnx
        return read(options.model)
    make = zoo.get(options.model)
    given = {"variant": options.variant, "seed": getattr(options, "seed", None)}
    given = {key: value for key, value in given.items() if value is not None}
    if "variant" in given and "variant" not in signature(make).parameters:
        raise Error(f"{options.model} has no variants; leave out --variant")
    return make(**given)


def models(options: argparse.Namespace) -> int:
    """List the networks of the zoo."""
    from . import models as zoo
    from .graph import show
    from .table import count, megabytes, table
    from .train import needs

    found = []
    for name in options.names or zoo.list():
        net = zoo.get(name)()
        shape = net.graph.nodes[net.inputs[0]]["node"].shape
        size = tuple(OPEN for n in shape if n is None)
        found.append(
            (name, show(shape), net.count, net.plan(size=size).macs,
             needs(net, options.batch, size))
        )  # fmt: skip
    if options.json:
        heads = ("name", "input", "parameters", "macs", "bytes")
        print(json.dumps([dict(zip(heads, row, strict=True)) for row in found]))
        return 0
    rows = [
        (name, shape, f"{p:,}", count(macs), megabytes(need))
        for name, shape, p, macs, need in found
    ]
    batch = f"to train, batch {options.batch}"
    print(table(("network", "input", "parameters", "MACs", batch), rows))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the table of a network's nodes."""
    build(options).summary(options.fold, options.batch, (OPEN, OPEN))
    return 0


def draw(options: argparse.Namespace) -> int:
    """Draw a network; the suffix is .svg .pdf .png .tex .dot .mmd .graphml or .json."""
    build(options).draw(
        options.out, options.detail, options.fold, options.depth, options.columns,
        options.batch, (OPEN, OPEN),  # where a network leaves it open
        options.view, options.train, options.at, options.position,
    )  # fmt: skip
    print(options.out)
    return 0


def field(options: argparse.Namespace) -> int:
    """Print what a position of a node sees of the nodes before it."""
    from .field import receptive_field

    net = build(options)
    shape = net.graph.nodes[net.inputs[0]]["node"].shape
    size = tuple(OPEN for n in shape if n is None)
    found = receptive_field(net, options.at, options.position, size)
    heads = ("node", "output", "field", "jump", "first", "seen")
    if options.json:
        print(json.dumps([dict(zip(heads, row, strict=True)) for row in found.rows()]))
    else:
        print(found)
    return 0


def diff(options: argparse.Namespace) -> int:
    """Tell two networks apart; exit code 0 if they are equal, 1 if not, 2 on errors."""
    from .compare import diff

    if bool(options.other) == options.plan:
        raise Trouble("expected a second network, or --plan for the model's own plan")
    try:
        net = build(options)
        other: Any = None
        size = (OPEN, OPEN)  # where a network leaves it open
        if options.plan:
            other = net.plan(options.batch, options.train, size)
        else:
            options.model, options.variant = options.other, None
            other = build(options)
        found = diff(net, other, options.batch, size)
        if options.out:
            found.draw(options.out)
    except Error as error:
        raise Trouble(str(error)) from error
    if options.json:
        print(json.dumps(found.json()))
    elif found:
        print(found)
    return int(bool(found))


def export(options: argparse.Namespace) -> int:
    """Write a network for others; the suffix chooses the format: .onnx, .py."""
    from . import files

    if options.out.endswith(".onnx"):
        build(options).to_onnx(options.out)
    elif options.out.endswith(".py"):
        files.write_atomic(options.out, build(options).to_python().encode())
    else:
        raise Error(f"{options.out}: expected a name that ends in .onnx or .py")
    print(options.out)
    return 0


def check(options: argparse.Namespace) -> int:
    """Test the adjoint of each node of a network, and of the whole."""
    from .check import adjoint

    report = adjoint(build(options), seed=options.seed)
    print(report)
    return 0 if report.ok else 1


def profile(options: argparse.Namespace) -> int:
    """Measure where the time of a network goes, step by step."""
    from .profile import profile

    threads(options)
    size = (OPEN, OPEN)  # where a network leaves it open
    found = profile(build(options), options.batch, options.train, size)
    print(json.dumps(found.json()) if options.json else found)
    return 0
