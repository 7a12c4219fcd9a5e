"""What batches cost: epochs of resnet20 from a loader beside the same steps without.

    python benchmarks/loader.py

The loader shuffles, shifts and flips images of 32x32x3 bytes. What it made is kept, and
the same steps run on that; epochs of both take turns, and the median ratio counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np

import minidl as dl


def network() -> dl.Model:
    """resnet20, bytes in."""
    net = dl.models.resnet20()
    pixels = dl.Input((32, 32, 3), name="pixels", dtype="uint8")
    net = net.rewired({"image": lambda: dl.normalise(pixels, 120.0, 60.0, "normal")})
    net.compile(optimiser=dl.optim.SGD(0.01, 1e-4, 0.9))
    return net


def epoch(net: dl.Model, batches: Iterable[tuple[Any, Any]]) -> float:
    """Seconds of a step on every batch."""
    began = time.perf_counter()
    for x, labels in batches:
        net.train_step(x, labels)
    return time.perf_counter() - began


def main() -> None:
    """Print the ratio."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--images", type=int, default=1024)
    top.add_argument("--batch", type=int, default=64)
    top.add_argument("--workers", type=int, default=1)
    top.add_argument("--pairs", type=int, default=15)
    options = top.parse_args()
    rng, net = np.random.default_rng(0), network()
    images = rng.integers(0, 256, (options.images, 32, 32, 3), np.uint8)
    loader = dl.data.Loader(
        (images, rng.integers(0, 10, options.images)), options.batch,
        augment=[dl.data.Shift(4), dl.data.Flip()], workers=options.workers,
    )  # fmt: skip
    epoch(net, loader.epoch(0))
    ratios = []
    for i in range(options.pairs):
        held = list(loader.epoch(i))
        turns = [lambda i=i: loader.epoch(i), lambda held=held: held]
        spent = [0.0, 0.0]
        for k in (0, 1) if i % 2 else (1, 0):
            spent[k] = epoch(net, turns[k]())
        ratios.append(spent[0] / spent[1])
    print(
        f"{len(loader)} steps of {options.batch}, {options.workers} workers: an epoch "
        f"from the loader takes {median(ratios):.3f} times as long "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
