"""Arrays in a .safetensors file: a JSON header and the bytes behind it.

The format: eight bytes, the little-endian length of the header; the header, a JSON
object of name -> {dtype, shape, data_offsets}, with "__metadata__" of strings beside
them; the data, without a hole. Source: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..spec import CheckpointError

KINDS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}
MOST = 100_000_000  # bytes of a header, the format's own limit
AXES = 16


def write(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, whole or not at all."""
    head: dict[str, Any] = {"__metadata__": {"format": "minidl"}}
    blocks, at = [], 0
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        kind = NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise CheckpointError(
                f"{path}: {name} is {array.dtype}, which safetensors does not know"
            )
        # tobytes goes through the array in C order, whatever its strides are
        blocks.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
        span = [at, at + len(blocks[-1])]
        head[name] = {"dtype": kind, "shape": array.shape, "data_offsets": span}
        at = span[1]
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of eight
    files.write_atomic(path, struct.pack("<Q", len(text)) + text + b"".join(blocks))


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of a file; its header is believed in nothing."""
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            entries, start = _header(file, size)
            _covered(entries, size - start)
            found = {}
            for name, (kind, shape, begin, end) in entries.items():
                file.seek(start + begin)
                data = file.read(end - begin)
                found[name] = _array(kind, data, shape)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot be read: {reason}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: is not a sound safetensors file: {error}"
        ) from None
    return found


Entry = tuple[str, tuple[int, ...], int, int]


def _array(kind: str, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The array; a bfloat16 is the upper half of a float32."""
    if kind == "BF16":
        wide = np.frombuffer(data, "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(shape)
    return np.frombuffer(bytearray(data), KINDS[kind]).reshape(shape)


def _header(file: Any, size: int) -> tuple[dict[str, Entry], int]:
    """The entries, and where the data begin; a ValueError says what is wrong."""
    first = file.read(8)
    if len(first) < 8:
        raise ValueError(f"byte 0: expected the length of its header, got {size} bytes")
    (length,) = struct.unpack("<Q", first)
    if length > MOST or 8 + length > size:
        raise ValueError(
            f"byte 0: says that its header has {length:,} bytes; the file has {size:,}"
        )
    head = json.loads(file.read(length), object_pairs_hook=_once)
    if not isinstance(head, dict):
        raise ValueError("byte 8: expected a JSON object")
    head.pop("__metadata__", None)
    entries: dict[str, Entry] = {}
    for name, about in head.items():
        if not isinstance(about, dict) or not about.keys() >= {
            "dtype", "shape", "data_offsets",
        }:  # fmt: skip
            raise ValueError(f"{name}: expected dtype, shape and data_offsets")
        kind, shape, span = (about[k] for k in ("dtype", "shape", "data_offsets"))
        if kind != "BF16" and (not isinstance(kind, str) or kind not in KINDS):
            raise ValueError(f"{name}: the type {kind!r} is not known")
        if not _counts(shape) or len(shape) > AXES:
            raise ValueError(f"{name}: the shape {str(shape)[:60]} is none")
        if not _counts(span) or len(span) != 2:
            raise ValueError(f"{name}: data_offsets: expected two numbers")
        begin, end = span
        bytes_each = 2 if kind == "BF16" else np.dtype(KINDS[kind]).itemsize
        wanted = math.prod(shape) * bytes_each
        if end - begin != wanted:
            raise ValueError(
                f"{name}: {shape} of {kind} is {wanted:,} bytes, its data_offsets are "
                f"{begin} to {end}"
            )
        entries[name] = kind, tuple(shape), begin, end
    return entries, 8 + length


def _counts(values: Any) -> bool:
    """Whether these are whole numbers from 0 on."""
    return isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 1 << 48
        for v in values
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names must differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {double!r} is there twice")
    return found


def _covered(entries: Mapping[str, Entry], size: int) -> None:
    """The data must be covered from end to end, nothing twice."""
    at = 0
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda e: e[1][2:]):
        if begin != at:
            what = "overlap those before" if begin < at else f"leave a hole at {at}"
            raise ValueError(f"{name}: its data_offsets {begin} to {end} {what}")
        at = end
    if at != size:
        raise ValueError(f"its header has {at:,} bytes of data, the file {size:,}")
