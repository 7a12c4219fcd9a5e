"""Handwritten digits that come with minidl: 1,797 images of 8x8, values 0 to 16.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0 (the test
part of the set, as scikit-learn ships it).
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..spec import DataError, several, whole
from .part import Part, Split

PATH = Path(__file__).with_name("digits.npz")
SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"
SIDE, WHITE = 8, 16
NAMES = tuple("0123456789")


def digits(
    size: int | tuple[int, int] = (32, 32), held_out: float = 0.2, seed: int = 0
) -> Split:
    """The embedded digits, resized, in a split that keeps the share of each class.

    Parameters
    ----------
    size
        Height and width. An image fills it but for a border of size // 16 on each
        side: 28x28 in 32x32, as LeNet-5 wants it.
    held_out
        The least share of each class to hold out.
    seed
        Chooses the split and its order; the same seed gives the same split anywhere.

    Examples
    --------
    >>> import minidl as dl
    >>> train, test = dl.data.digits()
    >>> train.images.shape, test.images.shape
    ((1433, 32, 32, 1), (364, 32, 32, 1))
    """
    height, width = several("size", size, 2)
    if not 0 < held_out < 1:
        raise DataError(
            f"held_out: expected a share between 0 and 1, such as 0.2; got {held_out!r}"
        )
    small, labels = _read(PATH)
    images = resize(small / np.float32(WHITE), height, width)[..., None]
    draw = np.random.default_rng(whole("seed", seed, 0))
    held: list[int] = []
    for label in range(10):
        members = draw.permutation(np.flatnonzero(labels == label))
        held += members[: math.ceil(held_out * len(members))].tolist()
    rest = np.setdiff1d(np.arange(len(labels)), held)
    parts = (draw.permutation(rest), draw.permutation(held))
    return Split(*(Part(images[rows], labels[rows], NAMES) for rows in parts))


def resize(images: Any, height: int, width: int) -> Any:
    """Bilinear: x = R_h z R_w^T, inside a border of zeros of size // 16."""
    inner = (n - 2 * (n // 16) for n in (height, width))
    rows, columns = (_bilinear(images.shape[1], n) for n in inner)
    border = ((0, 0), (height // 16,) * 2, (width // 16,) * 2)
    return np.pad(rows @ images @ columns.T, border)


def _bilinear(n: int, size: int) -> Any:
    """R [size, n]: each row weighs the two pixels nearest to a new pixel's centre."""
    centre = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    distance = np.abs(centre[:, None] - np.arange(n))
    return np.maximum(0, 1 - distance).astype(np.float32)


def _read(path: Path) -> tuple[Any, Any]:
    """The 8x8 images and their labels, if the file is the one that was shipped."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; reinstall minidl") from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DataError(
            f"{path}: the checksum of its {len(data)} bytes is not that of the digits "
            "minidl ships; reinstall minidl"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return file["images"].astype(np.float32), file["labels"].astype(np.int64)
