"""minidl: a graph-based mini deep-learning framework for convolutional networks.

Define a graph from `Input` and the functions below, make a `Model` of it, then call,
train, check and draw it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import check, checkpoint, data, init, ops, optim
from ._ext import get_threads, set_threads
from .graph import Graph, Input as InputOp, Node, Op, Tail, new_input as Input
from .model import Model
from .ops.activation import (
    leaky_relu, relu, relu6, scaled_tanh, sigmoid, swish, tanh,
)
from .ops.arithmetic import add, multiply, scale, subtract
from .ops.average import avg_pool, global_avg_pool, sum_pool, weighted_pool
from .ops.connection import connection_conv
from .ops.conv import conv
from .ops.conv_transpose import conv_transpose
from .ops.dense import dense
from .ops.dropout import dropout, identity
from .ops.im2col import col2im, im2col
from .ops.layout import flatten, reshape, transpose
from .ops.local import locally_connected, tiled_conv
from .ops.loss import (
    binary_cross_entropy, hinge, mean_squared_error, softmax_cross_entropy,
)
from .ops.lrn import lrn
from .ops.maxout import maxout
from .ops.norm import batch_norm
from .ops.pool import global_max_pool, max_pool
from .ops.rbf import rbf
from .ops.resize import decimate, upsample
from .ops.softmax import softmax
from .ops.structure import concat, crop, pad
from .plan import Plan
from .spec import (
    Array, Book, CheckpointError, DataError, Error, GraphError, Param, ShapeError,
    SizeError, Spec,
)
from .train import DivergedError

__version__ = "0.1.0"


def load(path: str | Path, ops: Sequence[type[Op]] = ()) -> Model:
    """The model that `model.save` wrote: graph, parameters and buffers.

    Parameters
    ----------
    path
        An .npz that `save` wrote.
    ops
        The classes of ops that are not minidl's own.
    """
    found = checkpoint.load(path, ops)
    model = Model(**found["model"])
    checkpoint.assign(model, found["arrays"], path)
    return model


def __getattr__(name: str) -> Any:
    if name == "models":  # the zoo uses this module: it comes when asked for
        return importlib.import_module("minidl.models")
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")
