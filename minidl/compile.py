"""Compile a graph into a Plan.

    graph --trace--> calls --fuse--> groups --draft, back--> steps and regions
          --alias--> shared memory --place--> offsets in one arena

Each pass is followed by `verify`. The result is immutable; the engine binds it and
runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import networkx as nx

from .back import Back
from .fuse import fuse, homes, trace, wanting
from .graph import Op
from .memory import alias, apart, place, verify
from .plan import ITEMSIZE, Plan
from .spec import Shape


def compile(
    graph: nx.MultiDiGraph,
    name: str,
    outputs: Sequence[str],
    shapes: Mapping[str, Shape],
    owners: Mapping[str, str],
    *,
    dtype: str,
    threads: int,
    train: bool = False,
    adjoint: bool = False,
    deltas: Sequence[str] = (),
    grads: Mapping[str, tuple[tuple[int, ...], int]] | None = None,
    rules: Mapping[str, Op] | None = None,
    exact: bool = False,
    at_once: Set[str] = frozenset(),
) -> Plan:
    """The plan for inputs of these shapes (which begin with the batch).

    `grads` maps the parameters whose gradient is wanted to (shape, entry in the block
    of all gradients); `deltas` names the inputs whose delta is wanted; `rules` replaces
    ops; `exact` keeps off algorithms that trade the last digits for speed; the
    parameters in `at_once` learn in the adjoint that makes their gradient.
    """
    calls = trace(
        graph, outputs, shapes, owners, dtype, train, grads or {}, rules or {}, exact
    )
    needed = wanting(calls, deltas) if adjoint else set()
    groups = fuse(calls, set(outputs), needed)
    inside = homes(calls, groups, set(outputs), needed, ITEMSIZE[dtype])
    draft = Back(calls, groups, inside, needed, dtype, threads)
    draft.ahead(pinned=not train and not adjoint)
    if adjoint:
        draft.back(outputs, grads or {}, at_once)
    draft.keep(outputs, deltas)
    verify(draft.steps, draft.regions, draft.given)
    alias(draft.steps, draft.regions)
    total, peak = place(draft.regions)
    verify(draft.steps, draft.regions, draft.given)
    apart(draft.regions)
    return Plan(
        name,
        tuple(draft.steps),
        tuple(draft.regions),
        draft.inputs,
        tuple(draft.x[o] for o in outputs),
        tuple(draft.seeds),
        {d: draft.eps.get(d) for d in deltas},
        draft.g,
        draft.block,
        total,
        peak,
    )
