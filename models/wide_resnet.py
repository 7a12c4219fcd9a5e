"""Wide ResNet: S. Zagoruyko, N. Komodakis, "Wide residual networks", 2016."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, inside

FILTERS = (16, 32, 64)  # before widening, at 32x32, 16x16 and 8x8
KINDS = ("basic", "bottleneck", "basic-wide", "wide-dropout")


def wide_block(
    z: dl.Node,
    filters: int,
    stride: int = 1,
    kind: str = "basic-wide",
    widen: int = 10,
    rate: float = 0.3,
    name: str | None = None,
) -> dl.Node:
    """x = z + F(z), where F norms and activates before each convolution.

    Parameters
    ----------
    z
        Where to read.
    filters, stride
        Of the convolutions, and of the one that reduces the size.
    kind
        "basic": two convolutions of 3x3. "bottleneck": 1x1, 3x3, and 1x1 with 4 times
        the filters. "basic-wide": basic, with `widen` times the filters.
        "wide-dropout": with dropout between the two.
    widen, rate
        Of the wide kinds, and of the dropout.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.wide_block(dl.Input((32, 32, 160)), 32, stride=2)
    <add: add 16x16x320>
    """
    if kind not in KINDS:
        raise dl.Error(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    at = inside(name)
    wide = filters * widen if "wide" in kind else filters
    layers = [(wide, 3, stride), (wide, 3, 1)]  # filters, kernel, stride
    if kind == "bottleneck":
        layers = [(filters, 1, 1), (filters, 3, stride), (filters * 4, 1, 1)]
    x, skip = z, z
    for i, (count, k, step) in enumerate(layers, 1):
        x = dl.relu(dl.batch_norm(x, name=at(f"bn{i}")), name=at(f"relu{i}"))
        if i == 1 and (stride > 1 or z.shape[-1] != layers[-1][0]):
            skip = dl.conv(
                x, layers[-1][0], 1, stride, bias=False, name=at("downsample")
            )
        if i == 2 and kind == "wide-dropout":
            x = dl.dropout(x, rate, name=at("dropout"))
        x = dl.conv(x, count, k, step, k // 2, bias=False, name=at(f"conv{i}"))
    return dl.add(x, skip, name=at("add"))


def wide_resnet(
    depth: int = 28,
    widen: int = 10,
    kind: str = "basic-wide",
    rate: float = 0.3,
    classes: int = 10,
    input: Size = (32, 32, 3),
    **settings: Any,
) -> dl.Model:
    """Three stages of wide blocks, for small images.

    Parameters
    ----------
    depth
        6n + 4 layers make n blocks a stage; 9n + 4 with "bottleneck".
    kind, widen, rate
        Of the blocks, as in `wide_block`.
    classes
        How many outputs.
    input
        The shape of one image.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> from minidl.models.wide_resnet import wide_resnet
    >>> wide_resnet(16, 4)
    <Model wrn_16_4: image -> fc, 51 nodes>
    """
    layers = 9 if kind == "bottleneck" else 6
    n, rest = divmod(depth - 4, layers)
    if rest or n < 1:
        raise dl.Error(f"wide_resnet: depth: expected {layers} n + 4, got {depth}")
    image = dl.Input(input, name="image")
    z = dl.conv(image, FILTERS[0], 3, pad=1, bias=False, name="conv1")
    for stage, filters in enumerate(FILTERS, 1):
        for i in range(n):
            stride = 2 if stage > 1 and i == 0 else 1
            z = wide_block(z, filters, stride, kind, widen, rate, f"layer{stage}.{i}")
    z = dl.relu(dl.batch_norm(z, name="bn"), name="relu")
    z = dl.dense(
        dl.global_avg_pool(z, name="avgpool"), classes, init="normal", name="fc"
    )
    wider = widen if "wide" in kind else 1
    return dl.Model(image, z, **{"name": f"wrn_{depth}_{wider}", **settings})


def wrn_28_10(
    kind: str = "basic-wide",
    classes: int = 10,
    input: Size = (32, 32, 3),
    **settings: Any,
) -> dl.Model:
    """The paper's best network: 28 layers, 10 times as wide as a ResNet for CIFAR.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.wrn_28_10("wide-dropout")
    <Model wrn_28_10: image -> fc, 105 nodes>
    """
    return wide_resnet(28, 10, kind, classes=classes, input=input, **settings)
