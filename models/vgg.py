"""VGG: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale
image recognition", 2015."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minidl as dl

from .blocks import Size

FILTERS = (64, 128, 256, 512, 512)
REPEATS = {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    repeats: Sequence[int],
    norm: bool = False,
    classes: int = 1000,
    input: Size = (224, 224, 3),
    filters: Sequence[int] = FILTERS,
    units: int = 4096,
    **settings: Any,
) -> dl.Model:
    """Stages of convolutions of 3x3, each pooled to half the size; three dense layers.

    Parameters
    ----------
    repeats, filters
        How many convolutions a stage has, and how wide they are.
    norm
        Whether batch norm follows each convolution.
    classes
        How many outputs.
    input
        The shape of one image; five stages need 32 pixels.
    units
        The width of the dense layers.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> from minidl.models.vgg import vgg
    >>> vgg((1, 1), True, 10, (32, 32, 1), filters=(16, 32), units=64, name="small")
    <Model small: image -> classifier.6, 17 nodes>
    """
    z = image = dl.Input(input, name="image")
    at = 0
    for width, count in zip(filters, repeats, strict=False):
        for _ in range(count):
            z = dl.conv(z, width, 3, pad=1, name=f"features.{at}")
            if norm:
                z = dl.batch_norm(z, name=f"features.{at + 1}")
            z = dl.relu(z, name=f"features.{at + 1 + norm}")
            at += 2 + norm
        z = dl.max_pool(z, 2, name=f"features.{at}")
        at += 1
    z = dl.flatten(z, name="flatten")
    for at in (0, 3):
        z = dl.relu(
            dl.dense(z, units, name=f"classifier.{at}"), name=f"classifier.{at + 1}"
        )
        z = dl.dropout(z, 0.5, name=f"classifier.{at + 2}")
    z = dl.dense(z, classes, init="normal", name="classifier.6")
    return dl.Model(image, z, **settings)


def vgg11(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 11 layers, the paper's A."""
    return vgg(REPEATS[11], False, classes, input, **{"name": "vgg11", **settings})


def vgg13(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 13 layers, the paper's B."""
    return vgg(REPEATS[13], False, classes, input, **{"name": "vgg13", **settings})


def vgg16(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 16 layers, the paper's D.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.vgg16()
    <Model vgg16: image -> classifier.6, 40 nodes>
    """
    return vgg(REPEATS[16], False, classes, input, **{"name": "vgg16", **settings})


def vgg19(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 19 layers, the paper's E."""
    return vgg(REPEATS[19], False, classes, input, **{"name": "vgg19", **settings})


def vgg11_bn(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 11 layers and batch norm."""
    return vgg(REPEATS[11], True, classes, input, **{"name": "vgg11_bn", **settings})


def vgg13_bn(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 13 layers and batch norm."""
    return vgg(REPEATS[13], True, classes, input, **{"name": "vgg13_bn", **settings})


def vgg16_bn(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 16 layers and batch norm."""
    return vgg(REPEATS[16], True, classes, input, **{"name": "vgg16_bn", **settings})


def vgg19_bn(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """VGG with 19 layers and batch norm."""
    return vgg(REPEATS[19], True, classes, input, **{"name": "vgg19_bn", **settings})
