"""LeNet-5: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied
to document recognition", Proceedings of the IEEE, 1998."""

from __future__ import annotations

from typing import Any

import minidl as dl

# the maps of S2 that each map of C3 reads: three or four in a row, two pairs, all
CONNECTIONS = (
    *(tuple(sorted((i + k) % 6 for k in range(3))) for i in range(6)),
    *(tuple(sorted((i + k) % 6 for k in range(4))) for i in range(6)),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# what F6 should show for each digit: stylised 7x12 bitmaps
DIGITS = """
.#####. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
####### ..###.. ####### ####### ...###. ####### .#####. ####### ####### #######
##...## .####.. ##...## ##...## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ######. ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##..##. ####### ######. ....##. .#####. #######
##...## ...##.. ...##.. ..####. ##..##. .....## ####### ...##.. .#####. .######
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## .....##
####### .###### ####### ####### ....##. ####### ####### .##.... ####### .#####.
.#####. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .####..
"""


def codes(classes: int = 10) -> tuple[tuple[float, ...], ...]:
    """The bitmaps as columns of 84 numbers, +1 for ink and -1 for paper."""
    if not 1 <= classes <= 10:
        raise dl.ShapeError(
            f"lenet5: classes: expected 1 to 10, got {classes}: the paper's output has "
            'a code for each digit; use variant="modern"'
        )
    rows = (line.split()[:classes] for line in DIGITS.strip().split("\n"))
    pixels = (pixel for row in rows for pixel in zip(*row, strict=True))
    return tuple(tuple(1.0 if ink == "#" else -1.0 for ink in one) for one in pixels)


def lenet5(
    variant: str = "paper",
    classes: int = 10,
    input: tuple[int, int, int] = (32, 32, 1),
    **settings: Any,
) -> dl.Model:
    """LeNet-5 for images of 32x32.

    Parameters
    ----------
    variant
        "paper": trainable pooling, the connection table, scaled tanh, and outputs that
        are the distances to fixed bitmaps (negated, so that the largest wins).
        "modern": max pooling, full connections, ReLU, a dense head.
    classes
        How many outputs.
    input
        The shape of one image.
    settings
        Of the Model: dtype, seed, name.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.lenet5().count
    60000
    """
    variants = {"paper": _paper, "modern": _modern}
    if variant not in variants:
        raise dl.Error(
            f"lenet5: variant: expected one of {', '.join(variants)}, got {variant!r}"
        )
    image = dl.Input(input, name="image")
    name = "lenet5" if variant == "paper" else f"lenet5_{variant}"
    scores = variants[variant](image, classes)
    return dl.Model(image, scores, **{"name": name, **settings})


def _paper(z: dl.Node, classes: int) -> dl.Node:
    z = dl.scale(z, 1.275, -0.1, name="normal")  # 0 to 1: now near mean 0, variance 1
    z = dl.scaled_tanh(dl.conv(z, 6, kernel=5, init="lecun", name="C1"))
    z = dl.scaled_tanh(dl.sum_pool(z, 2, name="S2"))
    z = dl.connection_conv(z, CONNECTIONS, kernel=5, init="lecun", name="C3")
    z = dl.scaled_tanh(z)
    z = dl.scaled_tanh(dl.sum_pool(z, 2, name="S4"))
    z = dl.scaled_tanh(dl.conv(z, 120, kernel=5, init="lecun", name="C5"))
    z = dl.scaled_tanh(dl.dense(dl.flatten(z), 84, init="lecun", name="F6"))
    z = dl.rbf(z, classes, init=dl.init.values(codes(classes)), name="output")
    return dl.scale(z, -1 / 84, name="scores")  # the mean per unit; the nearest wins


def _modern(z: dl.Node, classes: int) -> dl.Node:
    z = dl.max_pool(dl.relu(dl.conv(z, 6, kernel=5, name="C1")), 2, name="S2")
    z = dl.max_pool(dl.relu(dl.conv(z, 16, kernel=5, name="C3")), 2, name="S4")
    z = dl.relu(dl.conv(z, 120, kernel=5, name="C5"))
    z = dl.relu(dl.dense(dl.flatten(z), 84, name="F6"))
    return dl.dense(z, classes, name="output")
