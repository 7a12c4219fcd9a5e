"""Data sets by name, as the command line asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import npz
from ..spec import CheckpointError, DataError
from .cifar import cifar10, cifar100
from .digits import digits
from .folder import image_folder
from .idx import fashion_mnist, mnist
from .part import Part, Split
from .shapes import shapes

READERS: dict[str, Callable[..., Split]] = {
    "mnist": mnist, "fashion": fashion_mnist, "cifar10": cifar10, "cifar100": cifar100,
}  # fmt: skip
SETS = (
    "digits, shapes, mnist:DIR, fashion:DIR, cifar10:DIR, cifar100:DIR, folder:DIR, "
    "FILE.npz"
)


def named(
    name: str, size: tuple[int, int] | None = None, seed: int = 0,
    download: bool = False,
) -> Split:
    """A data set by its name on the command line.

    Parameters
    ----------
    name
        "digits", "shapes", "mnist:DIR", "fashion:DIR", "cifar10:DIR", "cifar100:DIR",
        "folder:DIR" or a file "x.npz".
    size
        Height and width, for sets that come in any: digits, shapes, folder.
    seed
        Of what is drawn, and of a split that the set does not bring.
    download
        Fetch what is missing, for the sets that are published.

    Examples
    --------
    >>> named("digits", (16, 16)).train.images.shape
    (1433, 16, 16, 1)
    """
    kind, colon, place = name.partition(":")
    if name == "digits":
        return digits(size or (32, 32))
    if name == "shapes":
        if size and size[0] != size[1]:
            raise DataError(f"shapes: are square, got {size[0]}x{size[1]}")
        return shapes(size=size[0] if size else 32, seed=seed)
    if colon and place and kind in READERS:
        return READERS[kind](place, download)
    if colon and place and kind == "folder":
        return image_folder(place, size or (224, 224), seed=seed)
    if name.endswith(".npz"):
        return arrays(name, seed)
    raise DataError(f"data: expected one of {SETS}, got {name!r}")


def arrays(path: str | Path, seed: int = 0, held_out: float = 0.2) -> Split:
    """An .npz with `images` [n, h, w, c] and `labels` [n].

    With `test_images` and `test_labels` too they are held out; else a share of each
    class is.

    Parameters
    ----------
    path
        The file.
    seed
        Chooses what is held out.
    held_out
        How much of each class.
    """
    try:
        found = npz.read(path)
    except CheckpointError as error:
        raise DataError(str(error).replace("a file of weights", "a data set")) from None
    missing = {"images", "labels"} - found.keys()
    if missing:
        raise DataError(
            f"{path}: expected the arrays images and labels, {', '.join(missing)} is "
            f"missing; it holds {', '.join(found) or 'nothing'}"
        )
    whole = _part(path, found["images"], found["labels"])
    if (most := whole.labels.max()) >= len(whole):
        raise DataError(
            f"{path}: labels: go up to {most} for {len(whole)} images; expected the "
            "classes 0, 1, 2, ..."
        )
    held = [found.get(name) for name in ("test_images", "test_labels")]
    if any(one is not None for one in held):
        if any(one is None for one in held):
            raise DataError(
                f"{path}: expected both test_images and test_labels, or none of them"
            )
        return Split(whole, _alike(path, whole, _part(path, *held)))
    if not 0 < held_out < 1:
        raise DataError(f"held_out: expected a share between 0 and 1, got {held_out!r}")
    rng, rows = np.random.default_rng(seed), []
    for label in np.unique(whole.labels):
        members = rng.permutation(np.flatnonzero(whole.labels == label))
        if len(members) < 2:
            raise DataError(
                f"{path}: class {label} has one image; expected two at the least, one "
                "to learn and one to hold out"
            )
        count = min(math.ceil(held_out * len(members)), len(members) - 1)
        rows += members[:count].tolist()
    rest = np.setdiff1d(np.arange(len(whole)), rows)
    return Split(whole[rng.permutation(rest)], whole[np.array(rows)])


def _alike(path: Any, whole: Part, held: Part) -> Part:
    """What is held out, if it is like what is learnt from."""
    wanted, got = ((p.images.shape[1:], str(p.images.dtype)) for p in (whole, held))
    if wanted != got:
        raise DataError(
            f"{path}: test_images: expected {wanted[1]} {wanted[0]}, as images are, "
            f"got {got[1]} {got[0]}"
        )
    most, new = whole.labels.max(), held.labels.max()
    if new > most:
        raise DataError(
            f"{path}: test_labels: expected classes 0 to {most}, as labels has them, "
            f"got {new}"
        )
    return held


def _part(path: Any, images: Any, labels: Any) -> Part:
    kinds = images.dtype == np.uint8 or images.dtype.kind == "f"
    if images.ndim != 4 or not kinds or 0 in images.shape:
        raise DataError(
            f"{path}: images: expected uint8 or floats [n, height, width, channels], "
            f"got {images.dtype} of shape {images.shape}"
        )
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):  # told below
            images = images.astype(np.float32)
        if not np.isfinite(images).all():
            raise DataError(f"{path}: images: hold NaN, infinity or more than float32")
    good = labels.dtype.kind in "iu" and labels.shape == images.shape[:1]
    if not good or (labels < 0).any():
        raise DataError(
            f"{path}: labels: expected {len(images)} class numbers from 0, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    return Part(images, labels.astype(np.int64))
