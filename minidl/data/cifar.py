"""CIFAR-10 and CIFAR-100: the binary version, unpacked or as its tar.gz. No pickle.

A record is a label (CIFAR-100: a coarse and a fine one) and 3,072 bytes: the red, the
green and the blue plane of 32x32 pixels. Source: A. Krizhevsky, "Learning multiple
layers of features from tiny images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..spec import DataError
from .fetch import Remote, ensure
from .idx import check_classes
from .part import Part, Split

PIXELS = 32 * 32 * 3
MOST = 1 << 28  # bytes of one file of records
NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
    "truck",
)  # fmt: skip
TEN = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)
HUNDRED = ("train.bin",), ("test.bin",)
REMOTE = Remote(
    "https://www.cs.toronto.edu/~kriz/",
    {
        "cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-100-binary.tar.gz": "md5:03b5dce01913d631647c71ecec9e9cb8",
    },
)


def cifar10(folder: str | Path, download: bool = False) -> Split:
    """CIFAR-10: 60,000 photographs in 10 classes, uint8 [n, 32, 32, 3].

    Parameters
    ----------
    folder
        It holds data_batch_1.bin to data_batch_5.bin and test_batch.bin, or
        cifar-10-binary.tar.gz.
    download
        Fetch the archive if neither is there.
    """
    home = Path(folder)
    return _split(home, TEN, "cifar-10-binary.tar.gz", 1, NAMES, download)


def cifar100(folder: str | Path, download: bool = False) -> Split:
    """CIFAR-100: 60,000 photographs in 100 (fine) classes, uint8 [n, 32, 32, 3].

    Parameters
    ----------
    folder
        It holds train.bin and test.bin, or cifar-100-binary.tar.gz.
    download
        Fetch the archive if neither is there.
    """
    home = Path(folder)
    names = tuple(map(str, range(100)))
    return _split(home, HUNDRED, "cifar-100-binary.tar.gz", 2, names, download)


def read_records(path: str | Path, data: bytes, labels: int, classes: int) -> Part:
    """Records of `labels` bytes and a picture each; the last of the labels counts."""
    record = labels + PIXELS
    count, rest = divmod(len(data), record)
    if rest or not count:
        raise DataError(
            f"{path}: byte {count * record}: expected records of {record:,} bytes, got "
            f"{len(data):,} bytes, which is {count:,} records and {rest:,} bytes"
        )
    rows = np.frombuffer(data, np.uint8).reshape(count, record)
    found = rows[:, labels - 1]
    bad = np.flatnonzero(found >= classes)
    if bad.size:
        check_classes(path, found[bad[:1]], classes, bad[0] * record + labels - 1)
    images = rows[:, labels:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
    return Part(np.ascontiguousarray(images), found.astype(np.int64))


def _split(
    home: Path,
    files: Any,
    archive: str,
    labels: int,
    names: tuple[str, ...],
    download: bool,
) -> Split:
    every = [name for group in files for name in group]
    if all((home / name).exists() for name in every):
        found = {name: _bytes(home / name) for name in every}
        where = home
    else:
        where = home / archive
        ensure(where, REMOTE, download)
        found = _members(where, every)
    parts = []
    for group in files:
        each = [
            read_records(where / name, found[name], labels, len(names))
            for name in group
        ]
        images = np.concatenate([one.images for one in each])
        parts.append(Part(images, np.concatenate([one.labels for one in each]), names))
    return Split(*parts)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST:
            raise DataError(f"{path}: is longer than {MOST:,} bytes; not read")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _members(path: Path, wanted: list[str]) -> dict[str, bytes]:
    """Some files of a tar.gz, read where they lie: nothing is ever unpacked."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name not in wanted or not member.isfile():
                    continue
                if name in found:
                    raise DataError(f"{path}: holds {name} twice")
                if member.size > MOST:
                    raise DataError(
                        f"{path}: {name} is {member.size:,} bytes; more than {MOST:,} "
                        "are not read"
                    )
                stream = archive.extractfile(member)
                found[name] = stream.read() if stream else b""
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is not a sound tar.gz: {error}") from None
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(f"{path}: holds no {', '.join(missing)}")
    return found
