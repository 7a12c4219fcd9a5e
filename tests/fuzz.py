"""A coverage-guided fuzzer over the readers, with atheris; not part of the suite.

    python tests/fuzz.py idx -runs=200000 corpus/
    python tests/fuzz.py safetensors -max_total_time=60

Readers: idx, cifar, tar, npz, safetensors, picture, onnx. A reader may return, or
raise a dl.Error; anything else is a find. The suite replays `tests/corpus/<reader>/`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

guide: Any = contextlib.nullcontext()
if __name__ == "__main__":
    import atheris

    guide = atheris.instrument_imports(include=["minidl", "PIL", "zipfile", "tarfile"])
with guide:
    from PIL import Image

    import minidl as dl
    from minidl import npz
    from minidl.data import cifar, folder, idx
    from minidl.exchange import safetensors

    Image.init()  # all its decoders

HOME = Path(__file__).with_name("corpus")


def as_file(read: Callable[[str], object]) -> Callable[[bytes], None]:
    """A reader of a path, as one of bytes: a file in memory where there is such."""
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    handle, path = tempfile.mkstemp(dir=shm)
    os.close(handle)

    def run(data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
        read(path)

    return run


READERS: dict[str, Callable[[bytes], object]] = {
    "idx": as_file(lambda path: idx.read_idx(path)),
    "cifar": lambda data: cifar.read_records("x.bin", data, 1, 10),
    "tar": as_file(lambda path: cifar._members(Path(path), ["a.bin"])),
    "npz": as_file(npz.read),
    "safetensors": as_file(safetensors.read),
    "picture": as_file(lambda path: folder.Pictures([Path(path)], (8, 8), False)[0]),
    "onnx": as_file(dl.from_onnx),
}


def one(name: str, data: bytes) -> None:
    """A file: read, or refused with a word about it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[name](data)
    except dl.Error:
        return


def main() -> None:
    """Fuzz the reader that the command line names; the rest is libFuzzer's."""
    name = sys.argv.pop(1)
    atheris.Setup([*sys.argv, str(HOME / name)], lambda data: one(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
