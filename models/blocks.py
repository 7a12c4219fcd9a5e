"""What several families are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minidl as dl

Size = tuple[int | None, int | None, int]  # of an image: height, width, channels
Act = Callable[..., dl.Node]


def small(input: Size, side: int = 64) -> bool:
    """Whether images are too small for a stem that was made for 224x224."""
    return any(n is not None and n < side for n in input[:2])


def inside(name: str | None) -> Callable[[str], Any]:
    """How the nodes of the block `name` are named; not at all where it has no name.

    Examples
    --------
    >>> from minidl.models.blocks import inside
    >>> inside("layer1.0")("conv1"), inside("")("conv1"), inside(None)("conv1")
    ('layer1.0.conv1', 'conv1', None)
    """
    if name is None:
        return lambda part: None
    return lambda part: f"{name}.{part}" if name else part


def conv_norm(
    z: dl.Node,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    act: Act | None = dl.relu,
    tiny: float = 1e-5,
    name: str | None = None,
    parts: tuple[str, ...] = ("conv", "bn", "relu"),
) -> dl.Node:
    """Convolution without bias, batch norm, activation unless None.

    Parameters
    ----------
    z
        Where to read.
    filters, kernel, stride, groups
        Of the convolution, which keeps the size where the stride is 1.
    act
        The activation.
    tiny
        Of the batch norm.
    name, parts
        The block's name, and what its nodes are called inside.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.conv_norm(dl.Input((32, 32, 3)), 16, stride=2, name="stem")
    <stem.relu: relu 16x16x16>
    """
    at = inside(name)
    z = dl.conv(
        z, filters, kernel, stride, kernel // 2, groups=groups, bias=False,
        name=at(parts[0]),
    )  # fmt: skip
    z = dl.batch_norm(z, tiny=tiny, name=at(parts[1]))
    return z if act is None else act(z, name=at(parts[2]))


def squeeze_excite(
    z: dl.Node, units: int, act: Act = dl.relu, name: str | None = None
) -> dl.Node:
    """x = z * sigmoid(fc2(act(fc1(mean of each map)))): a gate for each map.

    J. Hu, L. Shen, G. Sun, "Squeeze-and-Excitation Networks", 2018.

    Parameters
    ----------
    z
        The maps.
    units
        What they are squeezed to.
    act
        The activation between.
    name
        The block's name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.squeeze_excite(dl.Input((8, 8, 64)), 4, name="se")
    <se.scale: multiply 8x8x64>
    """
    at = inside(name)
    gate = dl.global_avg_pool(z, keep=True, name=at("avgpool"))
    gate = act(dl.conv(gate, units, 1, name=at("fc1")), name=at("activation"))
    gate = dl.conv(gate, z.shape[-1], 1, init="lecun", name=at("fc2"))
    return dl.multiply(z, dl.sigmoid(gate, name=at("sigmoid")), name=at("scale"))
