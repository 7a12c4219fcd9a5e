"""Who may share memory, where it lies, and whether a plan is sound."""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .plan import Region, Step
from .spec import GraphError, SizeError
from .table import megabytes

ALIGN = 64  # bytes: one cache line, one AVX-512 vector


def root(regions: Sequence[Region], one: int) -> int:
    """The region that owns the memory of `one`."""
    while (of := regions[one].of) is not None:
        one = of
    return one


def alias(steps: Sequence[Step], regions: list[Region]) -> None:
    """Write over what is read for the last time, where the op allows it."""
    for i, step in enumerate(steps):
        for source, target, others in over(step):
            if source is None or target is None:
                continue
            old, new = root(regions, source), root(regions, target)
            a, b = regions[old], regions[new]
            apart = all(root(regions, r) != old for r in others if r is not None)
            if (
                a.last == i
                and b.first == i
                and old != new
                and apart
                and not a.pinned
                and a.bytes == b.bytes
                and regions[source].bytes == regions[target].bytes == a.bytes
            ):
                regions[new] = replace(b, of=old)
                regions[old] = replace(a, last=b.last)


def over(step: Step) -> Iterator[tuple[int | None, int | None, Sequence[int | None]]]:
    """What may be written over what, as far as the op goes: source, target, and what
    must lie elsewhere.

    An op reads what it adds to its result entry by entry, each before it writes there.
    """
    if step.do == "prepare":
        return
    if step.do == "adjoint":  # epsilon passes through a tail to what was added
        passed = [one for one in step.others() if one is not None]
        if step.op and step.op.inplace:
            yield step.epsilon, (*passed, *step.delta)[0], ()
        if step.add is not None:
            yield step.add, step.delta[0], (step.epsilon, *step.z)
        return
    others = step.others()
    if step.op is None or step.op.inplace:
        yield step.z[0], step.x, (*step.z[1:], *others)
    for k, one in enumerate(others):
        yield one, step.x, (*step.z, *others[:k], *others[k + 1 :])


def place(regions: list[Region]) -> tuple[int, int]:
    """Offsets for all regions, largest first, each at the lowest free place.

    Returns the size of the arena and a step at which the live regions fill the most.
    """
    roots = [i for i, one in enumerate(regions) if one.of is None and one.last >= 0]
    roots.sort(key=lambda i: (-regions[i].bytes, regions[i].first, i))
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last; in order
    live: dict[int, int] = {}
    for i in roots:
        one = regions[i]
        size, begin, last, at = one.bytes, one.first, one.last, 0
        for offset, end, other_begin, other_last in placed:
            if other_begin <= last and begin <= other_last:
                if offset - at >= size:
                    break
                if end > at:
                    at = end
        regions[i] = replace(one, offset=at)
        insort(placed, (at, _aligned(at + size), begin, last))
        for step, sign in ((begin, 1), (last + 1, -1)):
            live[step] = live.get(step, 0) + sign * size
    for i, one in enumerate(regions):
        owner = regions[root(regions, i)]
        shift, at_region = 0, i
        while regions[at_region].of is not None:
            shift += regions[at_region].shift
            at_region = regions[at_region].of  # type: ignore[assignment]
        regions[i] = replace(one, offset=owner.offset + shift)
    total = max((end for _, end, _, _ in placed), default=0)
    filled = most = peak = 0
    for step in sorted(live):
        filled += live[step]
        if filled > most:
            most, peak = filled, step
    return total, peak


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def verify(steps: Sequence[Step], regions: Sequence[Region], given: set[int]) -> None:
    """Every read follows a write, and falls into the lifetime of the memory."""
    ready = set(given)
    for i, step in enumerate(steps):
        for one in step.reads():
            source = one
            while source not in ready and regions[source].of is not None:
                source = regions[source].of  # type: ignore[assignment]
            if source not in ready:
                raise GraphError(
                    f"plan: step {i} ({step.node} {step.do}) reads "
                    f"{regions[one].name!r} before it is written"
                )
        ready |= step.writes()
        for one in step.reads() | step.writes():
            owner = regions[root(regions, one)]
            if not owner.first <= i <= owner.last:
                raise GraphError(
                    f"plan: step {i} ({step.node} {step.do}) uses "
                    f"{regions[one].name!r} outside its lifetime"
                )


def apart(regions: Sequence[Region]) -> None:
    """No two regions that are alive together overlap."""
    events: list[tuple[int, int, int]] = []
    for i, one in enumerate(regions):
        if one.of is None and one.last >= 0 and one.bytes:
            events += [(one.first, 1, i), (one.last + 1, 0, i)]
    alive: dict[int, tuple[int, int]] = {}
    for _, begins, i in sorted(events):
        if not begins:
            del alive[i]
            continue
        start = regions[i].offset
        stop = start + regions[i].bytes
        for other, (begin, end) in alive.items():
            if begin < stop and start < end:
                names = f"{regions[i].name!r} and {regions[other].name!r}"
                raise GraphError(f"plan: {names} overlap")
        alive[i] = start, stop


def affordable(name: str, needed: int) -> None:
    """Raise before allocating what the machine does not have."""
    memory = memory_size()
    if needed > memory:
        raise SizeError(
            f"{name}: needs {megabytes(needed)}, this machine has {megabytes(memory)}; "
            "use a smaller batch or a smaller input"
        )


def memory_size() -> int:
    """The physical memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62
