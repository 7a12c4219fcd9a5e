"""The rooms: one op family, one file; and the table that lists them all."""

from ..graph import Op
from . import (
    activation,
    affine,
    arithmetic,
    average,
    bent,
    broadcast,
    connection,
    conv,
    conv_transpose,
    dense,
    dropout,
    im2col,
    interpolate,
    layout,
    local,
    loss,
    lrn,
    maxout,
    norm,
    normalise,
    pool,
    rbf,
    resize,
    softmax,
    structure,
    sumpool,
)
from .row import Case, Row

__all__ = [
    "OPS",
    "ROOMS",
    "TABLE",
    "Case",
    "Row",
    "activation",
    "affine",
    "arithmetic",
    "average",
    "bent",
    "broadcast",
    "connection",
    "conv",
    "conv_transpose",
    "dense",
    "dropout",
    "im2col",
    "interpolate",
    "layout",
    "local",
    "loss",
    "lrn",
    "maxout",
    "norm",
    "normalise",
    "pool",
    "rbf",
    "resize",
    "softmax",
    "structure",
    "sumpool",
]

ROOMS = (
    activation, affine, arithmetic, average, bent, broadcast, connection, conv,
    conv_transpose, dense, dropout, im2col, interpolate, layout, local, loss, lrn,
    maxout, norm, normalise, pool, rbf, resize, softmax, structure, sumpool,
)
TABLE: dict[str, Row] = {row.build.__name__: row for room in ROOMS for row in room.ROWS}
OPS: tuple[type[Op], ...] = tuple(dict.fromkeys(row.op for row in TABLE.values()))
