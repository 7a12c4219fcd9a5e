"""PNG: the PDF as pixels (extra `draw`)."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Error
from .pdf import UNIT, pdf
from .picture import Picture

SHARP = 2  # pixels of the file in a pixel of the picture
MOST = 100_000_000  # pixels: a larger picture is made less sharp
STRIP = 1024  # rows that are held at a time


def png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    try:
        import pypdfium2
    except ImportError:
        raise Error(
            "draw: .png needs pypdfium2: pip install 'minidl[draw]'; .svg and .pdf "
            "need nothing"
        ) from None
    document = pypdfium2.PdfDocument(pdf(picture))
    try:
        page = document[0]
        wide, high = page.get_size()
        sharp = min(SHARP / UNIT, (MOST / (wide * high)) ** 0.5)
        columns, rows = math.ceil(wide * sharp), math.ceil(high * sharp)
        packer = zlib.compressobj(6)
        data = b"".join(packer.compress(s) for s in _strips(page, sharp, rows))
        data += packer.flush()
    finally:
        document.close()
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    )


def _strips(page: Any, sharp: float, rows: int) -> Iterator[bytes]:
    """Rows of red, green, blue, each behind the number of its filter: none."""
    for top in range(0, rows, STRIP):
        below = max(rows - top - STRIP, 0)
        # half a row off, as what is cut away is rounded up
        crop = (0, (below - 0.5) / sharp, 0, (top - 0.5) / sharp)
        image = page.render(sharp, crop=crop, rev_byteorder=True)
        pixels = image.to_numpy()
        lines = np.zeros((len(pixels), 1 + 3 * pixels.shape[1]), np.uint8)
        lines[:, 1:] = pixels.reshape(len(pixels), -1)
        yield lines.tobytes()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(
        ">I", zlib.crc32(kind + body)
    )
