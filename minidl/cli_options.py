"""What the commands may be told: flags, types, help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

Option = tuple[tuple[str, ...], dict[str, Any]]


def place(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between."""
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers such as 3,4, got {text!r}"
        ) from None


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
