"""minidl: a graph-based mini deep-learning framework for convolutional networks.

Define a graph from `Input` and the functions below, make a `Model` of it, then call,
train, check and draw it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import init, ops, optim
from ._ext import get_threads, set_threads
from .graph import Node, Op, Tail, new_input as Input
from .ops.activation import (
    leaky_relu,
    relu,
    relu6,
    scaled_tanh,
    sigmoid,
    swish,
    tanh,
)
from .ops.affine import affine, prelu
from .ops.arithmetic import add, multiply, scale, subtract
from .ops.average import avg_pool, global_avg_pool, weighted_pool
from .ops.bent import clip, elu, hard_sigmoid, hard_swish, thresholded_relu
from .ops.broadcast import broadcast, matmul
from .ops.connection import connection_conv
from .ops.conv import conv
from .ops.conv_transpose import conv_transpose
from .ops.dense import dense
from .ops.dropout import dropout, identity
from .ops.im2col import col2im, im2col
from .ops.interpolate import resize
from .ops.layout import flatten, reshape, transpose
from .ops.local import locally_connected, tiled_conv
from .ops.loss import (
    binary_cross_entropy,
    hinge,
    mean_squared_error,
    soft_cross_entropy,
    softmax_cross_entropy,
)
from .ops.lrn import lrn
from .ops.maxout import maxout
from .ops.norm import batch_norm
from .ops.normalise import normalise
from .ops.pool import global_max_pool, max_pool
from .ops.rbf import rbf
from .ops.resize import decimate, upsample
from .ops.softmax import softmax
from .ops.structure import concat, crop, pad
from .ops.sumpool import sum_pool
from .spec import (
    Array,
    Book,
    CheckpointError,
    DataError,
    DivergedError,
    Error,
    GraphError,
    Param,
    ShapeError,
    SizeError,
    Spec,
)

if TYPE_CHECKING:
    from . import check, data, models
    from .compare import diff
    from .field import receptive_field
    from .loading import from_onnx, load
    from .metrics import evaluate
    from .model import Model
    from .network import Graph
    from .plan import Plan

__version__ = "0.1.0"

__all__ = [
    "Array", "Book", "CheckpointError", "DataError", "DivergedError", "Error", "Graph",
    "GraphError", "Input", "Model", "Node", "Op", "Param", "Plan", "ShapeError",
    "SizeError", "Spec", "Tail", "__version__", "add", "affine", "avg_pool",
    "batch_norm", "binary_cross_entropy", "broadcast", "check", "clip", "col2im",
    "concat", "connection_conv", "conv", "conv_transpose", "crop", "data", "decimate",
    "dense", "diff", "dropout", "elu", "evaluate", "flatten", "from_onnx",
    "get_threads", "global_avg_pool", "global_max_pool", "hard_sigmoid", "hard_swish",
    "hinge", "identity", "im2col", "init", "leaky_relu", "load", "locally_connected",
    "lrn", "matmul", "max_pool", "maxout", "mean_squared_error", "models", "multiply",
    "normalise", "ops", "optim", "pad", "prelu", "rbf", "receptive_field", "relu",
    "relu6", "reshape", "resize", "scale", "scaled_tanh", "set_threads", "sigmoid",
    "soft_cross_entropy", "softmax", "softmax_cross_entropy", "subtract", "sum_pool",
    "swish", "tanh", "thresholded_relu", "tiled_conv", "transpose", "upsample",
    "weighted_pool",
]

# What needs NetworkX or more comes when first asked for: importing minidl stays fast.
LATER = {
    "check": "check", "data": "data", "diff": "compare", "evaluate": "metrics",
    "from_onnx": "loading", "Graph": "network", "load": "loading", "Model": "model",
    "models": "models", "Plan": "plan", "receptive_field": "field",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'minidl' has no attribute {name!r}")
    module = importlib.import_module(f"minidl.{LATER[name]}")
    found = module if name == LATER[name] else getattr(module, name)
    globals()[name] = found
    return found
