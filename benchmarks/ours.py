"""minidl as a contestant."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from worker import data

import minidl as dl

Contest = tuple[Callable[[], Any], Callable[[Any], Any]]
VARIANTS = {"lenet5": {"variant": "modern"}}


def minidl(case: dict[str, Any]) -> Contest:
    """A function to run, and one that makes numbers of what it returns."""
    name = case["network"]
    net = dl.models.get(name)(**VARIANTS.get(name, {}))
    weights = case["weights"]
    if not os.path.exists(weights):
        np.savez(weights, **net.parameters)
    images, labels = data(case)
    dl.set_threads(case["threads"])
    if case["mode"] == "train":
        net.compile(optimiser=dl.optim.SGD(lr=1e-4, momentum=0.9))
        return partial(net.train_step, images, labels), lambda loss: loss
    return partial(net, images), lambda scores: scores[0]
