"""Chance in the data: what a loader does to each batch.

Each is a function of images, labels and a random generator. A loader gives every batch
a generator of its own, so the result depends on seed, epoch and batch alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spec import DataError, number, whole

Augment = Callable[[Any, Any, Any], tuple[Any, Any]]  # images, labels, generator


@dataclass(frozen=True)
class Shift:
    """Move each image by up to `reach` pixels in height and width; zeros come in.

    A frame of zeros and a crop of the old size: what papers on CIFAR call pad and crop.

    Examples
    --------
    >>> import minidl as dl
    >>> images, labels = dl.data.digits().train[:4]
    >>> moved, _ = Shift(2)(images, labels, np.random.default_rng(0))
    >>> moved.shape
    (4, 32, 32, 1)
    """

    reach: int = 4

    def __post_init__(self) -> None:
        whole("reach", self.reach, 0)

    def __call__(self, images: Any, labels: Any, rng: Any) -> tuple[Any, Any]:
        reach, (n, h, w, c) = self.reach, images.shape
        if reach >= min(h, w):
            raise DataError(
                f"Shift: {reach} pixels would move images of {h}x{w} out of sight; "
                f"expected less than {min(h, w)}"
            )
        framed = np.zeros((n, h + 2 * reach, w + 2 * reach, c), images.dtype)
        framed[:, reach : reach + h, reach : reach + w] = images
        found = np.empty_like(images)
        ways = rng.integers(0, 2 * reach + 1, (n, 2)).tolist()
        for one, image, (y, x) in zip(found, framed, ways, strict=True):
            one[...] = image[y : y + h, x : x + w]
        return found, labels


@dataclass(frozen=True)
class Flip:
    """Mirror half of the images, left to right.

    Examples
    --------
    >>> images = np.arange(6).reshape(1, 1, 6, 1)
    >>> Flip(share=1.0)(images, None, np.random.default_rng(0))[0].ravel()
    array([5, 4, 3, 2, 1, 0])
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise DataError(f"share: expected 0 to 1, got {self.share!r}")

    def __call__(self, images: Any, labels: Any, rng: Any) -> tuple[Any, Any]:
        turned = rng.random(len(images)) < self.share
        found = images.copy()
        found[turned] = images[turned, :, ::-1]
        return found, labels


@dataclass(frozen=True)
class Mixup:
    """Blend each image with another: l z + (1 - l) z', labels alike; l is Beta(a, a).

    H. Zhang et al., "mixup: beyond empirical risk minimization", 2018. Labels become
    shares of `classes`, so the loss is `soft_cross_entropy`; one l serves a batch.

    Examples
    --------
    >>> images = np.array([0.0, 1.0]).reshape(2, 1, 1, 1)
    >>> rng = np.random.default_rng(3)
    >>> mixed, shares = Mixup(classes=2)(images, np.array([0, 1]), rng)
    >>> bool(np.allclose(mixed[:, 0, 0, 0], shares[:, 1]))
    True
    """

    classes: int
    a: float = 0.2

    def __post_init__(self) -> None:
        whole("classes", self.classes)
        number("a", self.a, above=0)

    def __call__(self, images: Any, labels: Any, rng: Any) -> tuple[Any, Any]:
        good = labels.ndim == 1 and labels.dtype.kind in "iu"
        if not good or labels.min() < 0 or labels.max() >= self.classes:
            raise DataError(
                f"Mixup: expected a class from 0 to {self.classes - 1} for each image, "
                f"got {labels.dtype} of shape {labels.shape}"
                + (f", {labels.min()} to {labels.max()}" if good else "")
            )
        share = np.float32(rng.beta(self.a, self.a))
        other = rng.permutation(len(images))
        q = np.eye(self.classes, dtype=np.float32)[labels]
        rest = 1 - share
        mixed = share * images + rest * images[other]
        return mixed.astype(np.float32), share * q + rest * q[other]
