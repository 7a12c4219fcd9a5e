"""The networks of minidl.models, written plainly in torch for the peers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(c: int, f: int, kernel: int, stride: int = 1, pad: int = 0) -> nn.Module:
    """Convolution with bias, and ReLU."""
    return nn.Sequential(nn.Conv2d(c, f, kernel, stride, pad), nn.ReLU(inplace=True))


def dense(c: int, f: int, dropout: float = 0) -> nn.Module:
    """A dense layer, ReLU, dropout where there is one."""
    last = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Linear(c, f), nn.ReLU(inplace=True), *last)


def lenet5() -> nn.Module:
    """LeNet-5 with max pooling and ReLU."""
    return nn.Sequential(
        conv(1, 6, 5), nn.MaxPool2d(2), conv(6, 16, 5), nn.MaxPool2d(2),
        conv(16, 120, 5), nn.Flatten(), dense(120, 84), nn.Linear(84, 10),
    )  # fmt: skip


def alexnet() -> nn.Module:
    """The paper's layers without its groups; torch divides alpha by the window."""

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)

    return nn.Sequential(
        conv(3, 96, 11, 4), nn.MaxPool2d(3, 2), norm(),
        conv(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2), norm(),
        conv(256, 384, 3, 1, 1), conv(384, 384, 3, 1, 1), conv(384, 256, 3, 1, 1),
        nn.MaxPool2d(3, 2), nn.Flatten(),
        dense(6 * 6 * 256, 4096, 0.5), dense(4096, 4096, 0.5), nn.Linear(4096, 1000),
    )  # fmt: skip


def vgg16() -> nn.Module:
    """The paper's D."""
    layers: list[nn.Module] = []
    c = 3
    for f, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers.append(conv(c, f, 3, 1, 1))
            c = f
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.Flatten(), dense(7 * 7 * 512, 4096, 0.5), dense(4096, 4096, 0.5),
        nn.Linear(4096, 1000),
    )  # fmt: skip


def conv_norm(c: int, f: int, kernel: int, stride: int = 1) -> nn.Module:
    """Convolution without bias, batch norm."""
    return nn.Sequential(
        nn.Conv2d(c, f, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(f)
    )


class Padded(nn.Module):
    """Every second pixel, and maps of zeros: a shortcut without parameters."""

    pooled = False  # the same by pooling of 1x1, for those that know no strided slice

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, z: Tensor) -> Tensor:
        """Decimate and pad."""
        sides = (self.more // 2, self.more - self.more // 2)
        z = functional.max_pool2d(z, 1, 2) if self.pooled else z[:, :, ::2, ::2]
        return functional.pad(z, (0, 0, 0, 0, *sides))


class Block(nn.Module):
    """x = relu(shortcut(z) + F(z)), F made of (kernel, filters, stride)"""

    def __init__(
        self, c: int, layers: Iterable[tuple[int, int, int]], padded: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        strides, before = 1, c
        for kernel, f, stride in layers:
            self.layers.append(conv_norm(c, f, kernel, stride))
            c, strides = f, strides * stride
        self.shortcut: nn.Module = nn.Identity()
        if padded and strides > 1:
            self.shortcut = Padded(c - before)
        elif strides > 1 or before != c:
            self.shortcut = conv_norm(before, c, 1, strides)

    def forward(self, z: Tensor) -> Tensor:
        """The formula."""
        x = z
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x), inplace=True)
        return functional.relu(self.layers[-1](x) + self.shortcut(z), inplace=True)


def resnet(repeats: Iterable[int], bottleneck: bool = False) -> nn.Module:
    """ResNets for 224x224, the stride on the 3x3."""
    layers = [conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    c = 64
    for stage, count in enumerate(repeats):
        f = 64 << stage
        for i in range(count):
            s = 2 if stage and not i else 1
            if bottleneck:
                layers.append(Block(c, ((1, f, 1), (3, f, s), (1, 4 * f, 1)), False))
            else:
                layers.append(Block(c, ((3, f, s), (3, f, 1)), False))
            c = 4 * f if bottleneck else f
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000))
    return nn.Sequential(*layers, *head)


def resnet20() -> nn.Module:
    """The ResNet for CIFAR, its shortcuts without parameters."""
    layers = [conv_norm(3, 16, 3), nn.ReLU(inplace=True)]
    c = 16
    for f in (16, 32, 64):
        for _ in range(3):
            layers.append(Block(c, ((3, f, f // c), (3, f, 1)), True))
            c = f
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))
    return nn.Sequential(*layers, *head)


def resnet18() -> nn.Module:
    """ResNet-18."""
    return resnet((2, 2, 2, 2))


def resnet50() -> nn.Module:
    """ResNet-50."""
    return resnet((3, 4, 6, 3), bottleneck=True)


def build(network: str, weights: str) -> nn.Module:
    """The network, with the parameters of minidl's."""
    makers = (lenet5, resnet20, alexnet, vgg16, resnet18, resnet50)
    net = {make.__name__: make for make in makers}[network]()
    c = 0
    with np.load(weights) as arrays, torch.no_grad():
        for mine, name in zip(net.parameters(), arrays.files, strict=True):
            w = arrays[name]
            if w.ndim == 4:  # [kh, kw, c, f]
                c = w.shape[3]
                w = w.transpose(3, 2, 0, 1)
            elif w.ndim == 2:  # [in, out]; a flattened image is [h, w, c] there
                side = round((w.shape[0] / c) ** 0.5)
                image = (side, side, c) if side * side * c == w.shape[0] else (-1, 1, 1)
                w = w.reshape(*image, w.shape[1]).transpose(3, 2, 0, 1)
                w, c = w.reshape(w.shape[0], -1), w.shape[0]
            mine.copy_(torch.from_numpy(np.ascontiguousarray(w)))
    return net
