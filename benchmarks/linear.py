"""Cost grows with the work: batches of 1 to 64, images of 32x32 to 256x256.

    python benchmarks/linear.py [--seconds 2]

The first table is resnet20, the second a fully convolutional network (all_cnn_c with
its input left open). What an image, or a thousand pixels, costs must not grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from machine import cores, facts

import minidl as dl
from minidl.profile import times
from minidl.table import megabytes, table

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIDES = (32, 64, 96, 128, 192, 256)


def once(run: Callable[[], object], seconds: float) -> float:
    """Milliseconds, the median."""
    run()
    return 1e3 * median(times([run], seconds)[0])


def images(n: int, side: int) -> np.ndarray:
    """Random ones."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, side, side, 3)).astype("float32")


def by_batch(seconds: float) -> str:
    """Resnet20, inference and training."""
    net = dl.models.resnet20()
    net.compile(optimiser=dl.optim.SGD(lr=1e-4))
    rows = []
    for n in BATCHES:
        x, labels = images(n, 32), np.arange(n) % 10
        infer = once(partial(net, x), seconds)
        learn = once(partial(net.train_step, x, labels), seconds)
        rows.append(
            (
                f"{n}", f"{infer:.3f}", f"{learn:.3f}", f"{infer / n:.3f}",
                f"{learn / n:.3f}", megabytes(net.plan(n).bytes),
                megabytes(net.plan(n, train=True).bytes),
            )
        )  # fmt: skip
    head = (
        "batch", "infer ms", "train ms", "infer / image", "train / image",
        "infer arena", "train arena",
    )  # fmt: skip
    return table(head, rows)


def by_size(seconds: float) -> str:
    """A fully convolutional network, inference."""
    net = dl.models.all_cnn_c(input=(None, None, 3))
    rows = []
    for side in SIDES:
        infer = once(partial(net, images(1, side)), seconds)
        plan = net.plan(size=(side, side))
        pixels = side * side / 1000
        rows.append(
            (
                f"{side}x{side}", f"{infer:.3f}", f"{infer / pixels:.4f}",
                megabytes(plan.bytes), f"{2 * plan.macs / infer / 1e6:.0f}",
            )
        )  # fmt: skip
    return table(("image", "ms", "ms / 1000 pixels", "arena", "GFLOP/s"), rows)


def main() -> None:
    """Both tables."""
    top = argparse.ArgumentParser("linear.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    top.add_argument("--seconds", type=float, default=2.0, help="for each cell (2)")
    top.add_argument("--threads", type=int, default=cores())
    options = top.parse_args()
    dl.set_threads(options.threads)
    print(by_batch(options.seconds), by_size(options.seconds), sep="\n\n")
    machine = facts()
    print(f"{machine['cpu']}, {options.threads} threads, {machine['level']}")


if __name__ == "__main__":
    main()
