"""A folder of pictures, a folder for each class. Needs Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..spec import DataError, Error, several
from .part import Part, Split

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
MOST = 1 << 26  # pixels of one picture


class Pictures:
    """Files that become uint8 [n, h, w, c] where they are indexed; held as names."""

    dtype = np.dtype(np.uint8)

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], grey: bool
    ) -> None:
        self.paths, self.size, self.grey = tuple(paths), size, grey
        self.shape = (len(self.paths), *size, 1 if grey else 3)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any) -> Any:
        """The pictures at these rows, decoded."""
        at = np.arange(len(self.paths))[rows]
        if isinstance(rows, int | np.integer):
            return self.read(self.paths[at])
        found = np.empty((len(at), *self.shape[1:]), np.uint8)
        for i, into in zip(at, found, strict=True):
            into[...] = self.read(self.paths[i])
        return found

    def read(self, path: Path) -> Any:
        """One picture, scaled to cover the size and cut around its centre."""
        image, upright = pillow()
        height, width = self.size
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is too large is refused below
                with image.open(path) as file:
                    if file.width * file.height > MOST:
                        raise DataError(
                            f"{path}: has {file.width} x {file.height} pixels; more "
                            f"than {MOST:,} are not read"
                        )
                    one = upright(file).convert("L" if self.grey else "RGB")
        except DataError:
            raise
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file") from None
        except Exception as error:  # decoders raise what they like on broken files
            raise DataError(f"{path}: is not a picture: {error}") from None
        scale = max(height / one.height, width / one.width)
        inner = max(round(one.width * scale), width), max(
            round(one.height * scale), height)
        one = one.resize(inner, image.Resampling.BILINEAR)
        left, top = (inner[0] - width) // 2, (inner[1] - height) // 2
        one = one.crop((left, top, left + width, top + height))
        return np.asarray(one, np.uint8).reshape(self.shape[1:])


def pillow() -> tuple[Any, Any]:
    """Pillow's Image and what turns a photo as its camera was held, or what to do."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise Error(
            "pictures need Pillow: pip install 'minidl[image]'"
        ) from None
    return Image, ImageOps.exif_transpose


def image_folder(
    folder: str | Path,
    size: int | tuple[int, int] = 224,
    held_out: float = 0.2,
    grey: bool = False,
    seed: int = 0,
) -> Split:
    """Pictures in folder/CLASS, or in folder/train/CLASS and folder/test/CLASS.

    They are read when a batch needs them, scaled to cover the size, and cut around
    their centre.

    Parameters
    ----------
    folder
        Where they are. Classes are its folders, in the order of their names; what
        begins with a dot is left alone.
    size
        Height and width of what comes out.
    held_out
        The share of each class to hold out, where there is no folder of its own for it.
    grey
        One channel instead of red, green and blue.
    seed
        Chooses what is held out.
    """
    home = Path(folder)
    pillow()
    height, width = several("size", size, 2)
    if not 0 < held_out < 1:
        raise DataError(f"held_out: expected a share between 0 and 1, got {held_out!r}")
    try:
        return _split(home, (height, width), held_out, grey, seed)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None


def _split(
    home: Path, size: tuple[int, int], held_out: float, grey: bool, seed: int
) -> Split:
    if not home.is_dir():
        raise DataError(f"{home}: there is no such folder")
    parts = [home / name for name in ("train", "test")]
    if all(part.is_dir() for part in parts):
        names = _classes(parts[0])
        if _classes(parts[1]) != names:
            raise DataError(
                f"{home}: train has the classes {', '.join(names)}, test "
                f"{', '.join(_classes(parts[1]))}; expected the same"
            )
        found = [[_files(part / name) for name in names] for part in parts]
    else:
        names, rng = _classes(home), np.random.default_rng(seed)
        found = [[], []]
        for name in names:
            files = _files(home / name)
            if len(files) < 2:
                raise DataError(
                    f"{home / name}: expected two pictures at the least, one to learn "
                    f"and one to hold out, got {len(files)}"
                )
            order = rng.permutation(len(files))
            held = min(max(1, round(held_out * len(files))), len(files) - 1)
            found[0].append([files[i] for i in sorted(order[held:])])
            found[1].append([files[i] for i in sorted(order[:held])])
    made = []
    for groups in found:
        paths = [path for group in groups for path in group]
        labels = np.repeat(np.arange(len(names)), [len(group) for group in groups])
        made.append(Part(Pictures(paths, size, grey), labels, names))
    return Split(*made)


def _classes(home: Path) -> tuple[str, ...]:
    found = tuple(sorted(p.name for p in _visible(home) if p.is_dir()))
    if not found:
        raise DataError(f"{home}: expected a folder for each class, found none")
    return found


def _visible(home: Path) -> Iterator[Path]:
    """What is in a folder but for what tools hide there: .git, ._picture.jpg"""
    return (p for p in home.iterdir() if not p.name.startswith("."))


def _files(home: Path) -> list[Path]:
    named = (p for p in _visible(home) if p.suffix.lower() in SUFFIXES)
    found = sorted(p for p in named if not p.is_dir())
    if not found:
        raise DataError(f"{home}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return found
