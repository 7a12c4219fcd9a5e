"""Where the parameters, buffers and gradients of a model live."""

from __future__ import annotations

import mmap
import sys
import zlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from . import init
from .spec import GAP, DataError, Param, entries


def memory(size: int) -> mmap.mmap:
    """Zeros at the start of a page; pages that nobody touches cost nothing."""
    private = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    found = mmap.mmap(-1, max(size, 1), **({"flags": private} if private else {}))
    if size >= 1 << 21 and hasattr(mmap, "MADV_HUGEPAGE"):
        found.madvise(mmap.MADV_HUGEPAGE)  # fewer misses in the TLB
    return found


def layout(params: Mapping[str, Param]) -> tuple[dict[str, int], int]:
    """Where each trainable parameter begins in the block of all, and the block's size.

    Both are in entries. Those that may learn at once come last.

    Examples
    --------
    >>> layout({"a.w": Param((3, 5), at_once=True), "a.b": Param((5,))})
    ({'a.w': 16, 'a.b': 0}, 32)
    """
    at = {k: 0 for k, param in params.items() if not param.buffer}
    size = 0
    for name in sorted(at, key=lambda k: params[k].at_once):
        at[name] = size
        size += -(-entries(params[name].shape) // GAP) * GAP
    return at, size


class Store:
    """All trainable parameters in one block, all buffers apart.

    `version` changes whenever a value may have changed, also through a view that
    someone holds: whoever derived something from the values compares it.
    """

    def __init__(self, params: Mapping[str, Param], dtype: str, seed: int) -> None:
        self.params = params
        self.dtype = dtype
        self.version = 0
        self.at, self.size = layout(params)
        held = memory(self.size * np.dtype(dtype).itemsize)
        self.block: np.ndarray = np.ndarray((self.size,), dtype, held)
        # Two arrays for each parameter: kernels hold `arrays`; what users hold has an
        # entry of `owners` as its base, so the reference count there tells of views.
        self.arrays: dict[str, np.ndarray] = {}
        self.owners: dict[str, np.ndarray] = {}
        for name, param in params.items():
            kind = np.dtype(dtype if param.dtype == "real" else param.dtype)
            start = self.at.get(name, 0) * kind.itemsize
            size = entries(param.shape) * kind.itemsize
            where = memory(size) if param.buffer else held
            for arrays in (self.arrays, self.owners):
                arrays[name] = np.ndarray(param.shape, kind, where, start)
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            self.arrays[name][...] = init.make(param, rng, kind)
        # the arrays that no gradient reaches
        self.buffers = [self.arrays[k] for k in self.arrays if k not in self.at]
        self.alone = {k: self._holders(k) for k in self.owners}

    def _holders(self, name: str) -> int:
        return sys.getrefcount(self.owners[name])

    def touched(self) -> int:
        """The version, after looking whether someone holds a view."""
        if any(self._holders(k) > alone for k, alone in self.alone.items()):
            self.version += 1
        return self.version


class Values(MutableMapping[str, np.ndarray]):
    """Arrays by name, as live views: writing into one changes the model."""

    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self._store, self._names = store, names

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(f"{name!r}; known: {', '.join(self._names)}")
        self._store.version += 1
        return self._store.owners[name].view()

    def __setitem__(self, name: str, value: Any) -> None:
        mine = self[name]
        array = np.asarray(value)
        if array.shape != mine.shape:
            raise DataError(f"{name}: expected shape {mine.shape}, got {array.shape}")
        mine[...] = array

    def __delitem__(self, name: str) -> None:
        raise DataError(f"{name}: a model's parameters cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        shapes = (f"{k}: {self._store.arrays[k].shape}" for k in self._names)
        return f"{{{', '.join(shapes)}}}"
