"""A contestant in a process of its own: answers a line of JSON with a line of JSON.

    load   build a network, run it until it is warm   -> what it computed, its version
    run    run it some times                          -> the seconds of each
    end    stop                                       -> the peak of resident memory
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

# contestant -> (file, function, what it needs)
CONTESTANTS = {
    "minidl": ("ours", "minidl", "minidl"),
    "torch": ("peers", "torch_nchw", "torch"),
    "torch nhwc": ("peers", "torch_nhwc", "torch"),
    "torch.compile": ("peers", "torch_compile", "torch"),
    "onnxruntime": ("peers", "onnxruntime", "onnxruntime"),
    "openvino": ("peers", "openvino", "openvino"),
    "ncnn": ("peers", "ncnn", "ncnn"),
    "converter": ("peers", "converter", "torch"),
}
WARM = 0.3  # seconds


class Refused(Exception):
    """A contestant cannot do what is asked, and says why."""


def data(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, h, w, c] and labels, the same for everybody."""
    rng = np.random.default_rng(0)
    n = case["batch"]
    images = rng.standard_normal((n, *case["shape"])).astype("float32")
    return images, rng.integers(0, case["classes"], n)


class Memory:
    """The peak of this process's resident memory."""

    def forget(self) -> None:
        """What came before does not count, where the system can forget it."""
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")

    def peak(self) -> int:
        """In bytes. What getrusage says may be the parent's, on Linux."""
        with contextlib.suppress(OSError), open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def timed(run: Callable[[], Any], times: int) -> list[float]:
    """The seconds of each of so many runs."""
    found = []
    for _ in range(times):
        began = perf_counter()
        run()
        found.append(perf_counter() - began)
    return found


def load(name: str, case: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """What to run, and what is told of it."""
    file, function, needs = CONTESTANTS[name]
    try:
        version = importlib.import_module(needs).__version__.split("-")[0]
    except ImportError:
        raise Refused(f"{needs} is not installed") from None
    run, see = getattr(importlib.import_module(file), function)(case)
    began = perf_counter()
    first = run()
    found = np.asarray(see(first), dtype=float).ravel().tolist()
    first_seconds = perf_counter() - began
    warm, count = perf_counter() + WARM, 0
    while perf_counter() < warm or count < 2:
        last = timed(run, 1 if count < 2 else 5)
        count += len(last)
    told = {
        "version": version, "found": found, "first": first_seconds,
        "seconds": median(last),
    }  # fmt: skip
    return run, told


def main() -> None:
    """Answer until the end."""
    name = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    memory = Memory()
    run: Callable[[], Any] | None = None
    for line in sys.stdin:
        ask = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if ask["do"] == "load":
                run, answer = load(name, ask["case"])
                memory.forget()
            elif ask["do"] == "run":
                assert run is not None
                answer["seconds"] = timed(run, ask["times"])
            else:
                answer["peak"] = memory.peak()
        except Refused as error:
            answer["refused"] = str(error)
        except Exception as error:
            traceback.print_exc()
            answer["refused"] = f"{type(error).__name__}: {str(error)[:200]}"
        print(json.dumps(answer), file=answers, flush=True)
        if ask["do"] == "end":
            break
    os._exit(0)  # without the destructors of every library


if __name__ == "__main__":
    import worker  # the one that contestants import too: Refused is one class

    worker.main()
