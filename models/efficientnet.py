"""EfficientNet: M. Tan, Q. Le, "EfficientNet: rethinking model scaling for
convolutional neural networks", 2019."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, conv_norm, inside, small, squeeze_excite

STAGES = (  # how much wider inside, kernel, filters, repeats, stride
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
PARTS = ("0", "1", "2")  # convolution, norm, activation


def mbconv(
    z: dl.Node,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    expand: int = 6,
    name: str | None = None,
) -> dl.Node:
    """An inverted residual with swish, and squeeze-and-excitation before its last 1x1.

    Parameters
    ----------
    z
        Where to read.
    filters
        How many maps come out.
    kernel, stride
        Of the convolution of each map by itself.
    expand
        How many times more maps are inside.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.mbconv(dl.Input((56, 56, 24)), 40, kernel=5, stride=2)
    <batch_norm: batch_norm 28x28x40>
    """
    at, c = inside(name), z.shape[-1]
    part = inside(at("block"))
    x, i = z, 0
    if expand > 1:
        x = conv_norm(x, c * expand, 1, act=dl.swish, name=part("0"), parts=PARTS)
        i = 1
    wide = c * expand
    x = conv_norm(
        x, wide, kernel, stride, wide, dl.swish, name=part(f"{i}"), parts=PARTS
    )
    x = squeeze_excite(x, max(1, c // 4), dl.swish, part(f"{i + 1}"))
    x = conv_norm(x, filters, 1, act=None, name=part(f"{i + 2}"), parts=PARTS)
    same = stride == 1 and c == filters
    return dl.add(z, x, name=at("add")) if same else x


def efficientnet_b0(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """EfficientNet-B0.

    Under 64 pixels the first two reductions are left out.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.efficientnet_b0()
    <Model efficientnet_b0: image -> classifier.1, 240 nodes>
    """
    image = dl.Input(input, name="image")
    tight = small(input)
    at = inside("features")
    first = 1 if tight else 2
    z = conv_norm(image, 32, 3, first, act=dl.swish, name=at("0"), parts=PARTS)
    for i, (expand, kernel, filters, repeats, stride) in enumerate(STAGES, 1):
        for k in range(repeats):
            step = stride if k == 0 and not (tight and i == 2) else 1
            z = mbconv(z, filters, kernel, step, expand, at(f"{i}.{k}"))
    last = f"{len(STAGES) + 1}"
    z = conv_norm(z, 1280, 1, act=dl.swish, name=at(last), parts=PARTS)
    z = dl.dropout(dl.global_avg_pool(z, name="avgpool"), 0.2, name="classifier.0")
    z = dl.dense(z, classes, init="normal", name="classifier.1")
    return dl.Model(image, z, **{"name": "efficientnet_b0", **settings})
