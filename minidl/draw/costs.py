"""What each node costs in a plan: MACs, bytes kept for the adjoint, the peak."""

from __future__ import annotations

from collections import Counter

from ..memory import root
from ..plan import Plan
from .label import Cost


def costs(plan: Plan) -> dict[str, Cost]:
    """The costs by node; those of nodes that run in the tail of another are its.

    A node keeps what its forward step writes and an adjoint step still needs.
    """
    regions = plan.regions
    macs: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    back = next((i for i, s in enumerate(plan.steps) if s.do == "adjoint"), None)
    counted = set()
    for step in plan.steps:
        macs[step.node] += step.macs
        if step.do != "forward" or back is None:
            continue
        for one in step.writes() - {step.scratch}:
            if regions[one].pitch:
                continue  # a part of a concatenation, which counts it
            one = root(regions, one)
            if one not in counted and regions[one].last >= back:
                counted.add(one)
                kept[step.node] += regions[one].bytes
    peak = plan.steps[plan.peak_step].node if plan.steps else None
    names = {step.node for step in plan.steps}
    return {name: Cost(macs[name], kept[name], name == peak) for name in names}
