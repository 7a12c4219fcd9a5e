"""Kill training again and again, and see that nothing is lost.

    python benchmarks/kills.py                   200 kills

A process trains and writes a checkpoint every few steps. It gets SIGKILL at a random
moment, then another process goes on from the file. After every kill the checkpoint must
load; a run that came to its end must have the bits of one that nobody touched.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minidl import npz

SETTINGS = (
    "lenet5", "--epochs", "4", "--shift", "2", "--optimiser", "adam", "--lr", "0.002",
    "--every", "2",
)  # fmt: skip


def start(home: Path, *more: str) -> subprocess.Popen[bytes]:
    """Training in a process of its own, that writes its checkpoints to `home`."""
    return subprocess.Popen(
        [sys.executable, "-m", "minidl", "train", *SETTINGS, *more,
         "--checkpoint", home / "run.npz", "--out", home / "end.npz"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that nobody kills."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"training ended with {process.returncode}: {said.decode()}")


def same(a: Path, b: Path) -> bool:
    """Whether two files hold the same arrays, to the bit."""
    mine, other = npz.read(a), npz.read(b)
    return mine.keys() == other.keys() and all(
        mine[k].tobytes() == other[k].tobytes() for k in mine
    )


def trial(kills: int, seed: int = 0) -> dict[str, int]:
    """Kill so often; what was counted."""
    rng, count = random.Random(seed), {"kills": 0, "inside": 0, "loaded": 0, "ends": 0}
    with tempfile.TemporaryDirectory() as folder:
        whole, home = Path(folder, "whole"), Path(folder, "killed")
        whole.mkdir()
        began = time.perf_counter()
        finish(start(whole))
        longest = time.perf_counter() - began
        while count["kills"] < kills or not count["ends"]:
            home.mkdir(exist_ok=True)
            file = home / "run.npz"
            more = ("--resume", str(file)) if file.exists() else ()
            process = start(home, *more)
            if count["kills"] == kills:
                finish(process)
            else:
                try:
                    process.wait(rng.uniform(0, longest))
                except subprocess.TimeoutExpired:
                    process.kill()
                    count["kills"] += 1
                process.communicate()
            if process.returncode > 0:
                raise SystemExit(f"resuming ended with {process.returncode}")
            left = set(os.listdir(home)) - {"run.npz", "end.npz"}
            count["inside"] += bool(left)  # killed while it wrote
            if file.exists():
                npz.read(file)  # checks its checksum
                count["loaded"] += 1
            if process.returncode == 0:
                if not same(whole / "end.npz", home / "end.npz"):
                    raise SystemExit("the resumed run has other bits")
                count["ends"] += 1
                file.unlink()
            for one in left:
                (home / one).unlink()
    return count


def main() -> None:
    """Print what was counted."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--kills", type=int, default=200)
    top.add_argument("--seed", type=int, default=0)
    options = top.parse_args()
    count = trial(options.kills, options.seed)
    print(
        f"{count['kills']} kills, {count['inside']} of them while a file was written: "
        f"{count['loaded']} checkpoints loaded, {count['ends']} runs came to their end "
        "with the bits of an untouched one"
    )


if __name__ == "__main__":
    main()
