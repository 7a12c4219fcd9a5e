"""How well networks learn: digits and shapes, by the recipes, over several seeds.

    python benchmarks/accuracy.py                      every network, seeds 0 to 4
    python benchmarks/accuracy.py --only lenet5 --seeds 2
    python benchmarks/accuracy.py --exact              without Winograd

A fifth of the digits is held out, the same for every seed; the seed chooses the first
parameters, the order and the augmentation. The last epoch counts, not the best.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import mean, stdev
from typing import Any

from minidl.models.vgg import vgg

import minidl as dl
from minidl.recipes import recipe


def small_vgg(**settings: Any) -> dl.Model:
    """Six convolutions in three stages, two dense layers of 128."""
    return vgg(
        (2, 2, 2), True, 10, (32, 32, 1), filters=(32, 64, 128), units=128,
        name="small_vgg_bn", **settings,
    )  # fmt: skip


def resnet20(**settings: Any) -> dl.Model:
    """For grey images."""
    return dl.models.resnet20(input=(32, 32, 1), **settings)


def all_cnn(**settings: Any) -> dl.Model:
    """For shapes: pixels as bytes come in."""
    net = dl.models.all_cnn_c(classes=6, input=(32, 32, 1), **settings)
    pixels = dl.Input((32, 32, 1), name="pixels", dtype="uint8")
    return net.rewired({"image": lambda: dl.normalise(pixels, 80.0, 80.0, "normal")})


def modern(**settings: Any) -> dl.Model:
    """LeNet-5 with ReLU, max pooling and a dense head."""
    return dl.models.lenet5(variant="modern", **settings)


NETWORKS: dict[str, tuple[Callable[..., dl.Model], str]] = {
    "lenet5": (dl.models.lenet5, "digits"), "lenet5_modern": (modern, "digits"),
    "resnet20": (resnet20, "digits"), "small_vgg_bn": (small_vgg, "digits"),
    "all_cnn_c": (all_cnn, "shapes"),
}  # fmt: skip


def run(name: str, seed: int, exact: bool) -> tuple[float, float]:
    """The accuracy on what is held out, and the seconds that training took."""
    make, data = NETWORKS[name]
    net = make(seed=seed, exact=exact)
    train, test = dl.data.named(data)
    how = recipe(name, data)
    net.compile(
        optimiser=dl.optim.SGD(how.lr, how.weight_decay, how.momentum), clip=how.clip
    )
    began = time.perf_counter()
    net.fit(
        train, how.epochs, batch=how.batch, schedule=how.schedule, warmup=how.warmup,
        augment=[dl.data.Shift(how.shift)] * bool(how.shift), seed=seed,
        log=lambda _: None,
    )  # fmt: skip
    return dl.evaluate(net, test).accuracy, time.perf_counter() - began


def main() -> None:
    """Train, print a line a network, and JSON if asked."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    top.add_argument("--seeds", type=int, default=5)
    top.add_argument("--exact", action="store_true", help="keep off Winograd")
    top.add_argument("--json", action="store_true")
    options = top.parse_args()
    for name in options.only:
        runs = [run(name, seed, options.exact) for seed in range(options.seeds)]
        found, spent = zip(*runs, strict=True)
        if options.json:
            print(json.dumps({"network": name, "accuracy": found, "seconds": spent}))
            continue
        spread = stdev(found) if len(found) > 1 else 0.0
        each = " ".join(f"{one:.2%}" for one in found)
        print(
            f"{name:14} {mean(found):.2%} +- {spread:.2%}  ({each}), "
            f"{max(spent):.0f} s at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
