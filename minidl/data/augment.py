"""More images out of those there are."""

from __future__ import annotations

import numpy as np

from ..spec import whole
from .digits import Part


def shifted(part: Part, copies: int, reach: int = 3, seed: int = 0) -> Part:
    """Copies of images, each moved by up to `reach` pixels; zeros come in.

    Parameters
    ----------
    part
        Images and their labels.
    copies
        How many of each image.
    reach
        The longest way, in height and in width.
    seed
        Chooses the ways.

    Examples
    --------
    >>> import minidl as dl
    >>> train, test = dl.data.digits()
    >>> dl.data.shifted(train, copies=3).images.shape
    (4299, 32, 32, 1)
    """
    images, labels = part
    copies, reach = whole("copies", copies), whole("reach", reach, 0)
    side = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(images, side), images.shape[1:3], (1, 2)
    )  # [n, 2 reach + 1, 2 reach + 1, c, h, w]
    draw = np.random.default_rng(whole("seed", seed, 0))
    i = np.tile(np.arange(len(images)), copies)
    y, x = draw.integers(0, 2 * reach + 1, (2, len(i)))
    return Part(np.moveaxis(windows[i, y, x], 1, -1), labels[i])
