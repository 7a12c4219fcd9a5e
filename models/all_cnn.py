"""All-CNN: J. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for
simplicity: the all convolutional net", 2015."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size

LAYERS = (  # filters, kernel, stride, pad
    (96, 3, 1, 1),
    (96, 3, 1, 1),
    (96, 3, 2, 1),
    (192, 3, 1, 1),
    (192, 3, 1, 1),
    (192, 3, 2, 1),
    (192, 3, 1, 0),
    (192, 1, 1, 0),
)


def all_cnn_c(
    classes: int = 10, input: Size = (32, 32, 3), **settings: Any
) -> dl.Model:
    """All-CNN-C: convolutions and nothing else, for small images.

    Where others pool, a convolution has stride 2; the last has a filter for each class,
    whose mean is its score. The paper's table has a ReLU behind that one too: with it
    all scores soon are 0, where no gradient passes, and nothing is learnt.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.all_cnn_c()
    <Model all_cnn_c: image -> avgpool, 22 nodes>
    """
    image = dl.Input(input, name="image")
    z = dl.dropout(image, 0.2, name="dropout0")
    for i, (filters, kernel, stride, pad) in enumerate(LAYERS, 1):
        z = dl.conv(z, filters, kernel, stride, pad, name=f"conv{i}")
        z = dl.relu(z, name=f"relu{i}")
        if stride == 2:
            z = dl.dropout(z, 0.5, name=f"dropout{i}")
    z = dl.conv(z, classes, 1, name="conv9")
    z = dl.global_avg_pool(z, name="avgpool")
    return dl.Model(image, z, **{"name": "all_cnn_c", **settings})
