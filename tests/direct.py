"""An op on arrays, with no graph, plan or engine between."""

from types import SimpleNamespace

import numpy as np


def run(calls):
    """Run what an op returned."""
    for call in calls if isinstance(calls, list) else [calls]:
        call()


def space(regions, dtype):
    """Arrays for a book's regions, full of garbage that no kernel may rely on."""
    found = {}
    for name, region in regions.items():
        kind = dtype if region.dtype == "real" else region.dtype
        found[name] = np.full(region.shape, 77, kind)
    return found


def both(op, z, theta, epsilon=None, threads=4):
    """x, delta and g of an op with one input."""
    dtype = z.dtype
    spec = op.infer(z.shape[1:])
    x = np.full((len(z), *spec.x), np.nan, dtype)
    book = op.book(z.shape, x.shape, threads, x.itemsize)
    held = SimpleNamespace(**theta, **space(book.const, dtype))
    tape = SimpleNamespace(**space({**book.tape, **book.seats}, dtype))
    if book.const:
        run(op.prepare(held))
    run(op.forward(z, held, x, tape, np.full(book.scratch, 255, np.uint8)))
    epsilon = np.ones_like(x) if epsilon is None else epsilon
    delta = np.full_like(z, np.nan)
    g = {name: np.full_like(value, np.nan) for name, value in theta.items()}
    scratch = np.full(book.adjoint_scratch, 255, np.uint8)
    space_g = SimpleNamespace(**g)
    run(op.adjoint(epsilon.copy(), z, held, x, tape, scratch, delta, space_g))
    return x, delta, g
