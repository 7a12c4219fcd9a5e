"""MobileNet: A. Howard et al., "MobileNets: efficient convolutional neural networks for
mobile vision applications", 2017; and M. Sandler et al., "MobileNetV2: inverted
residuals and linear bottlenecks", 2018."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, conv_norm, inside, small

# filters, stride
SEPARABLE = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
    (1024, 2), (1024, 1),
)  # fmt: skip

# how much wider inside, filters, repeats, stride
INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
PARTS = ("0", "1", "2")  # convolution, norm, activation


def separable(
    z: dl.Node, filters: int, stride: int = 1, name: str | None = None
) -> dl.Node:
    """A 3x3 of each map by itself, then a 1x1 across them; each normed, with relu.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.separable(dl.Input((112, 112, 64)), 128, stride=2)
    <relu: relu 56x56x128>
    """
    at, c = inside(name), z.shape[-1]
    z = conv_norm(z, c, 3, stride, groups=c, name=at("depthwise"))
    return conv_norm(z, filters, 1, name=at("pointwise"))


def inverted_residual(
    z: dl.Node, filters: int, stride: int = 1, expand: int = 6, name: str | None = None
) -> dl.Node:
    """x = z + F(z): 1x1 to `expand` times the maps, 3x3 of each map, 1x1 to `filters`.

    The last has no activation. Where shapes differ x = F(z).

    Parameters
    ----------
    z
        Where to read.
    filters
        How many maps come out.
    stride
        Of the 3x3.
    expand
        How many times more maps are inside.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.inverted_residual(dl.Input((56, 56, 24)), 32, stride=2)
    <batch_norm: batch_norm 28x28x32>
    """
    at, c = inside(name), z.shape[-1]
    part = inside(at("conv"))
    x, i = z, 0
    if expand > 1:
        x = conv_norm(x, c * expand, 1, act=dl.relu6, name=part("0"), parts=PARTS)
        i = 1
    c = x.shape[-1]
    x = conv_norm(x, c, 3, stride, c, dl.relu6, name=part(f"{i}"), parts=PARTS)
    ends = (f"{i + 1}", f"{i + 2}")
    x = conv_norm(x, filters, 1, act=None, name=at("conv"), parts=ends)
    same = stride == 1 and z.shape[-1] == filters
    return dl.add(z, x, name=at("add")) if same else x


def mobilenet_v1(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """MobileNet: depthwise separable convolutions.

    Under 64 pixels the first two reductions are left out.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.mobilenet_v1()
    <Model mobilenet_v1: image -> fc, 85 nodes>
    """
    image = dl.Input(input, name="image")
    tight = small(input)
    z = conv_norm(image, 32, 3, 1 if tight else 2, name="stem")
    for i, (filters, stride) in enumerate(SEPARABLE, 1):
        z = separable(z, filters, 1 if tight and i == 2 else stride, f"block{i}")
    z = dl.global_avg_pool(z, name="avgpool")
    z = dl.dropout(z, 0.001, name="dropout")
    z = dl.dense(z, classes, init="normal", name="fc")
    return dl.Model(image, z, **{"name": "mobilenet_v1", **settings})


def mobilenet_v2(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """MobileNetV2: inverted residuals.

    Under 64 pixels the first two reductions are left out.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.mobilenet_v2()
    <Model mobilenet_v2: image -> classifier.1, 153 nodes>
    """
    image = dl.Input(input, name="image")
    tight = small(input)
    at, i = inside("features"), 1
    first = 1 if tight else 2
    z = conv_norm(image, 32, 3, first, act=dl.relu6, name=at("0"), parts=PARTS)
    for expand, filters, repeats, stride in INVERTED:
        for k in range(repeats):
            step = stride if k == 0 and not (tight and filters == 24) else 1
            z = inverted_residual(z, filters, step, expand, at(f"{i}"))
            i += 1
    z = conv_norm(z, 1280, 1, act=dl.relu6, name=at(f"{i}"), parts=PARTS)
    z = dl.dropout(dl.global_avg_pool(z, name="avgpool"), 0.2, name="classifier.0")
    z = dl.dense(z, classes, init="normal", name="classifier.1")
    return dl.Model(image, z, **{"name": "mobilenet_v2", **settings})
