"""The ResNets for CIFAR of the same paper: K. He, X. Zhang, S. Ren, J. Sun, "Deep
residual learning for image recognition", 2016, section 4.2."""

from __future__ import annotations

from functools import partial
from typing import Any

import minidl as dl

from .blocks import Size
from .resnet import basic_block, resnet

FILTERS = (16, 32, 64)  # at 32x32, 16x16 and 8x8


def resnet_cifar(
    depth: int, classes: int = 10, input: Size = (32, 32, 3), **settings: Any
) -> dl.Model:
    """A ResNet of 6n + 2 layers, with shortcuts that have no parameters.

    Examples
    --------
    >>> from minidl.models.resnet_cifar import resnet_cifar
    >>> resnet_cifar(8)
    <Model resnet8: image -> fc, 31 nodes>
    """
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise dl.Error(
            f"resnet_cifar: depth: expected 6 n + 2 (8, 14, 20, ...), got {depth}"
        )
    block = partial(basic_block, padded=True)
    settings = {"name": f"resnet{depth}", **settings}
    return resnet(block, (n, n, n), classes, input, FILTERS, **settings)


def resnet20(classes: int = 10, input: Size = (32, 32, 3), **settings: Any) -> dl.Model:
    """ResNet-20, for small images."""
    return resnet_cifar(20, classes, input, **settings)


def resnet32(classes: int = 10, input: Size = (32, 32, 3), **settings: Any) -> dl.Model:
    """ResNet-32, for small images."""
    return resnet_cifar(32, classes, input, **settings)


def resnet44(classes: int = 10, input: Size = (32, 32, 3), **settings: Any) -> dl.Model:
    """ResNet-44, for small images."""
    return resnet_cifar(44, classes, input, **settings)


def resnet56(classes: int = 10, input: Size = (32, 32, 3), **settings: Any) -> dl.Model:
    """ResNet-56, for small images."""
    return resnet_cifar(56, classes, input, **settings)


def resnet110(
    classes: int = 10, input: Size = (32, 32, 3), **settings: Any
) -> dl.Model:
    """ResNet-110, for small images."""
    return resnet_cifar(110, classes, input, **settings)
