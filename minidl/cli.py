"""minidl models | summary | draw | export | check | profile | train | eval

Results go to stdout, progress to stderr. Exit codes: 0 all is well, 1 it is not (an
error, a check that fails), 2 a command that is not understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from inspect import signature
from math import cos, pi
from typing import TYPE_CHECKING, Any

from .spec import Error

if TYPE_CHECKING:
    from .data import Part
    from .model import Model

OPEN = 32  # stands for a height or a width that a network leaves open
# learning rates for the digits in batches of 16, where 0.02 is not the best
RATES = {"lenet5": 0.06, "lenet5_modern": 0.01}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except Error as error:
        print(f"minidl: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("minidl: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        "minidl", description="Convolutional networks as graphs, on the CPU."
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(run: Callable[..., int], *options: str) -> None:
        name = run.__name__.strip("_")
        about = (run.__doc__ or "").rstrip(".")
        one = commands.add_parser(name, help=about, description=about)
        one.set_defaults(run=run)
        for option in options:
            flag, settings = OPTIONS[option]
            one.add_argument(*flag, **settings)

    command(models, "json")
    command(summary, "model", "variant")
    command(draw, "model", "variant", "output")
    command(export, "model", "variant", "file")
    command(check, "model", "variant", "seed")
    command(profile, "model", "variant", "train", "images", "threads", "json")
    command(
        train, "model", "variant", "data", "copies", "epochs", "batch", "lr",
        "momentum", "seed", "threads", "out", "json",
    )  # fmt: skip
    command(eval_, "model", "variant", "data", "weights", "threads", "json")
    return top


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


OPTIONS: dict[str, Option] = {
    "model": (
        ("model",),
        {"metavar": "MODEL", "help": "a name from `minidl models`, or a .onnx or .npz"},
    ),
    "variant": (("--variant",), {"help": "of the network, such as modern for lenet5"}),
    "data": (("--data",), {"choices": ["digits"], "default": "digits"}),
    "copies": number("--copies", 8, 1, "how often an epoch shows each image, shifted"),
    "epochs": number("--epochs", 8, 1, "how often to go through the data"),
    "train": (
        ("--train",), {"action": "store_true", "help": "a training step, not inference"}
    ),
    "images": number("--batch", 1, 1, "how many images at a time"),
    "batch": number("--batch", 16, 1, "how many images a step sees"),
    "lr": number("--lr", None, 0.0, "the learning rate; it falls along a cosine"),
    "momentum": number("--momentum", 0.9, 0.0, "of the steps, below 1"),
    "seed": number("--seed", 0, 0, "of all that is random"),
    "threads": number("--threads", None, 1, "instead of one per core"),
    "out": (("--out",), {"metavar": "FILE.npz", "help": "where to write the weights"}),
    "weights": (("--weights",), {"metavar": "FILE.npz", "required": True}),
    "output": (("-o", "--out"), {"metavar": "FILE.svg", "required": True}),
    "file": (("-o", "--out"), {"metavar": "FILE.onnx", "required": True}),
    "json": (("--json",), {"action": "store_true", "help": "results as JSON"}),
}


def build(options: argparse.Namespace) -> Model:
    """The network that the command line asks for."""
    from . import models as zoo
    from .model import from_onnx, load

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
    from .table import count, table

    found = []
    for name in zoo.list():
        net = zoo.get(name)()
        shape = net.graph.nodes[net.inputs[0]]["node"].shape
        size = tuple(OPEN for n in shape if n is None)
        found.append((name, show(shape), net.count, net.plan(size=size).macs))
    if options.json:
        heads = ("name", "input", "parameters", "macs")
        print(json.dumps([dict(zip(heads, row, strict=True)) for row in found]))
        return 0
    rows = [(name, shape, f"{p:,}", count(macs)) for name, shape, p, macs in found]
    print(table(("network", "input", "parameters", "MACs"), rows))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the table of a network's nodes."""
    build(options).summary()
    return 0


def draw(options: argparse.Namespace) -> int:
    """Draw a network; the suffix chooses the format: .svg, .dot."""
    build(options).draw(options.out)
    print(options.out)
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a network for other programs; the suffix chooses the format: .onnx."""
    if not options.out.endswith(".onnx"):
        raise Error(f"{options.out}: expected a name that ends in .onnx")
    build(options).to_onnx(options.out)
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


def train(options: argparse.Namespace) -> int:
    """Train a network, and measure it on the held-out data."""
    from . import files
    from .data import shifted
    from .optim import SGD
    from .train import accuracy

    net, (learn, held) = prepare(options)
    if options.out:
        files.writable(options.out)  # now, not after the last epoch
    lr = RATES.get(net.name, 0.02) if options.lr is None else options.lr
    net.compile(optimiser=SGD(lr=lr, momentum=options.momentum))
    history = net.fit(
        shifted(learn, options.copies, seed=options.seed), epochs=options.epochs,
        batch=options.batch, validation=held, seed=options.seed,
        lr=lambda epoch: lr * cos(pi * epoch / options.epochs / 2) ** 2,
    )  # fmt: skip
    found = accuracy(net, held)
    if options.out:
        net.save(options.out)
    say(options, {
        "model": net.name, "epochs": history.rows(), "accuracy": found,
        "held_out": len(held.labels), "weights": options.out,
    })  # fmt: skip
    return 0


def eval_(options: argparse.Namespace) -> int:
    """Measure weights on the held-out data."""
    from . import checkpoint
    from .train import accuracy

    net, (_, held) = prepare(options)
    arrays = checkpoint.read(options.weights)
    arrays.pop(checkpoint.GRAPH, None)
    checkpoint.assign(net, arrays, options.weights)
    found = {"model": net.name, "accuracy": accuracy(net, held)}
    say(options, found | {"held_out": len(held.labels), "weights": options.weights})
    return 0


def prepare(options: argparse.Namespace) -> tuple[Model, tuple[Part, Part]]:
    """The network, and the data at the size of its input."""
    from .data import digits
    from .graph import show
    from .spec import DataError

    threads(options)
    net = build(options)
    ends = net.inputs[0], net.outputs[0]
    shape, scores = (net.graph.nodes[name]["node"].shape for name in ends)
    if len(shape) != 3 or shape[2] != 1 or scores != (10,):
        raise DataError(
            f"{net.name}: makes {show(scores)} of {show(shape)}; to learn the digits a "
            "network must make 10 scores of ?x?x1"
        )
    return net, digits((shape[0] or OPEN, shape[1] or OPEN))


def threads(options: argparse.Namespace) -> None:
    """Use as many as the command line says."""
    from ._ext import set_threads

    if options.threads:
        set_threads(options.threads)


def say(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """The result, as a sentence or as JSON."""
    if options.json:
        print(json.dumps(found))
        return
    share, n = found["accuracy"], found["held_out"]
    print(f"{found['model']}: {share:.2%} of {n} held-out digits ({round(share * n)})")
    if found["weights"]:
        print(f"weights: {found['weights']}")
