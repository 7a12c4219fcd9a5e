"""ResNet: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", 2016.

With ResNeXt (S. Xie et al., 2017), wide bottlenecks (S. Zagoruyko, N. Komodakis, 2016)
and squeeze-and-excitation (J. Hu et al., 2018), which change the bottleneck alone. As
torchvision builds them: the stride is on the 3x3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import minidl as dl

from .blocks import Size, conv_norm, inside, small, squeeze_excite

Block = Callable[..., dl.Node]
FILTERS = (64, 128, 256, 512)


def basic_block(
    z: dl.Node,
    filters: int,
    stride: int = 1,
    padded: bool = False,
    name: str | None = None,
) -> dl.Node:
    """x = relu(z + F(z)), F two convolutions of 3x3.

    Parameters
    ----------
    z
        Where to read.
    filters
        Of both convolutions.
    stride
        Of the first.
    padded
        Where shapes differ, z is decimated and gets maps of zeros, instead of a
        convolution of 1x1.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.basic_block(dl.Input((56, 56, 64)), 128, stride=2)
    <relu: relu 28x28x128>
    """
    at = inside(name)
    x = conv_norm(z, filters, 3, stride, name=name, parts=("conv1", "bn1", "relu1"))
    x = conv_norm(x, filters, 3, act=None, name=name, parts=("conv2", "bn2"))
    skip = _padded if padded else _projected
    x = dl.add(x, skip(z, filters, stride, at("downsample")), name=at("add"))
    return dl.relu(x, name=at("relu2"))


def bottleneck(
    z: dl.Node,
    filters: int,
    stride: int = 1,
    width: int = 1,
    groups: int = 1,
    squeeze: int | None = None,
    name: str | None = None,
) -> dl.Node:
    """x = relu(z + F(z)), F convolutions of 1x1, 3x3 and 1x1.

    Parameters
    ----------
    z
        Where to read.
    filters
        The last convolution has 4 times as many, the others `width` times.
    stride, groups
        Of the 3x3.
    width
        How many times wider the 3x3 is.
    squeeze
        By how much squeeze-and-excitation squeezes what F gives.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.bottleneck(dl.Input((56, 56, 256)), 128, stride=2)
    <relu: relu 28x28x512>
    """
    at, inner, outer = inside(name), filters * width, filters * 4
    x = conv_norm(z, inner, 1, name=name, parts=("conv1", "bn1", "relu1"))
    x = conv_norm(
        x, inner, 3, stride, groups, name=name, parts=("conv2", "bn2", "relu2")
    )
    x = conv_norm(x, outer, 1, act=None, name=name, parts=("conv3", "bn3"))
    if squeeze is not None:
        x = squeeze_excite(x, outer // squeeze, name=at("se"))
    x = dl.add(x, _projected(z, outer, stride, at("downsample")), name=at("add"))
    return dl.relu(x, name=at("relu3"))


def _projected(z: dl.Node, filters: int, stride: int, name: str | None) -> dl.Node:
    if stride == 1 and z.shape[-1] == filters:
        return z
    return conv_norm(z, filters, 1, stride, act=None, name=name, parts=("0", "1"))


def _padded(z: dl.Node, filters: int, stride: int, name: str | None) -> dl.Node:
    at = inside(name)
    if stride > 1:
        z = dl.decimate(z, stride, name=at("decimate"))
    c = z.shape[-1]
    if c < filters:
        more = ((filters - c) // 2, (filters - c + 1) // 2)
        z = dl.pad(z, (0, 0, more), name=at("pad"))
    return z


def resnet(
    block: Block,
    repeats: Sequence[int],
    classes: int = 1000,
    input: Size = (224, 224, 3),
    filters: Sequence[int] = FILTERS,
    **settings: Any,
) -> dl.Model:
    """A stem, stages of residual blocks at half the size each, global pooling.

    Parameters
    ----------
    block
        What a stage repeats, called with z, filters, stride and name.
    repeats, filters
        How many blocks a stage has, and how wide they are.
    classes
        How many outputs.
    input
        The shape of one image. Under 64 pixels the stem is one convolution of 3x3
        instead of one of 7x7 with stride 2 and pooling.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> from minidl.models.resnet import basic_block, resnet
    >>> resnet(basic_block, (1, 1), classes=10, input=(32, 32, 1), name="tiny")
    <Model tiny: image -> fc, 22 nodes>
    """
    image = dl.Input(input, name="image")
    stem = (3, 1) if small(input) else (7, 2)
    z = conv_norm(image, filters[0], *stem, name="", parts=("conv1", "bn1", "relu"))
    if not small(input):
        z = dl.max_pool(z, 3, stride=2, pad=1, name="maxpool")
    for stage, (width, count) in enumerate(zip(filters, repeats, strict=False), 1):
        for i in range(count):
            stride = 2 if stage > 1 and i == 0 else 1
            z = block(z, width, stride, name=f"layer{stage}.{i}")
    z = dl.global_avg_pool(z, name="avgpool")
    return dl.Model(image, dl.dense(z, classes, init="normal", name="fc"), **settings)


def resnet18(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-18.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.resnet18(classes=10, input=(32, 32, 3))
    <Model resnet18: image -> fc, 68 nodes>
    """
    settings = {"name": "resnet18", **settings}
    return resnet(basic_block, (2, 2, 2, 2), classes, input, **settings)


def resnet34(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-34."""
    settings = {"name": "resnet34", **settings}
    return resnet(basic_block, (3, 4, 6, 3), classes, input, **settings)


def resnet50(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-50."""
    settings = {"name": "resnet50", **settings}
    return resnet(bottleneck, (3, 4, 6, 3), classes, input, **settings)


def resnet101(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-101."""
    settings = {"name": "resnet101", **settings}
    return resnet(bottleneck, (3, 4, 23, 3), classes, input, **settings)


def resnet152(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-152."""
    settings = {"name": "resnet152", **settings}
    return resnet(bottleneck, (3, 8, 36, 3), classes, input, **settings)


def wide_resnet50_2(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-50 with the 3x3 twice as wide."""
    settings = {"name": "wide_resnet50_2", **settings}
    wide = partial(bottleneck, width=2)
    return resnet(wide, (3, 4, 6, 3), classes, input, **settings)


def wide_resnet101_2(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-101 with the 3x3 twice as wide."""
    settings = {"name": "wide_resnet101_2", **settings}
    wide = partial(bottleneck, width=2)
    return resnet(wide, (3, 4, 23, 3), classes, input, **settings)


def resnext50_32x4d(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNeXt-50 with 32 groups, of 4 filters in the first stage."""
    settings = {"name": "resnext50_32x4d", **settings}
    grouped = partial(bottleneck, width=2, groups=32)
    return resnet(grouped, (3, 4, 6, 3), classes, input, **settings)


def resnext101_32x8d(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNeXt-101 with 32 groups, of 8 filters in the first stage."""
    settings = {"name": "resnext101_32x8d", **settings}
    grouped = partial(bottleneck, width=4, groups=32)
    return resnet(grouped, (3, 4, 23, 3), classes, input, **settings)


def se_resnet50(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """ResNet-50 with squeeze-and-excitation in every block."""
    settings = {"name": "se_resnet50", **settings}
    gated = partial(bottleneck, squeeze=16)
    return resnet(gated, (3, 4, 6, 3), classes, input, **settings)
