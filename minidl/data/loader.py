"""Batches: shuffled, changed by chance, made ahead of time by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..spec import DataError, whole
from .augment import Augment
from .part import Part, pair


class Loader:
    """The batches of a data set, epoch after epoch.

    A batch depends on the seed, the epoch and its number alone: not on how many workers
    there are, nor on what was read before. So a run can go on from any place.

    Parameters
    ----------
    data
        Images and labels.
    batch
        How many at a time; the last of an epoch may have fewer.
    shuffle
        Take them in another order in each epoch.
    augment
        What is done to each batch, one after the other: `Shift(4)`, `Flip()`, ...
    seed
        Of the order and of all that augmentation draws.
    workers
        How many threads make batches ahead; 0 makes each when it is asked for.

    Examples
    --------
    >>> import minidl as dl
    >>> loader = Loader(dl.data.digits().train, batch=64, augment=[dl.data.Shift(3)])
    >>> len(loader)
    23
    >>> [len(labels) for _, labels in loader.epoch(0, start=21)]
    [64, 25]
    """

    def __init__(
        self,
        data: Any,
        batch: int = 32,
        shuffle: bool = True,
        augment: Sequence[Augment] = (),
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        self.images, self.labels = pair(data)
        self.classes = data.classes if isinstance(data, Part) else ()
        self.batch = whole("batch", batch)
        self.seed, self.workers = whole("seed", seed, 0), whole("workers", workers, 0)
        self.shuffle, self.augment = shuffle, tuple(augment)
        for one in self.augment:
            if not callable(one):
                raise DataError(f"augment: expected functions, got {one!r}")

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.labels) // self.batch)

    def order(self, epoch: int) -> np.ndarray:
        """The order of the images in an epoch."""
        if not self.shuffle:
            return np.arange(len(self.labels))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.labels))

    def make(self, epoch: int, number: int, rows: np.ndarray) -> tuple[Any, Any]:
        """One batch of an epoch."""
        images, labels = self.images[rows], self.labels[rows]
        if self.augment:
            rng = np.random.default_rng([self.seed, epoch, number + 1])
            for one in self.augment:
                images, labels = one(images, labels, rng)
        return images, labels

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, Any]]:
        """The batches of an epoch, from number `start` on."""
        order = self.order(epoch)
        ready = (
            (epoch, i, order[i * self.batch : (i + 1) * self.batch])
            for i in range(start, len(self))
        )
        if not self.workers:
            for one in ready:
                yield self.make(*one)
            return
        pool = ThreadPoolExecutor(self.workers, "minidl-loader")
        ahead: deque[Future[tuple[Any, Any]]] = deque()
        try:
            for one in ready:
                ahead.append(pool.submit(self.make, *one))
                if len(ahead) > self.workers + 1:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:  # also where the caller stops early
            pool.shutdown(wait=True, cancel_futures=True)
