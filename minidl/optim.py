"""How theta follows its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._ext import kernels
from .spec import Error


@dataclass(frozen=True)
class SGD:
    """v <- momentum v + g + weight_decay w;   w <- w - lr v

    With `nesterov`, w <- w - lr (momentum v + g + weight_decay w), v the new one.

    Examples
    --------
    >>> from minidl.optim import SGD
    >>> import numpy as np
    >>> sgd, w, g = SGD(lr=0.5, momentum=0.5), np.ones(2), np.array([1.0, 2.0])
    >>> step = sgd.kernel(w, g, sgd.state(w.size, w.dtype), np.array([sgd.lr]))
    >>> step(); step(); w
    array([-0.25, -1.5 ])
    """

    lr: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    piecewise: ClassVar[bool] = True  # its kernel can follow a gradient piece by piece

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lr", 0, math.inf), ("momentum", 0, 1), ("weight_decay", 0, math.inf)
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value < high:
                raise Error(f"SGD: expected {low} <= {name} < {high}, got {value!r}")
        if self.nesterov and not self.momentum:
            raise Error("SGD: nesterov looks ahead along v; give momentum > 0")

    def state(self, size: int, dtype: Any) -> dict[str, Any]:
        """What it remembers between steps, for `size` parameters."""
        return {"v": np.zeros(size, dtype)} if self.momentum else {}

    def kernel(
        self,
        w: Any,
        g: Any,
        state: dict[str, Any],
        lr: Any,
        decay: Any = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Any:
        """A step for the entries from `start` to `stop` of the flat arrays w and g.

        g may end there; it is None for a kernel that follows a gradient piece by piece.

        `lr` and `decay` are arrays of one float64, read at each run, so that either may
        be changed between runs. Without `decay` it is `weight_decay` for good.
        """
        return kernels(w).SgdStep(
            w, g, state.get("v"), lr,
            np.array([float(self.weight_decay)]) if decay is None else decay,
            start, w.size if stop is None else stop, self.momentum, self.nesterov,
        )
