"""The history of a run as files: CSV, JSON lines, a picture, TensorBoard's events.

All are written anew after each epoch from the whole history, so a run that was stopped
and resumed leaves the same files as one that was not.
"""

from __future__ import annotations

import csv
import io
import json
import os
import struct
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from . import files
from .curves import picture
from .resume import Epoch
from .spec import DataError


def write(folder: str | Path, name: str, rows: Sequence[Epoch]) -> None:
    """log.csv, log.jsonl and curves.svg in a folder."""
    home = begin(folder)
    files.write_atomic(home / "log.csv", as_csv(rows).encode())
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    files.write_atomic(home / "log.jsonl", lines.encode())
    files.write_atomic(home / "curves.svg", picture(name, rows).encode())
    files.write_atomic(home / "events.out.tfevents.0.minidl", events(rows))


def begin(folder: str | Path) -> Path:
    """The folder, made where there is none; raise now if it cannot be written to."""
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a ValueError: a null byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot make the folder {os.fspath(folder)!r}: {reason}; choose another"
        ) from None
    files.writable(home / "log.csv")
    return home


def as_csv(rows: Sequence[Epoch]) -> str:
    """A head and a line for each epoch; what was not measured is empty.

    Examples
    --------
    >>> print(as_csv([Epoch(1, 0.5, 0.1, 2.0)]), end="")
    epoch,loss,lr,seconds,accuracy,top5,held_loss
    1,0.5,0.1,2.0,,,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [one.name for one in fields(Epoch)]
    writer.writerow(heads)
    writer.writerows([getattr(row, head) for head in heads] for row in rows)
    return text.getvalue()


# -- TensorBoard -----------------------------------------------------------------------
# A file of events is a sequence of records: the length, its masked CRC-32C, the bytes,
# their masked CRC-32C. The bytes are an Event in protobuf's wire format: wall_time
# (field 1, a double), step (2), file_version (3) or summary (5), whose values (1) hold
# a tag (1) and a simple_value (2, a float). Source: TensorFlow's event.proto,
# summary.proto and record_writer.


def events(rows: Sequence[Epoch]) -> bytes:
    """The history as TensorBoard reads it; the time of an event is the time spent."""
    spent = 0.0
    found = [record(double(1, spent) + chunk(3, b"brain.Event:2"))]
    for row in rows:
        spent += row.seconds
        values = b"".join(
            chunk(1, chunk(1, name.encode()) + b"\x15" + struct.pack("<f", value))
            for name, value in asdict(row).items()
            if name not in ("epoch", "seconds") and value is not None
        )
        step = b"\x10" + varint(row.epoch)
        found.append(record(double(1, spent) + step + chunk(5, values)))
    return b"".join(found)


def varint(n: int) -> bytes:
    """Seven bits at a time, the least first; the high bit says that more come."""
    found = b""
    while n > 127:
        found += bytes([n & 127 | 128])
        n >>= 7
    return found + bytes([n])


def chunk(field: int, data: bytes) -> bytes:
    """A field of bytes."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def double(field: int, value: float) -> bytes:
    """A field of eight bytes."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def record(data: bytes) -> bytes:
    """One record."""
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def checksum(data: bytes) -> bytes:
    """CRC-32C (Castagnoli), rotated and shifted as TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def _entry(n: int) -> int:
    for _ in range(8):
        n = n >> 1 ^ 0x82F63B78 * (n & 1)
    return n


TABLE = tuple(map(_entry, range(256)))
