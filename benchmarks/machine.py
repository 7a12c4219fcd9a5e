"""What a measurement was taken on."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def model() -> str:
    """The name of the CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line for line in text.splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def facts(isa: str | None = None) -> dict[str, Any]:
    """The machine, the system, minidl's level and the date."""
    from minidl._ext import level, levels

    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model(), "cores": cores(), "memory": pages,
        "levels": levels(), "level": isa or level(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(), "numpy": np.__version__,
        "load": os.getloadavg()[0],  # of others, when it began
        "date": datetime.date.today().isoformat(),
    }  # fmt: skip
