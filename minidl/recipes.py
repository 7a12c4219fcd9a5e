"""What to train a network with when nobody says: found on the digits and by the papers.

A recipe is a set of defaults for `minidl train`; whatever the command line or a config
file says goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .optim import OPTIMISERS


@dataclass(frozen=True)
class Recipe:
    """The settings of a run."""

    epochs: int
    batch: int
    lr: float
    optimiser: str = "sgd"
    momentum: float | None = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.0
    shift: int = 0
    flip: bool = False
    clip: float | None = None


# 2,000 digits or shapes: an epoch is short, so there are many
SMALL = Recipe(
    epochs=30, batch=32, lr=0.05, weight_decay=5e-4, warmup=0.1, shift=3
)
MNIST = Recipe(epochs=12, batch=64, lr=0.05, weight_decay=5e-4, warmup=0.1, shift=2)
# K. He et al. 2016, section 4.2: 64,000 steps of 128, which is 164 epochs
CIFAR = Recipe(
    epochs=160, batch=128, lr=0.1, weight_decay=1e-4, schedule="step", warmup=0.01,
    shift=4, flip=True,
)  # fmt: skip
PHOTOS = Recipe(
    epochs=90, batch=32, lr=0.01, weight_decay=1e-4, warmup=0.05, shift=8, flip=True
)
SETS = {
    "digits": SMALL, "shapes": replace(SMALL, shift=0), "mnist": MNIST,
    "fashion": replace(MNIST, flip=True), "cifar10": CIFAR, "cifar100": CIFAR,
}  # fmt: skip
# of networks without batch norm, or with dense layers that have none, in that order
RATES = {
    "vgg": 0.01, "alexnet": 0.01, "zfnet": 0.01, "all_cnn": 0.01,
    "lenet5": 0.03, "lenet5_modern": 0.02,
}  # fmt: skip
OWN: dict[tuple[str, str], dict[str, Any]] = {  # found by trying, seeds 0 to 4
    ("lenet5", "digits"): {"lr": 0.2, "epochs": 60},
    ("lenet5_modern", "digits"): {"lr": 0.05, "epochs": 60, "shift": 2},
    ("all_cnn_c", "shapes"): {"lr": 0.05, "epochs": 12, "clip": 1.0},
}


def recipe(network: str, data: str, optimiser: str = "sgd") -> Recipe:
    """The recipe for a network and a data set, by their names.

    The rates were found for SGD; other optimisers begin with their own.

    Examples
    --------
    >>> recipe("resnet20", "cifar10:somewhere").batch
    128
    """
    kind = data.partition(":")[0]
    found = SETS.get(kind, PHOTOS)
    for word, rate in RATES.items():
        if word in network:
            found = replace(found, lr=rate)
    found = replace(found, **OWN.get((network, kind), {}))
    if optimiser == "sgd":
        return found
    own = OPTIMISERS[optimiser]
    return replace(
        found, optimiser=optimiser, lr=own.lr, weight_decay=own.weight_decay,
        momentum=None,
    )  # fmt: skip
