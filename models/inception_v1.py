"""GoogLeNet: C. Szegedy et al., "Going deeper with convolutions", 2015."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import minidl as dl

from .blocks import Size, conv_norm, inside, small

Layer = Callable[..., dl.Node]

# filters of 1x1, reduce 3x3, 3x3, reduce 5x5, 5x5, pool: the paper's table 1
INCEPTIONS = (
    ("3a", (64, 96, 128, 16, 32, 32)),
    ("3b", (128, 128, 192, 32, 96, 64)),
    ("4a", (192, 96, 208, 16, 48, 64)),
    ("4b", (160, 112, 224, 24, 64, 64)),
    ("4c", (128, 128, 256, 24, 64, 64)),
    ("4d", (112, 144, 288, 32, 64, 64)),
    ("4e", (256, 160, 320, 32, 128, 128)),
    ("5a", (256, 160, 320, 32, 128, 128)),
    ("5b", (384, 192, 384, 48, 128, 128)),
)
HEADS = {"4a": "aux1", "4d": "aux2"}


def conv_relu(
    z: dl.Node, filters: int, kernel: int, stride: int = 1, name: str | None = None
) -> dl.Node:
    """A convolution with bias that keeps the size where the stride is 1, and relu."""
    at = inside(name)
    z = dl.conv(z, filters, kernel, stride, kernel // 2, name=at("conv"))
    return dl.relu(z, name=at("relu"))


def naive_inception(
    z: dl.Node, ones: int, threes: int, fives: int, name: str | None = None
) -> dl.Node:
    """Convolutions of 1x1, 3x3 and 5x5 and a pooling, side by side.

    What the paper begins with: the pooling alone hands on as many maps as it reads, so
    that they grow from block to block.

    Parameters
    ----------
    z
        Where to read.
    ones, threes, fives
        The filters of each size.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.naive_inception(dl.Input((28, 28, 256)), 128, 192, 96)
    <concat: concat 28x28x672>
    """
    at = inside(name)
    branches = [
        conv_relu(z, ones, 1, name=at("branch1")),
        conv_relu(z, threes, 3, name=at("branch2")),
        conv_relu(z, fives, 5, name=at("branch3")),
        dl.max_pool(z, 3, stride=1, pad=1, name=at("branch4")),
    ]
    return dl.concat(branches, name=at("concat"))


def inception(
    z: dl.Node,
    filters: tuple[int, int, int, int, int, int],
    layer: Layer = conv_relu,
    five: int = 5,
    name: str | None = None,
) -> dl.Node:
    """Four branches side by side, 1x1 convolutions before the costly ones.

    Parameters
    ----------
    z
        Where to read.
    filters
        Of 1x1; of 1x1 and 3x3; of 1x1 and 5x5; of 1x1 behind the pooling.
    layer
        What makes a layer: called with z, filters, kernel and name.
    five
        The kernel of the 5x5; torchvision's is 3.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((28, 28, 192))
    >>> dl.models.inception(z, (64, 96, 128, 16, 32, 32))
    <concat: concat 28x28x256>
    """
    at = inside(name)
    ones, reduce3, threes, reduce5, fives, pooled = filters
    b1 = layer(z, ones, 1, name=at("branch1"))
    b2 = layer(z, reduce3, 1, name=at("branch2.0"))
    b2 = layer(b2, threes, 3, name=at("branch2.1"))
    b3 = layer(z, reduce5, 1, name=at("branch3.0"))
    b3 = layer(b3, fives, five, name=at("branch3.1"))
    b4 = dl.max_pool(z, 3, stride=1, pad=1, name=at("branch4.0"))
    b4 = layer(b4, pooled, 1, name=at("branch4.1"))
    return dl.concat([b1, b2, b3, b4], name=at("concat"))


def googlenet(
    variant: str = "paper",
    heads: bool = False,
    classes: int = 1000,
    input: Size = (224, 224, 3),
    **settings: Any,
) -> dl.Model:
    """GoogLeNet, without or with its auxiliary heads.

    Parameters
    ----------
    variant
        "paper": local response norm after the first pooling and before the second.
        "torchvision": batch norm after each convolution, 3x3 in place of 5x5.
    heads
        Whether the two auxiliary heads are outputs as well.
    classes
        How many outputs.
    input
        The shape of one image. Under 64 pixels the first convolution is 3x3 and keeps
        the size, and no pooling follows it.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.googlenet()
    <Model googlenet: image -> fc, 142 nodes>
    """
    variants = ("paper", "torchvision")
    if variant not in variants:
        raise dl.Error(
            f"googlenet: variant: expected {' or '.join(variants)}, got {variant!r}"
        )
    paper, tight = variant == "paper", small(input)
    layer = conv_relu if paper else partial(conv_norm, tiny=1e-3)
    image = dl.Input(input, name="image")
    z = _stem(image, layer, norm=paper, tight=tight)
    outputs = []
    for name, filters in INCEPTIONS:
        if name == "4a":
            z = dl.max_pool(z, 3, stride=2, ceil=True, name="maxpool3")
        if name == "5a":
            z = dl.max_pool(z, 3 if paper else 2, stride=2, ceil=True, name="maxpool4")
        z = inception(z, filters, layer, 5 if paper else 3, f"inception{name}")
        if heads and name in HEADS:
            outputs.append(_head(z, classes, layer, HEADS[name]))
    z = dl.global_avg_pool(z, name="avgpool")
    z = dl.dropout(z, 0.4 if paper else 0.2, name="dropout")
    z = dl.dense(z, classes, init="normal", name="fc")
    settings = {"name": "googlenet" if paper else f"googlenet_{variant}", **settings}
    return dl.Model(image, [z, *outputs] if heads else z, **settings)


def _stem(z: dl.Node, layer: Layer, norm: bool, tight: bool) -> dl.Node:
    z = layer(z, 64, 3, name="conv1") if tight else layer(z, 64, 7, 2, name="conv1")
    if not tight:
        z = dl.max_pool(z, 3, stride=2, ceil=True, name="maxpool1")
    if norm:
        z = dl.lrn(z, name="norm1")
    z = layer(z, 64, 1, name="conv2")
    z = layer(z, 192, 3, name="conv3")
    if norm:
        z = dl.lrn(z, name="norm2")
    return dl.max_pool(z, 3, stride=2, ceil=True, name="maxpool2")


def _head(z: dl.Node, classes: int, layer: Layer, name: str) -> dl.Node:
    at = inside(name)
    z = layer(dl.avg_pool(z, 5, stride=3, name=at("avgpool")), 128, 1, name=at("conv"))
    z = dl.dense(dl.flatten(z, name=at("flatten")), 1024, name=at("fc1"))
    z = dl.dropout(dl.relu(z, name=at("relu")), 0.7, name=at("dropout"))
    return dl.dense(z, classes, init="normal", name=at("fc2"))
