"""The learning rate over a run: a factor that depends on the step alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from .spec import Error, number

RISE, START, END = 0.3, 1 / 25, 1e-4  # one-cycle: how long it climbs, from and to


def constant(p: float) -> float:
    """1"""
    return 1.0


def step(p: float) -> float:
    """1, a tenth from half of the way on, a hundredth in the last quarter"""
    return 1.0 if p < 0.5 else 0.1 if p < 0.75 else 0.01


def cosine(p: float) -> float:
    """(1 + cos(pi p)) / 2"""
    return (1 + cos(pi * p)) / 2


def one_cycle(p: float) -> float:
    """Up from 1/25 to 1 in the first 0.3 of the way, then down to 1/10,000, on cosines

    L. Smith, N. Topin, "Super-convergence", 2018.
    """
    if p < RISE:
        return 1 - (1 - START) * cosine(p / RISE)
    return END + (1 - END) * cosine((p - RISE) / (1 - RISE))


SHAPES: dict[str, Callable[[float], float]] = {
    one.__name__: one for one in (constant, step, cosine, one_cycle)
}


@dataclass(frozen=True)
class Schedule:
    """The factor of the learning rate at the share p of a run, 0 to 1

    In the first `warmup` of it the factor climbs on a line to what it then is.

    Examples
    --------
    >>> [round(Schedule("cosine", warmup=0.1)(p), 2) for p in (0.05, 0.1, 0.55, 1)]
    [0.5, 1.0, 0.5, 0.0]
    """

    shape: str = "constant"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise Error(
                f"schedule: expected one of {', '.join(SHAPES)}, got {self.shape!r}"
            )
        number("warmup", self.warmup, low=0, below=1)

    def __call__(self, p: float) -> float:
        """The factor."""
        factor = SHAPES[self.shape]
        if p < self.warmup:
            return factor(0.0) * p / self.warmup
        return factor((p - self.warmup) / (1 - self.warmup))
