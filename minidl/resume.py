"""A run in a file: the model, the optimiser, where in the data it stands. No pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import npz
from .spec import CheckpointError

FORMAT = 1
RUN = "minidl.run"  # the entry that holds what is no array


@dataclass
class Epoch:
    """One line of a history; the last four are of the validation data."""

    epoch: int
    loss: float
    lr: float
    seconds: float
    accuracy: float | None = None
    top5: float | None = None
    held_loss: float | None = None

    def __str__(self) -> str:
        text = f"epoch {self.epoch:3d}  loss {self.loss:.4f}"
        if self.accuracy is not None:
            text += f"  accuracy {self.accuracy:.4f}"
        return f"{text}  {self.seconds:.1f} s"


@dataclass
class Progress:
    """How far a run has come: all that a later step depends on besides arrays."""

    epoch: int = 0  # the one that is under way
    number: int = 0  # its batches that are done
    steps: int = 0  # of all epochs
    total: float = 0.0  # the sum of the losses of the images seen in it
    seen: int = 0
    seconds: float = 0.0  # spent in it
    best: float | None = None  # the best accuracy so far
    waited: int = 0  # epochs since then
    rows: list[Epoch] = field(default_factory=list)


def save(
    path: str | Path,
    trainer: Any,
    progress: Progress,
    settings: dict[str, Any],
    best: dict[str, np.ndarray],
) -> None:
    """Write a checkpoint; a crash at any moment leaves the old one or this one."""
    about = {"format": FORMAT, "settings": settings, "progress": asdict(progress)}
    arrays = {f"model.{k}": v for k, v in trainer.store.arrays.items()}
    arrays |= {f"trainer.{k}": v for k, v in trainer.state().items()}
    arrays |= {f"best.{k}": v for k, v in best.items()}
    arrays[RUN] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    npz.write(path, arrays)


def load(
    path: str | Path, trainer: Any, settings: dict[str, Any]
) -> tuple[Progress, dict[str, np.ndarray]]:
    """Put model and trainer where the checkpoint left them; its progress and the best.

    Nothing changes unless all of it fits.
    """
    arrays = npz.read(path)
    if RUN not in arrays:
        raise CheckpointError(
            f"{path}: is not the checkpoint of a run; give the file that training wrote"
        )
    try:
        about = json.loads(arrays.pop(RUN).tobytes())
        progress = Progress(**about["progress"])
        progress.rows = [Epoch(**row) for row in about["progress"]["rows"]]
        counts = (progress.epoch, progress.number, progress.steps, progress.seen)
        if min(counts) < 0 or bool(progress.number) != bool(progress.seen):
            raise ValueError(f"{progress.number} steps of {progress.seen} images")
        old, kind = about["settings"], about["format"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: what it says of the run cannot be read: {error!r}"
        ) from None
    if kind != FORMAT:
        raise CheckpointError(f"{path}: has format {kind}, this minidl reads {FORMAT}")
    differ = [
        f"{key} was {old.get(key)!r}, now {settings.get(key)!r}"
        for key in sorted(old.keys() | settings.keys())
        if old.get(key) != settings.get(key)
    ]
    if differ:
        raise CheckpointError(
            f"{path}: to go on to the same end a run needs the settings it began with: "
            f"{'; '.join(differ)}"
        )
    best = {k[5:]: v for k, v in arrays.items() if k.startswith("best.")}
    mine = {f"model.{k}": v for k, v in trainer.store.arrays.items()}
    mine |= {f"trainer.{k}": v for k, v in trainer.state().items()}
    given = {k: v for k, v in arrays.items() if not k.startswith("best.")}
    if best:
        wrong = npz.misfits(trainer.store.arrays, best)
        if wrong:
            raise CheckpointError(f"{path}: its best epoch: {'; '.join(wrong[:12])}")
    npz.assign(mine, given, str(path), trainer.model.name)
    trainer.store.version += 1
    trainer.steps = progress.steps
    return progress, best
