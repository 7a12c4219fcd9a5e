"""Writing files so that a failure leaves the old one as it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .spec import DataError

AnyPath = str | os.PathLike[str]
Data = bytes | Sequence[Any]  # or pieces of it, such as memoryviews


def write_atomic(path: AnyPath, data: Data) -> None:
    """Write a new file beside `path`, flush it to the disk, then rename it over `path`.

    What is no regular file, a pipe or /dev/stdout, is written to directly.
    """
    _write(path, data)


def writable(path: AnyPath) -> None:
    """Raise now if `write_atomic` would; the file stays as it is."""
    _write(path, None)


def _sync(folder: Path) -> None:
    """Flush a folder's list of names to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: AnyPath, data: Data | None) -> None:
    pieces: Sequence[Any] = [data] if isinstance(data, bytes) else data or []
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"expected a path to write to, got {type(path).__name__}")
    try:
        target = Path(os.path.realpath(path))
        new = target.with_name(f".{target.name}.{os.getpid()}.new")
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                file.writelines(pieces)
            return
        new.unlink(missing_ok=True)  # of a process of this number that was killed
        try:
            with new.open("xb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            if data is not None:
                new.replace(target)
                _sync(target.parent)  # the new name is on the disk too
        finally:
            new.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # a ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot write {os.fspath(path)!r}: {reason}; nothing was changed; choose "
            "a path in a folder that exists, is writable and has space"
        ) from None
