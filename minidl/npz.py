"""Arrays by name in one .npz file: written whole or not at all, checked when read.

An .npz is a zip of .npy files, uncompressed; the zip keeps a CRC-32 of each. One more
entry is the SHA-256 over the names and bytes of all others.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import files
from .spec import CheckpointError, entries

SUM = "minidl.sha256"
EXPANDS = 100  # times the size of the file: what more than that unpacks to is refused
SMALL = 1 << 26  # bytes: up to here anything may unpack to
MOST = 1 << 20  # bytes of a header


def digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The SHA-256 over names, types, shapes and bytes, as 32 bytes."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return np.frombuffer(found.digest(), np.uint8)


def write(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays and their checksum."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{**arrays, SUM: digest(arrays)})
    files.write_atomic(path, [buffer.getbuffer()])


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of an .npz, after its sizes and checksums were looked at."""
    try:
        with zipfile.ZipFile(path) as file:
            found = _entries(file, Path(path).stat().st_size)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot be read: {reason}") from None
    except (
        ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError, zlib.error,
        NotImplementedError, RuntimeError, SyntaxError, TypeError, OverflowError,
        MemoryError, RecursionError, IndexError, tokenize.TokenError,
    ) as error:  # fmt: skip  # all that zipfile and numpy.lib.format are known to raise
        raise CheckpointError(
            f"{path}: is not a file of weights (.npz): {error or type(error).__name__}"
        ) from None
    sum = found.pop(SUM, None)
    if sum is not None and not np.array_equal(sum, digest(found)):
        raise CheckpointError(
            f"{path}: its checksum is not that of its content: the file is damaged; "
            "take an older one"
        )
    return found


def _entries(file: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    """The arrays of a zip; a ValueError says what is wrong."""
    found: dict[str, np.ndarray] = {}
    infos = file.infolist()
    unpacked = sum(one.file_size for one in infos)
    if unpacked > max(SMALL, EXPANDS * size):
        raise ValueError(f"{size:,} bytes would unpack to {unpacked:,}")
    for one in infos:
        name = one.filename.removesuffix(".npy")
        if name == one.filename:
            raise ValueError(f"the entry {one.filename!r} is not a .npy")
        if name in found:
            raise ValueError(f"the entry {name!r} is there twice")
        found[name] = _array(file, one, name)
    return found


def _array(file: zipfile.ZipFile, one: zipfile.ZipInfo, name: str) -> np.ndarray:
    """One array, its header checked against the entry's size before it is read."""
    with file.open(one) as stream:
        version = np.lib.format.read_magic(stream)
        header: Any = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise ValueError(f"{name}: format {version} of .npy is not known")
        shape, fortran, dtype = header(stream, max_header_size=MOST)
        if dtype.hasobject:
            raise ValueError(f"{name}: holds Python objects, which are not read")
        wanted = entries(shape) * dtype.itemsize
        if any(n < 0 for n in shape) or wanted > one.file_size:
            raise ValueError(
                f"{name}: says {shape} of {dtype}, {wanted:,} bytes, but has "
                f"{one.file_size:,}"
            )
        data = stream.read(wanted)
        if len(data) != wanted or stream.read(1):
            raise ValueError(f"{name}: expected {wanted:,} bytes of data")
    array = np.frombuffer(bytearray(data), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def assign(
    mine: Mapping[str, np.ndarray],
    given: Mapping[str, np.ndarray],
    path: str,
    name: str,
) -> None:
    """Copy arrays into those of the same names, if all fit; else change nothing."""
    wrong = misfits(mine, given)
    if wrong:
        raise CheckpointError(
            f"{path}: does not fit {name}; nothing was loaded: {'; '.join(wrong[:12])}"
            + (f"; and {len(wrong) - 12} more" if len(wrong) > 12 else "")
        )
    for key, array in given.items():
        mine[key][...] = array


def misfits(
    mine: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]
) -> list[str]:
    """What is missing, unknown, or of another shape or type, by name."""
    wrong = [f"{name} is missing" for name in mine.keys() - given.keys()]
    wrong += [f"{name} is unknown" for name in given.keys() - mine.keys()]
    for name in mine.keys() & given.keys():
        here, there = mine[name], given[name]
        if here.shape != there.shape or here.dtype.kind != there.dtype.kind:
            wrong.append(
                f"{name}: expected {here.shape} {here.dtype}, got {there.shape} "
                f"{there.dtype}"
            )
    return sorted(wrong)
