"""The networks of the lectures."""

from __future__ import annotations

from typing import Any

import minidl as dl


def lecture_cnn5(
    input: tuple[int | None, int | None, int] = (None, None, 1), **settings: Any
) -> dl.Model:
    """Five convolutions of 5x5, 1-16-16-16-16-1: an image in, an image out.

    True convolutions that keep the size, with ReLU between them; for denoising.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.lecture_cnn5().count
    20065
    """
    image = dl.Input(input, name="image")
    z = image
    for i in range(1, 5):
        z = dl.conv(z, 16, kernel=5, pad="same", flip=True, name=f"conv{i}")
        z = dl.relu(z, name=f"relu{i}")
    z = dl.conv(z, 1, kernel=5, pad="same", flip=True, name="conv5")
    return dl.Model(image, z, **{"name": "lecture_cnn5", **settings})
