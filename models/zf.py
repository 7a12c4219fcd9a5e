"""ZFNet: M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks",
2014."""

from __future__ import annotations

from typing import Any

import minidl as dl

from .blocks import Size, small

FILTERS = {"paper": (384, 384, 256), "wide": (512, 1024, 512)}  # convolutions 3 to 5


def zfnet(
    variant: str = "paper",
    classes: int = 1000,
    input: Size = (224, 224, 3),
    **settings: Any,
) -> dl.Model:
    """ZFNet: AlexNet with a smaller, denser beginning.

    Parameters
    ----------
    variant
        "paper": 384, 384 and 256 filters in convolutions 3 to 5. "wide": 512, 1024 and
        512, as the lectures have it.
    classes
        How many outputs.
    input
        The shape of one image. Under 128 pixels the first convolution is 3x3, and the
        first two keep the size.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.zfnet()
    <Model zfnet: image -> fc8, 24 nodes>
    """
    if variant not in FILTERS:
        raise dl.Error(
            f"zfnet: variant: expected one of {', '.join(FILTERS)}, got {variant!r}"
        )
    stem = ((3, 1, 1), (5, 1, 2)) if small(input, 128) else ((7, 2, 1), (5, 2, 0))
    filters = (96, 256, *FILTERS[variant])
    shapes = (*stem, *[(3, 1, 1)] * 3)  # kernel, stride, pad
    z = image = dl.Input(input, name="image")
    for i, (count, shape) in enumerate(zip(filters, shapes, strict=True), 1):
        z = dl.conv(z, count, *shape, name=f"conv{i}")
        z = dl.relu(z, name=f"relu{i}")
        if i in (1, 2, 5):
            z = dl.max_pool(z, 3, stride=2, ceil=True, name=f"pool{i}")
        if i in (1, 2):
            z = dl.lrn(z, 5, alpha=1e-4, beta=0.75, k=2, divide=False, name=f"norm{i}")
    z = dl.flatten(z, name="flatten")
    for i in (6, 7):
        z = dl.relu(dl.dense(z, 4096, name=f"fc{i}"), name=f"relu{i}")
        z = dl.dropout(z, 0.5, name=f"dropout{i}")
    z = dl.dense(z, classes, init="normal", name="fc8")
    name = "zfnet" if variant == "paper" else f"zfnet_{variant}"
    return dl.Model(image, z, **{"name": name, **settings})
