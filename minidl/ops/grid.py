"""Where a product's rows come from and go to: the geometry of a convolution.

A convolution is one Grid (per group); its transpose is one per phase of the stride.
Everything is an integer known when the plan is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

Pair = tuple[int, int]
MERGE = 16  # fewer channels than this: a row of taps is one run of a bordered copy
BESIDE = (4, 2, 1)  # positions in a row of the product, if it is no wider than that


@dataclass(frozen=True)
class Grid:
    """Rows of a product: position (i, j) of image n, the taps t of the source.

        row (n, i, j), entry (t, l) = source[n, i step + tap_t, l + channel]
        goes to target[n, i spread + start, into ... into + filters]

    Where filters are few, a row holds positions `beside` each other, which read the
    same run: for each tap and position there is an offset, or -1 where all is zero.
    """

    source: tuple[int, int, int, int]  # n h w c
    target: tuple[int, int, int, int]
    positions: Pair
    step: Pair
    taps: tuple[Pair, ...]
    run: int  # numbers per tap, contiguous from the tap on
    filters: int
    offsets: tuple[int, ...]  # where the weights of each tap [and position] begin
    spread: Pair = (1, 1)
    start: Pair = (0, 0)
    channel: int = 0
    into: int = 0
    merged: bool = False
    beside: int = 1

    @property
    def inner(self) -> int:
        """The length of a row."""
        return len(self.taps) * self.run


@dataclass(frozen=True)
class Geometry:
    """A convolution of n images h x w x c with filters [kh, kw, c / groups, f]."""

    n: int
    size: Pair
    out: Pair
    c: int
    f: int
    kernel: Pair
    stride: Pair
    dilation: Pair
    pad: tuple[Pair, Pair]
    groups: int
    flip: bool

    def _offset(self, r: int, s: int) -> int:
        """Where the weights [r, s] begin, as correlation reads them."""
        kh, kw = self.kernel
        if self.flip:
            r, s = kh - 1 - r, kw - 1 - s
        return (r * kw + s) * (self.c // self.groups) * self.f

    @property
    def merged(self) -> bool:
        """Whether a row of taps is read as one run: it must not reach over a border."""
        free = not self.padded or self.c < MERGE
        return free and self.groups == 1 and self.dilation[1] == 1

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any(map(any, self.pad))

    @property
    def copied(self) -> bool:
        """Whether the forward grids read a copy with a border."""
        return self.merged and self.padded

    @property
    def bordered(self) -> tuple[int, int, int, int]:
        """The shape with the padding."""
        (top, bottom), (left, right) = self.pad
        return self.n, self.size[0] + top + bottom, self.size[1] + left + right, self.c

    def plain(self) -> Geometry:
        """The same as a dense layer if a window is the whole image: w is [h w c, f]."""
        if self.kernel != self.size or self.padded or self.groups > 1 or self.flip:
            return self
        one = (1, 1)
        return replace(
            self, size=one, out=one, kernel=one, stride=one, dilation=one,
            c=self.c * self.kernel[0] * self.kernel[1],
        )

    def frame(self) -> dict[str, Any]:
        """The windows, as the kernels of im2col want to know them."""
        sides = zip(
            self.size, self.kernel, self.stride, self.dilation, self.pad, self.out,
            strict=True,
        )
        h, w = (
            {"size": size, "kernel": k, "stride": s, "dilation": d, "before": before,
             "after": after, "count": count}
            for size, k, s, d, (before, after), count in sides
        )
        return {"n": self.n, "c": self.c, "h": h, "w": w}

    @property
    def beside(self) -> int:
        """How many positions share a row of the product."""
        few = [
            p for p in BESIDE
            if p * self.f <= MERGE and self.out[1] % p == 0
            and (p - 1) * self.stride[1] < self.kernel[1]
        ]
        return few[0] if few and self.merged else 1

    def forward(
        self, groups: int | None = None, beside: int | None = None
    ) -> list[Grid]:
        """im2col(z) w: one grid a group, of all groups or of the first few."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        (top, _), (left, _) = self.pad
        offsets = tuple(self._offset(r, s) for r, s in product(range(kh), range(kw)))
        target = (self.n, *self.out, self.f)
        if self.merged:
            taps = tuple((r * dh, 0) for r in range(kh))
            (rows, cols), (down, right) = self.out, self.stride
            p = beside or self.beside
            wide = kw + (p - 1) * right
            offsets = tuple(
                offsets[r * kw + s - q * right] if 0 <= s - q * right < kw else -1
                for r, s, q in product(range(kh), range(wide), range(p))
            )
            return [
                Grid(self.bordered, (self.n, rows, cols // p, p * self.f),
                     (rows, cols // p), (down, right * p), taps, wide * self.c,
                     p * self.f, offsets, merged=True, beside=p)
            ]
        taps = tuple(
            (r * dh - top, s * dw - left) for r, s in product(range(kh), range(kw))
        )
        one = Grid(
            (self.n, *self.size, self.c), target, self.out, self.stride, taps,
            self.c // self.groups, self.f // self.groups, offsets,
        )
        return [self._group(one, k) for k in range(groups or self.groups)]

    def _group(self, grid: Grid, k: int) -> Grid:
        into = k * (self.f // self.groups)
        return replace(
            grid, channel=k * (self.c // self.groups), into=into,
            offsets=tuple(o + into for o in grid.offsets),
        )

    def transposed(self, groups: int | None = None) -> list[Grid]:
        """The transpose: one grid a phase of the stride and group, as in `forward`.

        Pixel y of delta is reached from position i by tap r if y + top = i s + r d;
        for the pixels y = p + s q that is i = q + (p + top - r d) / s.
        """
        (kh, kw), (dh, dw), (sh, sw) = self.kernel, self.dilation, self.stride
        (top, _), (left, _) = self.pad
        grids = []
        for p, q in product(range(sh), range(sw)):
            rows = max(0, -(-(self.size[0] - p) // sh))
            cols = max(0, -(-(self.size[1] - q) // sw))
            down = [(r, (p + top - r * dh) // sh) for r in range(kh)
                    if (p + top - r * dh) % sh == 0]
            right = [(s, (q + left - s * dw) // sw) for s in range(kw)
                     if (q + left - s * dw) % sw == 0]
            taps = tuple((i, j) for (_, i), (_, j) in product(down, right))
            offsets = tuple(
                self._offset(r, s) for (r, _), (s, _) in product(down, right)
            )
            for k in range(groups or self.groups):
                into = k * (self.f // self.groups)
                grids.append(
                    Grid(
                        (self.n, *self.out, self.f), (self.n, *self.size, self.c),
                        (rows, cols), (1, 1), taps, self.f // self.groups,
                        self.c // self.groups, tuple(o + into for o in offsets),
                        self.stride, (p, q), into, k * (self.c // self.groups),
                    )
                )
        return grids
