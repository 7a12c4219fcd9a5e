"""The plan as a picture: when each buffer is alive, and where in the arena it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..graph import show
from ..memory import root
from ..plan import Plan, Step
from ..table import megabytes
from .drawing import MARGIN, TEXT
from .label import ROOMS, clean, width
from .legend import heading, key, ticks
from .picture import Line, Picture, Rect, Shape, Text

SMALL = 9  # font size
HIGH, FILL = 460, 64  # heights: of the arena, of the bytes that are alive
SIDE = 66  # left of it: bytes
WIDE, STEP = (720, 1800), 24  # the plot's width: at most so much a step
USES = {  # what memory is for -> its colour
    "input": "data", "x": "linear", "tape": "act", "epsilon": "loss",
    "gradients": "norm", "packed weights": "shape", "scratch": "other",
}  # fmt: skip


@dataclass(frozen=True)
class Buffer:
    """Memory that one or more arrays share: from when to when, and from where."""

    use: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    first: int
    last: int
    offset: int
    bytes: int


def buffers(plan: Plan) -> list[Buffer]:
    """All that lies in the arena, in the order of the regions."""
    use: dict[int, str] = dict.fromkeys(plan.inputs.values(), "input")
    use |= dict.fromkeys(plan.seeds, "epsilon")
    if plan.block is not None:
        use[plan.block] = "gradients"
    for step in plan.steps:
        for one, what in _uses(step):
            if isinstance(one, int):
                use.setdefault(one, what)
    members: dict[int, list[int]] = {}
    for i, region in enumerate(plan.regions):
        if region.last >= 0 and region.bytes:
            members.setdefault(root(plan.regions, i), []).append(i)
    found = []
    for at, alike in members.items():
        area = plan.regions[at]
        names = dict.fromkeys(plan.regions[i].name for i in (at, *alike))
        what = use.get(at) or next((use[i] for i in alike if i in use), "scratch")
        found.append(
            Buffer(what, (*names,), area.shape, area.first, area.last, area.offset,
                   area.bytes)
        )  # fmt: skip
    return found


def _uses(step: Step) -> Iterator[tuple[int | str | None, str]]:
    """What the regions that a step writes are for."""
    yield step.scratch, "scratch"
    if step.do == "prepare":
        yield from ((one, "packed weights") for one in step.theta.values())
    elif step.do == "forward":
        yield step.x, "x"
        yield from ((one, "tape") for one in step.tape.values())
    elif step.do == "adjoint":
        yield from ((one, "gradients") for one in step.g.values())
        yield from ((one, "epsilon") for one in (*step.delta, *step.others()))
    else:
        yield step.x, "epsilon"


def alive(plan: Plan) -> list[int]:
    """How many bytes are in use at each step, and after the last one."""
    change = [0] * (len(plan.steps) + 2)
    for one in buffers(plan):
        change[one.first] += one.bytes
        change[one.last + 1] -= one.bytes
    total, found = 0, []
    for more in change[:-1]:
        total += more
        found.append(total)
    return found


def lifetimes(plan: Plan, title: str) -> Picture:
    """Steps from left to right, the arena from bottom to top, a box per buffer."""
    found, filled = buffers(plan), alive(plan)
    columns = max(len(plan.steps) + 1, 1)
    step = min(max(WIDE[0] / columns, min(WIDE[1] / columns, STEP)), 90)
    wide = step * columns
    back = next((i for i, s in enumerate(plan.steps) if s.do == "adjoint"), None)
    peak = min(plan.peak_step, len(plan.steps) - 1)
    where = ""
    if plan.steps:
        at = plan.steps[peak]
        where = f", the most of it ({megabytes(filled[peak])}) in use at step {peak}, "
        where += f"{at.do} of {clean(at.node)}"
    what = "inference" if back is None else "a forward and adjoint pass"
    lines = [
        f"{what}: {len(plan.steps)} steps, an arena of {megabytes(plan.bytes)}{where}"
    ]
    shapes, top, edge = heading(title, lines)
    used = [use for use in USES if any(one.use == use for one in found)]
    legend, top, right = key([(USES[use], use) for use in used], MARGIN, top)
    shapes += legend
    left, top = MARGIN + SIDE, top + 26
    shapes += _axes(plan.bytes, left, top, wide)
    scale, names = HIGH / max(plan.bytes, 1), list[Shape]()
    for one in found:
        x, high = left + one.first * step, one.bytes * scale
        y = top + HIGH - one.offset * scale - high
        across = (one.last - one.first + 1) * step
        thick = min(0.8, high / 4)
        shapes.append(
            Rect(x, y, across, high, USES[one.use], 0, _hover(one, plan), thick)
        )
        names += _names(one, x, y, across, high)
    low = top + HIGH + 24 + FILL
    shapes += _filled(filled, max(plan.bytes, 1), left, low, step)
    shapes += _steps(plan, left, low + 8, step)
    if back is not None:
        x = left + back * step
        shapes.append(Line((x, top - 16), (("L", ((x, low + 20),)),), dashed=True,
                           thick=1))  # fmt: skip
        shapes.append(Text(x - 6, top - 7, (("forward", TEXT, "soft"),), "end"))
        shapes.append(Text(x + 6, top - 7, (("adjoint", TEXT, "soft"),), "start"))
    shapes += names
    if plan.steps:
        x = left + (peak + 0.5) * step
        shapes.append(Line((x, top), (("L", ((x, low),)),), "peak", thick=1.6))
        words = f"peak: {clean(plan.steps[peak].node)}, {megabytes(filled[peak])}"
        half = width(words, TEXT) / 2 + 4
        middle = min(max(x, left + half), left + wide - half)
        shapes.append(Rect(middle - half, top + HIGH + 4, 2 * half, 17, "ground", 3))
        shapes.append(Text(middle, top + HIGH + 16, ((words, TEXT, "ink"),)))
    edge = max(edge, right, left + wide)
    return Picture(title, edge + MARGIN, low + 46, tuple(shapes))


def _axes(total: int, left: float, top: float, wide: float) -> Iterator[Shape]:
    """Lines across the arena at round numbers of bytes."""
    for value in ticks(total):
        y = top + HIGH - value * HIGH / max(total, 1)
        yield Line((left, y), (("L", ((left + wide, y),)),), "grid", thick=1)
        words = ((megabytes(value) if value else "0", SMALL, "soft"),)
        yield Text(left - 6, y + 3, words, "end")


def _names(
    one: Buffer, x: float, y: float, across: float, high: float
) -> Iterator[Shape]:
    """What a box says, if it has room for it."""
    name, size = clean(one.names[0]), megabytes(one.bytes)
    if high < SMALL + 3 or width(name, SMALL) + 6 > across:
        return
    both = high >= 2 * SMALL + 8 and width(size, SMALL) + 6 <= across
    base = y + high / 2 + SMALL * (-0.25 if both else 0.35)
    yield Text(x + across / 2, base, ((name, SMALL, "ink"),))
    if both:
        yield Text(x + across / 2, base + SMALL + 2, ((size, SMALL, "soft"),))


def _hover(one: Buffer, plan: Plan) -> str:
    """All that is known of a buffer."""
    names = ", then ".join(map(clean, one.names))
    last = f"to {one.last}" if one.last < len(plan.steps) else "to the end"
    return (
        f"{names}: {one.use}, {show(one.shape)}, {megabytes(one.bytes)} at byte "
        f"{one.offset:,}, steps {one.first} {last}"
    )


def _filled(
    filled: list[int], total: int, left: float, low: float, step: float
) -> Iterator[Shape]:
    """The bytes in use as a curve with steps."""
    points = [(left, low)]
    for i, value in enumerate(filled):
        y = low - value * FILL / total
        points += [(left + i * step, y), (left + (i + 1) * step, y)]
    points.append((left + len(filled) * step, low))
    pieces = tuple(("L", (point,)) for point in points[1:])
    yield Line(points[0], pieces, "linear", filled=True, title="bytes in use", thick=1)
    yield Text(left - 6, low - FILL / 2 + 3, (("in use", SMALL, "soft"),), "end")


def _steps(plan: Plan, left: float, y: float, step: float) -> Iterator[Shape]:
    """A strip of the steps, in the colours of their ops, with numbers below."""
    for i, one in enumerate(plan.steps):
        room = type(one.op).__module__.rpartition(".")[2] if one.op else "sum"
        what = one.op.kind if one.op else "sum"
        title = f"step {i}: {one.do} of {clean(one.node)}, {what}"
        yield Rect(left + i * step, y, step, 9, ROOMS.get(room, "other"), 0, title, 0.5)
    yield Text(left - 6, y + 8, (("step", SMALL, "soft"),), "end")
    for value in ticks(max(len(plan.steps) - 1, 0)):
        words = ((f"{value}", SMALL, "soft"),)
        yield Text(left + (value + 0.5) * step, y + 20, words)
