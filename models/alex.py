"""AlexNet: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep
convolutional neural networks", 2012."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, small

# the first convolution: kernel, stride, pad
PAPER, TORCHVISION, SMALL = (11, 4, 0), (11, 4, 2), (3, 1, 1)


def alexnet(
    variant: str = "paper",
    classes: int = 1000,
    input: Size | None = None,
    **settings: Any,
) -> dl.Model:
    """AlexNet, for images of 227x227 (224x224 with torchvision's).

    Parameters
    ----------
    variant
        "paper": the paper's layers without its groups, local response norm after the
        first two poolings. "grouped": convolutions 2, 4 and 5 in two groups, as on the
        paper's two GPUs. "torchvision": the smaller network that is published there.
    classes
        How many outputs.
    input
        The shape of one image. Under 128 pixels the first convolution is 3x3 and keeps
        the size.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.alexnet()
    <Model alexnet: image -> fc8, 24 nodes>
    """
    variants = ("paper", "grouped", "torchvision")
    if variant not in variants:
        raise dl.Error(
            f"alexnet: variant: expected one of {', '.join(variants)}, got {variant!r}"
        )
    if input is None:
        input = (224, 224, 3) if variant == "torchvision" else (227, 227, 3)
    image = dl.Input(input, name="image")
    if variant == "torchvision":
        z = _torchvision(image, classes, SMALL if small(input, 128) else TORCHVISION)
    else:
        stem = SMALL if small(input, 128) else PAPER
        z = _paper(image, classes, stem, groups=2 if variant == "grouped" else 1)
    name = "alexnet" if variant == "paper" else f"alexnet_{variant}"
    return dl.Model(image, z, **{"name": name, **settings})


def _paper(
    z: dl.Node, classes: int, stem: tuple[int, int, int], groups: int
) -> dl.Node:
    layers = (  # filters, (kernel, stride, pad), groups
        (96, stem, 1),
        (256, (5, 1, 2), groups),
        (384, (3, 1, 1), 1),
        (384, (3, 1, 1), groups),
        (256, (3, 1, 1), groups),
    )
    for i, (filters, (kernel, stride, pad), count) in enumerate(layers, 1):
        z = dl.conv(z, filters, kernel, stride, pad, groups=count, name=f"conv{i}")
        z = dl.relu(z, name=f"relu{i}")
        if i in (1, 2, 5):
            z = dl.max_pool(z, 3, stride=2, name=f"pool{i}")
        if i in (1, 2):
            z = dl.lrn(z, 5, alpha=1e-4, beta=0.75, k=2, divide=False, name=f"norm{i}")
    z = dl.flatten(z, name="flatten")
    for i in (6, 7):
        z = dl.relu(dl.dense(z, 4096, name=f"fc{i}"), name=f"relu{i}")
        z = dl.dropout(z, 0.5, name=f"dropout{i}")
    return dl.dense(z, classes, init="normal", name="fc8")


def _torchvision(z: dl.Node, classes: int, stem: tuple[int, int, int]) -> dl.Node:
    layers = (  # filters, (kernel, stride, pad), whether pooled
        (64, stem, True),
        (192, (5, 1, 2), True),
        (384, (3, 1, 1), False),
        (256, (3, 1, 1), False),
        (256, (3, 1, 1), True),
    )
    at = 0
    for filters, (kernel, stride, pad), pooled in layers:
        z = dl.conv(z, filters, kernel, stride, pad, name=f"features.{at}")
        z = dl.relu(z, name=f"features.{at + 1}")
        if pooled:
            z = dl.max_pool(z, 3, stride=2, name=f"features.{at + 2}")
        at += 2 + pooled
    z = dl.flatten(z, name="flatten")
    for at in (0, 3):
        z = dl.dropout(z, 0.5, name=f"classifier.{at}")
        z = dl.dense(z, 4096, name=f"classifier.{at + 1}")
        z = dl.relu(z, name=f"classifier.{at + 2}")
    return dl.dense(z, classes, init="normal", name="classifier.6")
