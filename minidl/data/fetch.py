"""Files from their public places, when asked for, and only the right ones."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from ..spec import DataError

MOST = 1 << 30  # bytes of one file
MIRROR = "MINIDL_MIRROR"  # the environment variable that names another place


@dataclass(frozen=True)
class Remote:
    """Where the files of a set are, and the checksum of each, "md5:..." """

    base: str
    sums: Mapping[str, str]


def ensure(path: Path, remote: Remote, download: bool) -> None:
    """Let a file be there: fetched if asked for; its checksum compared in that case."""
    if path.exists():
        return
    url = f"{os.environ.get(MIRROR) or remote.base}{path.name}"
    if not download:
        raise DataError(
            f"{path}: there is no such file; put it there, or ask for it with "
            f"download=True (on the command line --download), which reads {url}"
        )
    fetch(url, path, remote.sums[path.name])


def fetch(url: str, path: Path, sum: str) -> None:
    """Read a file over HTTP; it gets its name when its checksum has been compared."""
    kind, _, wanted = sum.partition(":")
    found = hashlib.new(kind, usedforsecurity=False)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        # the places are those above, or what the user's own mirror variable names
        with urllib.request.urlopen(url, timeout=60) as source, new.open("xb") as file:
            while data := source.read(1 << 16):
                size += len(data)
                if size > MOST:
                    raise DataError(f"{url}: is longer than {MOST:,} bytes; stopped")
                found.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != wanted:
            raise DataError(
                f"{url}: expected a file with the {kind} sum {wanted}, got "
                f"{found.hexdigest()} of {size:,} bytes; nothing was kept"
            )
        new.replace(path)
    except (OSError, URLError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url}: cannot be fetched: {reason}") from None
    finally:
        new.unlink(missing_ok=True)
