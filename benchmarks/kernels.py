"""Products and convolutions against the machine's peak, direction by direction.

    python benchmarks/kernels.py                 all shapes
    python benchmarks/kernels.py --only 512      those whose name holds "512"

Shapes are n, c, h (and w), f, kernel, stride. The figures are the definition's
operations in shares of the peak, which is measured beside each shape; Winograd does
fewer, and can pass it. For the forward the weights are packed before; the adjoints pack
what they need.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import cores, facts

import minidl as dl
from minidl.engine import Bound
from minidl.profile import peak, times
from minidl.table import table

# n, c, h, f, kernel, stride
SHAPES = (
    (4, 64, 224, 64, 3, 1), (4, 128, 112, 128, 3, 1), (4, 256, 56, 256, 3, 1),
    (4, 512, 28, 512, 3, 1), (4, 512, 14, 512, 3, 1), (8, 96, 27, 256, 5, 1),
    (8, 256, 56, 64, 1, 1), (8, 64, 56, 256, 1, 1), (8, 1024, 14, 256, 1, 1),
    (8, 3, 227, 96, 11, 4), (8, 3, 224, 64, 7, 2), (4, 3, 224, 64, 3, 1),
)  # fmt: skip
SIDE = 2048  # of the matrix product


def networks() -> Iterator[tuple[str, int, dl.Model]]:
    """A name, a batch and a network of one node, for each row of the table."""
    z = dl.Input((SIDE,))
    yield f"dense {SIDE}^3", SIDE, dl.Model(z, dl.dense(z, SIDE, bias=False))
    side = int(SIDE**0.5)
    z = dl.Input((side, SIDE // side, SIDE))
    yield f"1x1 {SIDE}^3", 1, dl.Model(z, dl.conv(z, SIDE, 1, bias=False))
    for n, c, h, f, kernel, stride in SHAPES:
        z = dl.Input((h, h, c))
        pad = 0 if kernel == 11 else kernel // 2
        name = f"{n}, {c}, {h}, {f}, {kernel}, {stride}"
        for way in ("rows", "auto"):
            x = dl.conv(z, f, kernel, stride, pad, bias=False, algorithm=way)
            net = dl.Model(z, x)
            if way == "rows" or "winograd" in {one.how for one in net.plan(n).steps}:
                yield name, n, net


def measured(name: str, batch: int, net: dl.Model, seconds: float) -> dict[str, Any]:
    """Operations a second forward, for delta and for the weights."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, *net.graph.nodes[net.inputs[0]]["node"].shape))
    given = {net.inputs[0]: images.astype("float32")}
    engine = net._engine(net.outputs, given, adjoint=True, deltas=net.inputs)
    epsilon = rng.standard_normal(engine.array(engine.plan.seeds[0]).shape)
    engine.run(given, [epsilon.astype("float32")])
    forward = next(one for one in engine.plan.steps if one.do == "forward")
    adjoint = next(one for one in engine.plan.steps if one.do == "adjoint")
    steps = {
        "forward": forward,
        "delta": replace(adjoint, g=dict.fromkeys(adjoint.g)),
        "weights": replace(adjoint, delta=(None,)),
    }
    calls = [Bound(engine, [step]) for step in steps.values()]
    best = peak(seconds / 4)
    found = [median(each[1:]) for each in times(calls, seconds)]
    best = max(best, peak(seconds / 4))
    return {
        "name": name, "by": forward.how or "product", "peak": best,
        **{
            way: 2 * forward.macs / each for way, each in zip(steps, found, strict=True)
        },
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    top = argparse.ArgumentParser("kernels.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    top.add_argument("--only", default="", help="a part of the names that are wanted")
    top.add_argument("--seconds", type=float, default=2.0, help="for each row (2)")
    top.add_argument("--threads", type=int, default=cores())
    top.add_argument("--out", type=Path, help="write JSON here too")
    options = top.parse_args()
    dl.set_threads(options.threads)
    found, rows = [], []
    for name, batch, net in networks():
        if options.only not in name:
            continue
        one = measured(name, batch, net, options.seconds)
        found.append(one)
        speeds = [one[way] for way in ("forward", "delta", "weights")]
        rows.append(
            (
                name, one["by"], *(f"{s / 1e9:.0f}" for s in speeds),
                *(f"{s / one['peak']:.0%}" for s in speeds), f"{one['peak'] / 1e9:.0f}",
            )
        )  # fmt: skip
    head = (
        "n, c, h, f, kernel, stride", "by", "forward", "delta", "weights", "of peak",
        "delta", "weights", "peak GFLOP/s",
    )  # fmt: skip
    print(table(head, rows))
    machine = facts()
    print(f"{machine['cpu']}, {options.threads} threads, {machine['level']}; GFLOP/s")
    if options.out:
        text = json.dumps({"machine": machine, "kernels": found}, indent=1)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
