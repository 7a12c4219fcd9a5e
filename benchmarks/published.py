"""Random weights under published names: does a network give what torchvision's gives?

    python benchmarks/published.py --theirs FOLDER    where torchvision is installed
    python benchmarks/published.py FOLDER             where minidl is

The first writes, for each network, weights as safetensors and the scores of two images;
the second loads them and compares. Batch norms get statistics as after training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # theirs, ours
    "alexnet": ({}, {"variant": "torchvision"}),
    "vgg16": ({}, {}),
    "vgg16_bn": ({}, {}),
    "googlenet": (
        {"aux_logits": False, "init_weights": True}, {"variant": "torchvision"}
    ),
    "resnet18": ({}, {}),
    "resnet50": ({}, {}),
    "resnet152": ({}, {}),
    "wide_resnet50_2": ({}, {}),
    "resnext50_32x4d": ({}, {}),
    "densenet121": ({}, {}),
    "mobilenet_v2": ({}, {}),
    "efficientnet_b0": ({}, {}),
}  # fmt: skip


def images() -> np.ndarray:
    """Two of them, n h w c."""
    return np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype("float32")


def theirs(folder: Path) -> None:
    """Write weights and scores."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(0)
    for name, (settings, _) in NETWORKS.items():
        net = getattr(torchvision.models, name)(weights=None, **settings).eval()
        with torch.no_grad():
            for key, value in net.state_dict().items():
                if key.endswith("running_mean"):
                    value.normal_(0, 0.1)
                elif key.endswith("running_var"):
                    value.uniform_(0.8, 1.2)
            x = net(torch.from_numpy(images()).permute(0, 3, 1, 2))
        save_file(
            {k: v.contiguous() for k, v in net.state_dict().items()},
            folder / f"{name}.safetensors",
        )
        np.save(folder / f"{name}.npy", x.numpy())


def ours(folder: Path) -> None:
    """Load, run, and print the largest difference beside the largest score."""
    import minidl as dl

    for name, (_, settings) in NETWORKS.items():
        net = dl.models.get(name)(**settings)
        net.load_weights(folder / f"{name}.safetensors")
        x, wanted = net(images()), np.load(folder / f"{name}.npy")
        error = abs(x - wanted).max() / abs(wanted).max()
        print(f"{name:16} {error:.1e}  {'agrees' if error <= 1e-4 else 'DIFFERS'}")


def main() -> None:
    """One of the two."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--theirs", action="store_true")
    top.add_argument("folder", type=Path)
    options = top.parse_args()
    (theirs if options.theirs else ours)(options.folder)


if __name__ == "__main__":
    main()
