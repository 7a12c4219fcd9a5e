"""The ground floor: Cython kernels, one build per instruction set and scalar type.

    <room>.pyx ──┬── <room>_v2_f32  <room>_v2_f64     baseline
                 ├── <room>_v3_f32  <room>_v3_f64     AVX2 and FMA
                 └── <room>_v4_f32  <room>_v4_f64     AVX-512

`kernels(array)` hands out the best build for this CPU and the array's scalar type.
MINIDL_ISA (v2, v3, v4) forces a level.
"""

import importlib.util
import os
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

from ..spec import Error
from . import kernel as _kernel
from .kernel import Kernel, Program

__all__ = [
    "LEVELS", "ROOMS", "Kernel", "Program", "built", "get_threads", "kernels", "level",
    "levels", "set_threads",
]

ROOMS = (
    "elementwise", "pack", "conv", "correlate", "dense", "local", "structure", "pool",
    "windowsum", "maxout", "resize", "lrn", "im2col", "norm", "optim", "softmax",
    "loss", "rbf", "dropout", "winograd", "winograd_weights", "depthwise", "peak",
    "pixels",
)
LEVELS = ("v2", "v3", "v4")


def built(level: str) -> bool:
    """Whether this installation holds the kernels of `level`."""
    return importlib.util.find_spec(f"{__name__}.{ROOMS[0]}_{level}_f32") is not None


def levels() -> list[str]:
    """The levels that this installation holds and this CPU runs, best last."""
    cpu = _kernel.cpu_level()
    return [name for name in LEVELS if int(name[1]) <= cpu and built(name)]


@cache
def level() -> str:
    """The level in use: the best, or the one that MINIDL_ISA names."""
    usable = levels()
    asked = os.environ.get("MINIDL_ISA") or usable[-1]
    if asked not in usable:
        raise Error(
            f"MINIDL_ISA={asked}: expected one of {usable}, which this CPU runs and "
            "this installation holds; unset MINIDL_ISA to take the best"
        )
    return asked


def _module(room: str, variant: str) -> ModuleType:
    """A build of a room: every build calls itself by the room's name."""
    found = importlib.util.find_spec(f"{__name__}.{room}_{variant}")
    if found is None or found.origin is None:
        raise Error(f"the kernels {room}_{variant} are missing; reinstall minidl")
    spec = importlib.util.spec_from_file_location(f"{__name__}.{room}", found.origin)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


@cache
def _load(name: str, scalar: str) -> SimpleNamespace:
    found = SimpleNamespace()
    for room in ROOMS:
        module = _module(room, f"{name}_{scalar}")
        vars(found).update({k: v for k, v in vars(module).items() if k[0].isupper()})
    return found


def kernels(array: Any) -> Any:
    """The kernels for the scalar type of `array`, or for its size in bytes."""
    size = array if isinstance(array, int) else array.dtype.itemsize
    return _load(level(), "f64" if size == 8 else "f32")


MOST = 1024  # threads


def set_threads(n: int) -> None:
    """Use `n` threads. Results are the same bits for any number of them."""
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise Error(f"set_threads: expected a whole number, 1 to {MOST}, got {n!r}")
    _kernel.set_team(n)


def get_threads() -> int:
    """How many threads the kernels use."""
    return int(_kernel.get_team())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_kernel.set_team(int(os.environ.get("MINIDL_THREADS") or 0) or _cores())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kernel.forked)
