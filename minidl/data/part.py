"""Images and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..spec import DataError


@dataclass(frozen=True, eq=False)
class Part:
    """Images [n, h, w, c] and their classes, int64 [n].

    The images are float32, or uint8 as files hold them: an array, or anything with
    `shape`, `dtype` and `images[rows]`. It unpacks: `images, labels = part`.

    classes  the names of the classes, where they are known
    masks    [n, h, w] the class of each pixel plus 1, 0 for the ground
    boxes    [n, 4] top, left, bottom, right: the pixels from the first to before the
             second
    """

    images: Any
    labels: Any
    classes: tuple[str, ...] = ()
    masks: Any = None
    boxes: Any = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.images, self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Part:
        """Some of them: a slice, or an array of numbers.

        Examples
        --------
        >>> import minidl as dl
        >>> len(dl.data.digits().train[:100])
        100
        """
        more = (None if a is None else a[rows] for a in (self.masks, self.boxes))
        return Part(self.images[rows], self.labels[rows], self.classes, *more)


class Split(NamedTuple):
    """What to learn from, and what is held out."""

    train: Part
    test: Part


def pair(data: Any) -> tuple[Any, Any]:
    """Images and labels, of one length; several inputs are a tuple of arrays."""
    try:
        images, labels = data
    except (TypeError, ValueError):
        raise DataError(
            f"expected data as (images, labels), got {type(data).__name__}"
        ) from None
    if not hasattr(images, "shape"):
        images = np.asarray(images)
    labels = np.asarray(labels)
    if not images.shape or not labels.ndim or len(images) != len(labels):
        raise DataError(
            f"expected as many labels as images, got shapes {images.shape} and "
            f"{labels.shape}"
        )
    if not len(images):
        raise DataError("expected at least one image, got none")
    return images, labels
