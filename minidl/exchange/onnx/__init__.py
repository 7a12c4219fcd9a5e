"""ONNX: networks from and for the rest of the world.

    write  a model's nodes, each by the rule for its op      (WRITE of the families)
    read   a file's nodes, each by the rule for its kind     (READ of the families)

A family (convs, pools, sizes, shapes, simple, pairs, norms, products) holds both ways,
side by side. `out` is what the rules of the one way use, `into` and `value` those of
the other; `proto` checks a file before anything is made of it, `fold` works out what is
known beforehand.
"""

from .read import read
from .write import write

__all__ = ["read", "write"]
