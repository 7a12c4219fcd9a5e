"""DenseNet: G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely connected
convolutional networks", 2017."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minidl as dl

from .blocks import Size, inside, small


def dense_layer(z: dl.Node, growth: int, name: str | None = None) -> dl.Node:
    """`growth` more maps: norm, relu, 1x1 to 4 times as many; norm, relu, 3x3.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.dense_layer(dl.Input((56, 56, 64)), 32)
    <conv: conv 56x56x32>
    """
    at = inside(name)
    z = dl.relu(dl.batch_norm(z, name=at("norm1")), name=at("relu1"))
    z = dl.conv(z, 4 * growth, 1, bias=False, name=at("conv1"))
    z = dl.relu(dl.batch_norm(z, name=at("norm2")), name=at("relu2"))
    return dl.conv(z, growth, 3, pad=1, bias=False, name=at("conv2"))


def dense_block(
    z: dl.Node, layers: int, growth: int, name: str | None = None
) -> dl.Node:
    """Layers that read all maps before them: z <- [z, layer(z)].

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.dense_block(dl.Input((56, 56, 64)), 6, 32)
    <concat: concat 56x56x256>
    """
    at = inside(name)
    for i in range(1, layers + 1):
        more = dense_layer(z, growth, at(f"denselayer{i}"))
        z = dl.concat([z, more], name=at(f"concat{i}"))
    return z


def transition(z: dl.Node, name: str | None = None) -> dl.Node:
    """Half the maps at half the size: norm, relu, 1x1, average pooling.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.transition(dl.Input((56, 56, 256)))
    <avg_pool: avg_pool 28x28x128>
    """
    at = inside(name)
    z = dl.relu(dl.batch_norm(z, name=at("norm")), name=at("relu"))
    z = dl.conv(z, z.shape[-1] // 2, 1, bias=False, name=at("conv"))
    return dl.avg_pool(z, 2, name=at("pool"))


def densenet(
    growth: int,
    layers: Sequence[int],
    classes: int = 1000,
    input: Size = (224, 224, 3),
    **settings: Any,
) -> dl.Model:
    """A stem, dense blocks with transitions between them, global pooling.

    Parameters
    ----------
    growth
        How many maps each layer adds.
    layers
        How many layers each block has.
    classes
        How many outputs.
    input
        The shape of one image. Under 64 pixels the stem is one convolution of 3x3, as
        the paper has it for CIFAR.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> from minidl.models.densenet import densenet
    >>> densenet(12, (2, 2), classes=10, input=(32, 32, 3), name="tiny")
    <Model tiny: image -> classifier, 38 nodes>
    """
    z = image = dl.Input(input, name="image")
    kernel, stride = (3, 1) if small(input) else (7, 2)
    at = inside("features")
    z = dl.conv(
        z, 2 * growth, kernel, stride, kernel // 2, bias=False, name=at("conv0")
    )
    if not small(input):
        z = dl.relu(dl.batch_norm(z, name=at("norm0")), name=at("relu0"))
        z = dl.max_pool(z, 3, stride=2, pad=1, name=at("pool0"))
    for i, count in enumerate(layers, 1):
        z = dense_block(z, count, growth, at(f"denseblock{i}"))
        if i < len(layers):
            z = transition(z, at(f"transition{i}"))
    last = f"norm{len(layers) + 1}"
    z = dl.relu(dl.batch_norm(z, name=at(last)), name=at("relu"))
    z = dl.dense(
        dl.global_avg_pool(z, name="avgpool"), classes, init="normal", name="classifier"
    )
    return dl.Model(image, z, **settings)


def densenet121(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """DenseNet-121."""
    settings = {"name": "densenet121", **settings}
    return densenet(32, (6, 12, 24, 16), classes, input, **settings)


def densenet161(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """DenseNet-161, with a growth of 48."""
    settings = {"name": "densenet161", **settings}
    return densenet(48, (6, 12, 36, 24), classes, input, **settings)


def densenet169(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """DenseNet-169."""
    settings = {"name": "densenet169", **settings}
    return densenet(32, (6, 12, 32, 32), classes, input, **settings)


def densenet201(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """DenseNet-201."""
    settings = {"name": "densenet201", **settings}
    return densenet(32, (6, 12, 48, 32), classes, input, **settings)


def densenet_bc_100_12(
    classes: int = 10, input: Size = (32, 32, 3), **settings: Any
) -> dl.Model:
    """DenseNet-BC with 100 layers and a growth of 12, for small images."""
    settings = {"name": "densenet_bc_100_12", **settings}
    return densenet(12, (16, 16, 16), classes, input, **settings)
