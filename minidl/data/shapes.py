"""Shapes: an endless set of simple figures, with masks and boxes.

The lectures' squares and diamonds, and more: outlines and solids of random size, place,
brightness and noise, drawn from a seed. One figure an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import DataError, whole
from .part import Part, Split

NAMES = ("square", "diamond", "disk", "ring", "cross", "triangle")
NOISE = 0.08  # standard deviation, on values from 0 to 1


def shapes(
    train: int = 2000,
    test: int = 500,
    size: int = 32,
    classes: int = 6,
    seed: int = 0,
) -> Split:
    """Images [n, size, size, 1] of one figure each, uint8, with masks and boxes.

    Parameters
    ----------
    train, test
        How many images.
    size
        Height and width, 16 at the least.
    classes
        The first so many of square, diamond, disk, ring, cross, triangle.
    seed
        The same seed draws the same images anywhere.

    Examples
    --------
    >>> import minidl as dl
    >>> train, test = dl.data.shapes(train=12, test=6)
    >>> train.images.shape, train.classes[:2], train.labels[:6]
    ((12, 32, 32, 1), ('square', 'diamond'), array([3, 2, 1, 4, 5, 5]))
    """
    size, seed = whole("size", size, 16), whole("seed", seed, 0)
    if not 2 <= whole("classes", classes) <= len(NAMES):
        raise DataError(f"classes: expected 2 to {len(NAMES)}, got {classes}")
    counts = whole("train", train), whole("test", test)
    return Split(*(
        _draw(n, size, classes, np.random.default_rng([seed, part]))
        for part, n in enumerate(counts)
    ))  # fmt: skip


def _draw(n: int, size: int, classes: int, rng: Any) -> Part:
    labels = rng.permutation(np.arange(n) % classes)  # as many of each
    images = np.empty((n, size, size, 1), np.uint8)
    masks = np.zeros((n, size, size), np.uint8)
    boxes = np.empty((n, 4), np.int64)
    radius = rng.uniform(size / 6, size / 3, n)
    centre = rng.uniform(radius + 1, size - 2 - radius, (2, n))
    ink, paper = rng.uniform(0.6, 1, n), rng.uniform(0, 0.3, n)
    y, x = np.mgrid[:size, :size]
    for i, label in enumerate(labels):
        dy, dx = (y - centre[0, i]) / radius[i], (x - centre[1, i]) / radius[i]
        inside = FIGURES[label](dy, dx)
        noise = rng.normal(0, NOISE, (size, size))
        value = np.where(inside, ink[i], paper[i]) + noise
        images[i, ..., 0] = np.rint(np.clip(value, 0, 1) * 255)
        masks[i][inside] = label + 1
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        boxes[i] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    return Part(images, labels, NAMES[:classes], masks, boxes)


# what belongs to a figure of radius 1 around the origin
FIGURES: tuple[Any, ...] = (
    lambda y, x: np.maximum(abs(y), abs(x)) <= 0.8,
    lambda y, x: abs(y) + abs(x) <= 1,
    lambda y, x: y**2 + x**2 <= 0.85,
    lambda y, x: abs(np.hypot(y, x) - 0.75) <= 0.25,
    lambda y, x: np.maximum(4 * np.minimum(abs(y), abs(x)), np.maximum(abs(y), abs(x)))
    <= 1,
    lambda y, x: (y <= 0.7) & (2 * abs(x) <= y + 1),
)
