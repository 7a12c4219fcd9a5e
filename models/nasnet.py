"""NASNet: B. Zoph, V. Vasudevan, J. Shlens, Q. Le, "Learning transferable architectures
for scalable image recognition", 2018; the cells A."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, inside, small

TINY = 1e-3  # of every batch norm
FILTERS, REPEATS = (44, 88, 176), 4  # NASNet-A (4 @ 1056): 6 times 176 maps at the end


def normal_cell(
    z: dl.Node,
    before: dl.Node | None,
    filters: int,
    halve: bool = False,
    name: str | None = None,
) -> dl.Node:
    """Five sums of two branches each, of z and of what was before it, side by side.

    Parameters
    ----------
    z, before
        The outputs of the last cell and of the one before it.
    filters
        Of each branch; 6 times as many come out.
    halve
        Whether `before` is twice as large as z.
    name
        The cell's name.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((28, 28, 88))
    >>> dl.models.normal_cell(z, z, 44)
    <concat: concat 28x28x264>
    """
    at = inside(name)
    p = _fit(z if before is None else before, filters, halve, at("before"))
    h = _project(z, filters, at("last"))
    mean = dl.avg_pool(p, 3, 1, pad=1, count_pad=False, name=at("mean4"))
    sums = [
        (_twice(h, filters, 5, 1, at("left1")), _twice(p, filters, 3, 1, at("right1"))),
        (_twice(p, filters, 5, 1, at("left2")), _twice(p, filters, 3, 1, at("right2"))),
        (dl.avg_pool(h, 3, 1, pad=1, count_pad=False, name=at("mean3")), p),
        (mean, mean),
        (_twice(h, filters, 3, 1, at("left5")), h),
    ]
    added = [dl.add(*pair, name=at(f"add{i}")) for i, pair in enumerate(sums, 1)]
    return dl.concat([p, *added], name=at("concat"))


def reduction_cell(
    z: dl.Node,
    before: dl.Node | None,
    filters: int,
    halve: bool = False,
    name: str | None = None,
) -> dl.Node:
    """A cell whose branches have stride 2.

    Parameters
    ----------
    z, before, filters, halve, name
        As in `normal_cell`, but 4 times `filters` come out.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((28, 28, 264))
    >>> dl.models.reduction_cell(z, z, 88)
    <concat: concat 14x14x352>
    """
    at = inside(name)
    p = z if before is None else _fit(before, filters, halve, at("before"))
    h = _project(z, filters, at("last"))
    largest = dl.max_pool(h, 3, 2, pad=1, name=at("max2"))
    mean = dl.avg_pool(h, 3, 2, pad=1, count_pad=False, name=at("mean3"))
    x1 = dl.add(
        _twice(h, filters, 5, 2, at("left1")), _twice(p, filters, 7, 2, at("right1")),
        name=at("add1"),
    )  # fmt: skip
    x2 = dl.add(largest, _twice(p, filters, 7, 2, at("right2")), name=at("add2"))
    x3 = dl.add(mean, _twice(p, filters, 5, 2, at("right3")), name=at("add3"))
    x4 = dl.avg_pool(x1, 3, 1, pad=1, count_pad=False, name=at("mean4"))
    x4 = dl.add(x2, x4, name=at("add4"))
    x5 = dl.add(_twice(x1, filters, 3, 1, at("left5")), largest, name=at("add5"))
    return dl.concat([x2, x3, x4, x5], name=at("concat"))


def _twice(
    z: dl.Node, filters: int, kernel: int, stride: int, name: str | None
) -> dl.Node:
    """Relu, separable convolution, norm; and again, with stride 1."""
    for i, step in ((1, stride), (2, 1)):
        at, c = inside(inside(name)(f"{i}")), z.shape[-1]
        z = dl.relu(z, name=at("relu"))
        z = dl.conv(
            z, c, kernel, step, kernel // 2, groups=c, bias=False, name=at("depthwise")
        )
        z = dl.conv(z, filters, 1, bias=False, name=at("pointwise"))
        z = dl.batch_norm(z, tiny=TINY, name=at("bn"))
    return z


def _project(z: dl.Node, filters: int, name: str | None) -> dl.Node:
    at = inside(name)
    z = dl.conv(dl.relu(z, name=at("relu")), filters, 1, bias=False, name=at("conv"))
    return dl.batch_norm(z, tiny=TINY, name=at("bn"))


def _fit(z: dl.Node, filters: int, halve: bool, name: str | None) -> dl.Node:
    """What came before, brought to the size and the number of maps of now."""
    if not halve:
        return z if z.shape[-1] == filters else _project(z, filters, name)
    at = inside(name)
    z = dl.relu(z, name=at("relu"))
    shifted = dl.crop(
        dl.pad(z, ((0, 1), (0, 1)), name=at("pad")), ((1, 0), (1, 0)), name=at("crop")
    )
    paths = []
    for i, path in ((1, z), (2, shifted)):
        path = dl.decimate(path, 2, name=at(f"decimate{i}"))
        paths.append(dl.conv(path, filters // 2, 1, bias=False, name=at(f"conv{i}")))
    return dl.batch_norm(dl.concat(paths, name=at("concat")), tiny=TINY, name=at("bn"))


def nasnet_mobile(
    classes: int = 1000, input: Size = (224, 224, 3), **settings: Any
) -> dl.Model:
    """NASNet-A (4 @ 1056).

    Under 64 pixels the first convolution keeps the size and the two cells that reduce
    it further are left out, as the paper has it for CIFAR.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.nasnet_mobile()
    <Model nasnet_mobile: image -> fc, 896 nodes>
    """
    tight = small(input)
    cells = [] if tight else [(reduction_cell, f) for f in (11, 22)]
    for stage, filters in enumerate(FILTERS):
        cells += [(reduction_cell, filters)] * (stage > 0)
        cells += [(normal_cell, filters)] * REPEATS
    image = dl.Input(input, name="image")
    stride, pad = (1, 1) if tight else (2, 0)
    z = dl.conv(image, 32, 3, stride, pad, bias=False, name="stem.conv")
    z = dl.batch_norm(z, tiny=TINY, name="stem.bn")
    before, halve = None, False
    for i, (cell, filters) in enumerate(cells, 1):
        z, before = cell(z, before, filters, halve, f"cell{i}"), z
        halve = cell is reduction_cell
    z = dl.global_avg_pool(dl.relu(z, name="relu"), name="avgpool")
    z = dl.dense(dl.dropout(z, 0.5, name="dropout"), classes, init="normal", name="fc")
    return dl.Model(image, z, **{"name": "nasnet_mobile", **settings})
