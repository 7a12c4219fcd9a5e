"""How fast this machine computes, and how long calls take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from ._ext import get_threads, kernels


def peak(seconds: float = 0.2, dtype: str = "float32") -> float:
    """Operations a second of all threads: the best run of a loop on registers alone.

    Examples
    --------
    >>> from minidl.clock import peak
    >>> peak(0.01) > 1e8
    True
    """
    sums = np.zeros(64 * get_threads(), dtype)
    kernel = kernels(sums).Peak(sums)
    return float(kernel.flops / min(times([kernel], seconds)[0]))


def times(
    calls: Sequence[Callable[[], object]], seconds: float, least: int = 6
) -> list[list[float]]:
    """The times of each call, in turns for some `seconds`, `least` times or more."""
    found: list[list[float]] = [[] for _ in calls]
    end = perf_counter() + seconds
    while perf_counter() < end or len(found[0]) < least:
        for call, into in zip(calls, found, strict=True):
            began = perf_counter()
            call()
            into.append(perf_counter() - began)
    return found
