"""What a person sees of a run while it goes: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

WIDTH = 24  # characters of the bar
PAUSE = 0.1  # seconds between two pictures of it


def seconds(n: float) -> str:
    """A time as people say it.

    Examples
    --------
    >>> seconds(7.2), seconds(95), seconds(7300)
    ('7.2 s', '1 min 35 s', '2 h 1 min')
    """
    if n < 60:
        return f"{n:.1f} s" if n < 10 else f"{n:.0f} s"
    minutes, rest = divmod(round(n), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Reporter:
    """Lines for good and, on a terminal, one line that moves.

    Parameters
    ----------
    log
        Called with each line, instead of writing it to `stream`; then nothing moves.
    stream
        Where to write; stderr. Where it is gone, a terminal that was closed or a pipe
        that nobody reads, nothing is written: a run does not end for that.
    """

    def __init__(
        self, log: Callable[[str], object] | None = None, stream: TextIO | None = None
    ) -> None:
        self.stream: Any = stream or sys.stderr
        self.log = log
        tty = getattr(self.stream, "isatty", lambda: False)()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.moves = log is None and tty and not plain
        self.shown = 0.0

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.log is not None:
            self.log(text)
            return
        clear = "\r\x1b[K" if self.moves else ""
        self._write(f"{clear}{text}\n")

    def _write(self, text: str) -> None:
        try:
            if self.stream is not None:
                self.stream.write(text)
                self.stream.flush()
        except (OSError, ValueError):  # broken, or closed
            self.stream, self.moves = None, False

    def bar(self, label: str, done: int, of: int, rest: str) -> None:
        """The line that moves, at most ten times a second."""
        now = time.perf_counter()
        if not self.moves or now - self.shown < PAUSE:
            return
        self.shown = now
        full = WIDTH * done // of
        picture = "█" * full + "·" * (WIDTH - full)
        self._write(f"\r\x1b[K{label} {picture} {done}/{of}  {rest}")

    def clear(self) -> None:
        """Leave no bar where another text begins."""
        if self.moves:
            self._write("\r\x1b[K")
