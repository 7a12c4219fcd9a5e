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
from typing import Any

from .cli_net import OPEN, build
from .cli_options import OPTIONS
from .cli_train import eval_, predict, threads, train
from .spec import Error


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
