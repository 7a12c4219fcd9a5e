"""What to train a network with when nobody says: found on the digits and by the papers.

A recipe is a set of defaults for `minidl train`; whatever the command line or a config
file says goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """The settings of a run."""

    epochs: int
    batch: int
    lr: float
    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.0
    shift: int = 0
    flip: bool = False


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
RATES = {"lenet5": 0.03, "lenet5_modern": 0.02}  # without batch norm: smaller steps


def recipe(network: str, data: str) -> Recipe:
    """The recipe for a network and a data set, by their names.

    Examples
    --------
    >>> recipe("resnet20", "cifar10:somewhere").batch
    128
    """
    kind = data.partition(":")[0]
    found = SETS.get(kind, PHOTOS)
    if network in RATES or network.startswith(("vgg", "alexnet", "zfnet", "all_cnn")):
        rate = RATES.get(network, 0.01 if not network.endswith("_bn") else found.lr)
        found = replace(found, lr=rate)
    return found
