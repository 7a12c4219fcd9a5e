"""minidl against its peers, side by side.

    make bench                                   the whole table
    make bench BENCH="--quick --only lenet5"     a look
    PEERS_PYTHON=/elsewhere/bin/python make bench

Every contestant is a process of its own. Of one network, mode and batch all are loaded
and warmed up one by one, and then run in turns, round by round, in a changing order;
ratios are medians over the rounds of times taken in the same round. Memory is the peak
of the process's resident memory after its warm-up. Everybody has the same parameters
and images in float32, and who computes something else is left out. A training step is
forward, adjoint and SGD with momentum under softmax cross-entropy.

Peers that are not installed are left out by name: torch, onnxruntime, openvino, ncnn;
onnx and pnnx convert for the last three. They may live in another environment, whose
interpreter --python names.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest import contest, say
from machine import cores, facts
from plot import plot
from report import lines, summary
from worker import CONTESTANTS

# image, classes, the larger batch, whether training draws random numbers
NETWORKS = {
    "lenet5": ((32, 32, 1), 10, 64, False),
    "resnet20": ((32, 32, 3), 10, 64, False),
    "alexnet": ((227, 227, 3), 1000, 8, True),
    "vgg16": ((224, 224, 3), 1000, 8, True),
    "resnet18": ((224, 224, 3), 1000, 8, False),
    "resnet50": ((224, 224, 3), 1000, 8, False),
}
PEERS = [name for name in CONTESTANTS if name not in ("minidl", "converter")]
MODES = {"infer": PEERS, "train": PEERS[:3]}


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(
        "bench.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = top.add_argument
    add("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS),
        metavar="NETWORK", help=", ".join(NETWORKS))  # fmt: skip
    add("--mode", choices=MODES, help="one of them alone")
    add("--batch", type=int, help="this one, instead of each network's")
    add("--peers", nargs="*", choices=PEERS, default=PEERS, metavar="PEER",
        help=", ".join(PEERS))  # fmt: skip
    add("--rounds", type=int, default=9, help="how often everybody has a turn (9)")
    add("--turn", type=float, default=0.5, help="how many seconds a turn has (0.5)")
    add("--quick", action="store_true", help="2 rounds of short turns")
    add("--isa", choices=("v2", "v3", "v4"), help="the level of minidl's kernels")
    add("--threads", type=int, default=cores(), help="of everybody (one per core)")
    add("--python", default=os.environ.get("PEERS_PYTHON"),
        help="the interpreter that has the peers ($PEERS_PYTHON, or this one)")
    add("--out", type=Path, default=Path("build/bench.json"), help="where results go; "
        "the plot beside it (build/bench.json)")  # fmt: skip
    return top


def cases(options: argparse.Namespace, folder: str) -> Iterator[dict[str, Any]]:
    """What is measured, in order."""
    for network in options.only:
        shape, classes, many, random = NETWORKS[network]
        for mode in [options.mode] if options.mode else MODES:
            small = {1} if mode == "infer" else set()
            for batch in [options.batch] if options.batch else sorted({*small, many}):
                yield {
                    "network": network, "shape": shape, "classes": classes,
                    "mode": mode, "batch": batch, "random": random and mode == "train",
                    "weights": f"{folder}/{network}.npz",
                    "stem": f"{folder}/{network}_{batch}",
                }  # fmt: skip


def names(mode: str, peers: list[str]) -> list[str]:
    """Who runs, and before them who converts: minidl first, it writes the weights."""
    known = [name for name in MODES[mode] if name in peers]
    convert = any(name in PEERS[3:] for name in known)
    return ["minidl", *(["converter"] if convert else []), *known]


def main() -> None:
    """Measure, print, write."""
    options = parser().parse_args()
    if options.quick:
        options.rounds, options.turn = 2, 0.05
    options.python = shutil.which(options.python or sys.executable)
    if options.python is None:
        sys.exit("--python: there is no such interpreter")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "machine": facts(options.isa), "rounds": options.rounds, "turn": options.turn,
        "threads": options.threads, "isa": options.isa, "cases": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options, folder):
            say(f"{case['network']}, {case['mode']}, batch {case['batch']}")
            one = contest(case, names(case["mode"], options.peers), options)
            found["cases"].append(one)
            print(*lines(one), sep="\n", flush=True)
            options.out.write_text(json.dumps(found, indent=1) + "\n")  # each time
            for made in Path(folder).glob(Path(case["stem"]).name + ".*"):
                made.unlink()
    print(summary(found))
    picture = options.out.with_suffix(".svg")
    picture.write_text(plot(found))
    print(f"{options.out}, {picture}")


if __name__ == "__main__":
    main()
