"""MNIST and Fashion-MNIST: IDX files, plain or gzip.

The format: two zero bytes, the type (8: unsigned bytes), the number of axes, the sizes
as big-endian 32-bit numbers, the data. Source: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..spec import DataError, entries
from .fetch import Remote, ensure
from .part import Part, Split

MOST = 1 << 31  # bytes of data: no file of either set comes near
NAMES = tuple("0123456789")
CLOTHES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
    "bag", "ankle boot",
)  # fmt: skip
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# the MD5 sums that the sets' authors and mirrors publish
MNIST = Remote(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION = Remote(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def read_idx(path: str | Path, axes: int | None = None) -> Any:
    """The uint8 array of an IDX file.

    Parameters
    ----------
    path
        The file; one that begins like gzip is unpacked.
    axes
        How many axes it must have.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "x")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     read_idx(path)
    array([7, 8, 9], dtype=uint8)
    """
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _parse(path, file, Path(path).stat().st_size, axes)
            with gzip.open(file) as inside:
                return _parse(path, inside, None, axes)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: its gzip stream is damaged: {error}") from None


def _parse(path: Any, file: Any, size: int | None, axes: int | None) -> Any:
    """The header, checked; then just as much data as it says, and the end."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise DataError(
            f"{path}: byte 0: expected an IDX file, which begins with 0 0 8 and its "
            f"number of axes, got {head.hex(' ') or 'nothing'}"
        )
    if head[2] != 8:
        raise DataError(
            f"{path}: byte 2: expected type 8, unsigned bytes, got {head[2]}"
        )
    if not 1 <= head[3] <= 4 or axes not in (None, head[3]):
        wanted = axes or "1 to 4"
        raise DataError(f"{path}: byte 3: expected {wanted} axes, got {head[3]}")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path}: byte {4 + len(sizes)}: it ends within its header")
    shape = struct.unpack(f">{head[3]}I", sizes)
    wanted, start = entries(shape), 4 + len(sizes)
    if not wanted:
        raise DataError(
            f"{path}: byte 4: its header promises {shape}, which is nothing"
        )
    if wanted > MOST:
        raise DataError(
            f"{path}: byte 4: its header promises {shape}, {wanted:,} bytes; more than "
            f"{MOST:,} are not read"
        )
    if size is not None and size != start + wanted:
        raise DataError(
            f"{path}: its header promises {shape}, so {start + wanted:,} bytes in all, "
            f"got {size:,}"
        )
    data = file.read(wanted)
    if len(data) != wanted or file.read(1):
        raise DataError(
            f"{path}: byte {start + len(data)}: its header promises {shape}, "
            f"{wanted:,} bytes of data, "
            + ("and it goes on" if len(data) == wanted else f"got {len(data):,}")
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def mnist(folder: str | Path, download: bool = False) -> Split:
    """MNIST: 70,000 handwritten digits, uint8 [n, 28, 28, 1].

    Y. LeCun, C. Cortes, C. Burges. The folder holds the four files under their usual
    names, with .gz or without.

    Parameters
    ----------
    folder
        Where they are, or where to put them.
    download
        Fetch what is missing.
    """
    return _read(Path(folder), download, MNIST, NAMES)


def fashion_mnist(folder: str | Path, download: bool = False) -> Split:
    """Fashion-MNIST: 70,000 pictures of clothes, uint8 [n, 28, 28, 1].

    H. Xiao, K. Rasul, R. Vollgraf, 2017. Files as for `mnist`.

    Parameters
    ----------
    folder
        Where they are, or where to put them.
    download
        Fetch what is missing.
    """
    return _read(Path(folder), download, FASHION, CLOTHES)


def _read(home: Path, download: bool, remote: Remote, classes: tuple[str, ...]) -> Any:
    parts = []
    for names in FILES.values():
        paths = []
        for name in names:
            plain = home / name
            packed = home / f"{name}.gz"
            paths.append(plain if plain.exists() else packed)
            if not plain.exists():
                ensure(packed, remote, download)
        images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"{paths[0]} has {len(images):,} images, {paths[1]} {len(labels):,} "
                "labels; expected as many, and at least one"
            )
        check_classes(paths[1], labels, len(classes), 8)
        parts.append(Part(images[..., None], labels.astype(np.int64), classes))
    return Split(*parts)


def check_classes(path: Any, labels: Any, classes: int, start: int) -> None:
    """Raise if a label is out of range; `start` is the byte of the first."""
    bad = np.flatnonzero(labels >= classes)
    if bad.size:
        raise DataError(
            f"{path}: byte {start + bad[0]}: expected a label from 0 to {classes - 1}, "
            f"got {labels[bad[0]]} ({bad.size} of {labels.size} are out of range)"
        )
