"""Contestants, each in its own process, driven in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
PAUSE = 0.25  # seconds: the threads of the one before spin for up to 0.2, then sleep
MOST = 2000  # runs in a turn
CLOSE = 1e-3  # relative: float32 by different roads, through up to 50 layers


class Contestant:
    """A worker: asked over a pipe, answering over another."""

    def __init__(self, name: str, python: str, threads: int, isa: str | None) -> None:
        self.name = name
        self.refused: str | None = None
        counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MINIDL_THREADS")
        env = os.environ | dict.fromkeys(counts, str(threads))
        if isa and name == "minidl":
            env["MINIDL_ISA"] = isa
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Its answer; where it refuses or is gone, that is remembered."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            code = self.process.wait()
            answer = {"refused": f"its process ended with {code}"}
        self.refused = answer.get("refused", self.refused)
        return answer

    def end(self) -> int:
        """Stop it; the peak of its memory."""
        peak = 0 if self.process.poll() is not None else self.ask("end").get("peak", 0)
        self.process.communicate()
        return int(peak)


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def contest(case: dict[str, Any], names: list[str], how: Any) -> dict[str, Any]:
    """One network, mode and batch: everybody's times, round by round.

    `how` has rounds, turn (seconds), threads, isa, python (of the peers).
    """
    told: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    playing: list[Contestant] = []
    case = case | {"threads": how.threads}
    for name in names:
        python = sys.executable if name == "minidl" else how.python
        one = Contestant(name, python, how.threads, how.isa)
        answer = one.ask("load", case=case)
        if one.refused is None and told and not case["random"] and name != "converter":
            off = difference(answer["found"], told["minidl"]["found"])
            if not off < CLOSE:
                one.refused = f"computes something else: {off:.1e}"
        if one.refused is None and name != "converter":
            say(f"  {name}: {answer['seconds'] * 1e3:.3f} ms")
            playing.append(one)
            told[name] = answer | {"times": []}
            continue
        one.end()
        if one.refused:
            say(f"  {name}: {one.refused}")
            skipped[name] = one.refused
        if name == "minidl":
            sys.exit(f"minidl: {one.refused}")
    for turn in range(how.rounds):
        at = turn % len(playing)
        for one in playing[at:] + playing[:at]:
            mine = told[one.name]
            runs = max(1, min(MOST, round(how.turn / mine["seconds"])))
            time.sleep(PAUSE)
            seconds = one.ask("run", times=runs).get("seconds")
            mine["times"].append(median(seconds) if seconds else float("nan"))
    for one in playing:
        told[one.name]["peak"] = one.end()
        if one.refused:
            skipped[one.name] = one.refused
            del told[one.name]
    return {
        "network": case["network"], "mode": case["mode"], "batch": case["batch"],
        "skipped": skipped, **compared(told),
    }  # fmt: skip


def compared(told: dict[str, Any]) -> dict[str, Any]:
    """Medians, and minidl's time in shares of each peer's, by pairs of one round."""
    ours = told.get("minidl")
    rows: dict[str, Any] = {}
    for name, mine in told.items():
        row = {
            "version": mine["version"], "seconds": median(mine["times"]),
            "times": mine["times"], "first": mine["first"], "peak": mine["peak"],
        }  # fmt: skip
        if ours and name != "minidl":
            pairs = zip(ours["times"], mine["times"], strict=True)
            row["ratio"] = median(a / b for a, b in pairs)
        rows[name] = row
    peers = [name for name in rows if name != "minidl"]
    fastest = min(peers, key=lambda name: rows[name]["seconds"], default=None)
    ratio = rows[fastest].get("ratio") if fastest else None
    return {"contestants": rows, "fastest": fastest, "ratio": ratio}


def difference(a: list[float], b: list[float]) -> float:
    """The relative L2 difference of what two contestants computed."""
    if len(a) != len(b):
        return float("inf")
    square = sum(y * y for y in b) or 1.0
    return float((sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / square) ** 0.5)
