"""The zoo: a network is a function, a family a file; all use the public API only.

To add one, write it and put its name into FAMILIES.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if __name__ != "minidl.models":
    raise ImportError(
        "this folder is the source of minidl.models: install minidl (`make`, or `pip "
        "install -e .`), then `import minidl.models`"
    )

import minidl as dl

if TYPE_CHECKING:
    from .alex import alexnet as alexnet
    from .all_cnn import all_cnn_c as all_cnn_c
    from .blocks import conv_norm as conv_norm, squeeze_excite as squeeze_excite
    from .densenet import (
        dense_block as dense_block,
        dense_layer as dense_layer,
        densenet121 as densenet121,
        densenet161 as densenet161,
        densenet169 as densenet169,
        densenet201 as densenet201,
        densenet_bc_100_12 as densenet_bc_100_12,
        transition as transition,
    )
    from .efficientnet import efficientnet_b0 as efficientnet_b0, mbconv as mbconv
    from .inception_v1 import (
        googlenet as googlenet,
        inception as inception,
        naive_inception as naive_inception,
    )
    from .lecture import lecture_cnn5 as lecture_cnn5
    from .lenet import lenet5 as lenet5
    from .mobilenet import (
        inverted_residual as inverted_residual,
        mobilenet_v1 as mobilenet_v1,
        mobilenet_v2 as mobilenet_v2,
        separable as separable,
    )
    from .nasnet import (
        nasnet_mobile as nasnet_mobile,
        normal_cell as normal_cell,
        reduction_cell as reduction_cell,
    )
    from .resnet import (
        basic_block as basic_block,
        bottleneck as bottleneck,
        resnet18 as resnet18,
        resnet34 as resnet34,
        resnet50 as resnet50,
        resnet101 as resnet101,
        resnet152 as resnet152,
        resnext50_32x4d as resnext50_32x4d,
        resnext101_32x8d as resnext101_32x8d,
        se_resnet50 as se_resnet50,
        wide_resnet50_2 as wide_resnet50_2,
        wide_resnet101_2 as wide_resnet101_2,
    )
    from .resnet_cifar import (
        resnet20 as resnet20,
        resnet32 as resnet32,
        resnet44 as resnet44,
        resnet56 as resnet56,
        resnet110 as resnet110,
    )
    from .vgg import (
        vgg11 as vgg11,
        vgg11_bn as vgg11_bn,
        vgg13 as vgg13,
        vgg13_bn as vgg13_bn,
        vgg16 as vgg16,
        vgg16_bn as vgg16_bn,
        vgg19 as vgg19,
        vgg19_bn as vgg19_bn,
    )
    from .wide_resnet import wide_block as wide_block, wrn_28_10 as wrn_28_10
    from .zf import zfnet as zfnet

FAMILIES = {  # file -> networks; it is imported when first asked for
    "alex": ("alexnet",),
    "all_cnn": ("all_cnn_c",),
    "densenet": (
        "densenet121", "densenet161", "densenet169", "densenet201",
        "densenet_bc_100_12",
    ),
    "efficientnet": ("efficientnet_b0",),
    "inception_v1": ("googlenet",),
    "lecture": ("lecture_cnn5",),
    "lenet": ("lenet5",),
    "mobilenet": ("mobilenet_v1", "mobilenet_v2"),
    "nasnet": ("nasnet_mobile",),
    "resnet": (
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
        "resnext50_32x4d", "resnext101_32x8d", "se_resnet50", "wide_resnet50_2",
        "wide_resnet101_2",
    ),
    "resnet_cifar": ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    "vgg": (
        "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
        "vgg19_bn",
    ),
    "wide_resnet": ("wrn_28_10",),
    "zf": ("zfnet",),
}  # fmt: skip
BLOCKS = {  # file -> what its networks are made of
    "blocks": ("conv_norm", "squeeze_excite"),
    "densenet": ("dense_block", "dense_layer", "transition"),
    "efficientnet": ("mbconv",),
    "inception_v1": ("inception", "naive_inception"),
    "mobilenet": ("inverted_residual", "separable"),
    "nasnet": ("normal_cell", "reduction_cell"),
    "resnet": ("basic_block", "bottleneck"),
    "wide_resnet": ("wide_block",),
}  # fmt: skip
NETWORKS = {name: file for file, names in FAMILIES.items() for name in names}
PARTS = {name: file for file, names in BLOCKS.items() for name in names}


def list() -> tuple[str, ...]:
    """The names of all networks.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.list()[:3]
    ('alexnet', 'all_cnn_c', 'densenet121')
    """
    return tuple(sorted(NETWORKS))


def get(name: str) -> Callable[..., Any]:
    """The function that builds the network `name`."""
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, 3, 0.5)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise dl.Error(f"no network is named {name!r}{hint} All: {', '.join(list())}")
    return __getattr__(name)


def __getattr__(name: str) -> Any:
    file = NETWORKS.get(name) or PARTS.get(name)
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{file}"), name)


__all__ = ["BLOCKS", "FAMILIES", "NETWORKS", "get", "list", *NETWORKS, *PARTS]
