"""A run of training under way: epochs of steps, measured, logged, saved."""

from __future__ import annotations

import signal
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import files, logs, resume
from .clock import peak
from .data import Loader
from .metrics import check_classes, evaluate
from .progress import Reporter, seconds
from .resume import Epoch, Progress
from .schedule import Schedule
from .spec import DivergedError, Error, number
from .table import megabytes


@dataclass
class Run:
    """One call of `fit`, under way."""

    model: Any
    loader: Loader
    held: Any  # images and labels to measure
    epochs: int
    rate: Any  # a number, or a function of the epoch
    schedule: Schedule
    report: Reporter
    path: str | Path | None  # of the checkpoint
    every: int | None
    patience: int | None
    keep_best: bool
    folder: str | Path | None  # of the logs

    def __post_init__(self) -> None:
        self.trainer = self.model.trainer
        if self.rate is None:
            self.rate = self.trainer.optimiser.lr
        if not callable(self.rate):
            self.rate = number("lr", self.rate, low=0)
        self.progress = Progress(steps=self.trainer.steps)
        self.best: dict[str, np.ndarray] = {}
        self.stop = False  # somebody wants it to end
        # now, not after the first epoch
        if self.path is not None:
            files.writable(self.path)
        if self.folder is not None:
            logs.begin(self.folder)
        if not self.loader.augment:  # which may make others of them
            self.trainer.check(self.loader.labels)
        if self.held is not None:
            check_classes(self.model, self.held[1])

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to go on to the same end."""
        rate = "a function" if callable(self.rate) else self.rate
        return {
            "model": self.model.name, "epochs": self.epochs, "lr": rate,
            "batch": self.loader.batch, "images": len(self.loader.labels),
            "labels": zlib.crc32(np.ascontiguousarray(self.loader.labels).data),
            "seed": self.loader.seed, "schedule": repr(self.schedule),
            "augment": repr(self.loader.augment), "shuffle": self.loader.shuffle,
            "optimiser": repr(self.trainer.optimiser), "clip": self.trainer.clip,
            "average": self.trainer.decay, "patience": self.patience,
            "keep_best": self.keep_best, "frozen": sorted(self.model.frozen),
            "loss": self.trainer.kind, "weights of the loss": self.trainer.given,
        }  # fmt: skip

    def resume(self) -> None:
        """Go on from the checkpoint, if it is there."""
        assert self.path is not None  # `fit` looked
        if not Path(self.path).exists():
            self.report.line(f"{self.path}: no such file yet, so the run begins anew")
            return
        self.progress, self.best = resume.load(self.path, self.trainer, self.settings())
        p = self.progress
        self.report.line(
            f"resumed {self.path}: epoch {p.epoch + 1} of {self.epochs}, after "
            f"{p.number} of {len(self.loader)} steps"
        )

    def save(self) -> None:
        """Write the checkpoint, where one is wanted."""
        if self.path is not None:
            self.progress.steps = self.trainer.steps
            resume.save(
                self.path, self.trainer, self.progress, self.settings(), self.best
            )

    def __call__(self) -> list[Epoch]:
        """Train to the end; or save, and say so, where somebody wants it to end."""
        p = self.progress
        self.estimate()
        with self.interruptible():
            try:
                while p.epoch < self.epochs and not self.over():
                    self.epoch()
            except Error as error:
                self.report.clear()
                raise type(error)(f"{error}{self.kept(error)}") from None
            except KeyboardInterrupt:
                self.report.clear()
                raise
        if self.trainer.mean is not None:
            self.model.store.block[...] = self.trainer.mean
            self.model.store.version += 1
        if self.keep_best and self.best:
            for name, array in self.best.items():
                self.model.store.arrays[name][...] = array
            self.model.store.version += 1
        return p.rows

    def kept(self, error: Error) -> str:
        """What is left of a run that an error ends; what was learnt until then is saved
        where that is sound."""
        p = self.progress
        if self.path is None:
            return ""
        if not isinstance(error, DivergedError) and (p.epoch or p.number):
            with suppress(Error):  # perhaps the one that ended it
                self.save()
                return f"; saved {self.path}; resume to go on when it is mended"
        there = Path(self.path).exists()
        return f"; the last checkpoint, {self.path}, stays" if there else ""

    def over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.progress.waited >= self.patience

    def epoch(self) -> None:
        """What is left of an epoch."""
        p, trainer = self.progress, self.trainer
        began, before = time.perf_counter(), p.seconds
        batches = self.loader.epoch(p.epoch, start=p.number)
        try:
            for x, labels in batches:
                trainer.lr = self.lr(p.number)
                loss = self.model.train_step(x, labels)
                p.total += loss * len(labels)
                p.seen += len(labels)
                p.number += 1
                p.seconds = before + time.perf_counter() - began
                self.show(loss)
                if self.stop:
                    self.end()
                if self.every and p.number % self.every == 0:
                    self.save()
        finally:
            batches.close()  # type: ignore[attr-defined]  # its threads end now
        self.finish(self.lr(p.number - 1))

    def lr(self, step: int) -> float:
        """The learning rate of a step of this epoch."""
        epoch = self.progress.epoch
        done = epoch * len(self.loader) + step
        rate = self.rate
        if callable(rate):
            rate = number(f"lr({epoch})", rate(epoch), low=0)
        return rate * self.schedule(done / (self.epochs * len(self.loader)))

    def finish(self, lr: float) -> None:
        """Measure, log and save at the end of an epoch."""
        p = self.progress
        row = Epoch(p.epoch + 1, p.total / p.seen, lr, p.seconds)
        if self.held is not None:
            with self.trainer.averaged():
                found = evaluate(self.model, self.held)
                row.accuracy, row.top5 = found.accuracy, found.top5
                row.held_loss = found.loss if np.isfinite(found.loss) else None
                if p.best is None or found.accuracy > p.best:
                    p.best, p.waited = found.accuracy, 0
                    if self.keep_best:
                        arrays = self.model.store.arrays
                        self.best = {k: v.copy() for k, v in arrays.items()}
                else:
                    p.waited += 1
        p.rows.append(row)
        p.epoch, p.number, p.total, p.seen, p.seconds = p.epoch + 1, 0, 0.0, 0, 0.0
        self.report.line(str(row))
        if self.over():
            self.report.line(
                f"stopped: no better accuracy than {p.best:.4f} in {p.waited} epochs"
            )
        self.save()
        if self.folder is not None:
            logs.write(self.folder, self.model.name, p.rows)
        if self.stop and p.epoch < self.epochs and not self.over():
            self.end()

    def end(self) -> None:
        """Somebody pressed Ctrl-C: save, and say how to go on."""
        self.save()
        p = self.progress
        saved = f"saved {self.path}; resume to go on" if self.path else "nothing saved"
        raise KeyboardInterrupt(
            f"after epoch {p.epoch}, step {p.number} of {len(self.loader)}: {saved}"
        )

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within it Ctrl-C lets the step end first; pressed again it ends all."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = signal.getsignal(signal.SIGINT)

        def wish(*_: Any) -> None:
            self.stop = True
            signal.signal(signal.SIGINT, usual)

        signal.signal(signal.SIGINT, wish)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def show(self, loss: float) -> None:
        """The bar: how far, how good, how long still."""
        p = self.progress
        if self.report.moves:
            left = p.seconds / p.number * (
                (self.epochs - p.epoch) * len(self.loader) - p.number)
            self.report.bar(
                f"epoch {p.epoch + 1}/{self.epochs}", p.number, len(self.loader),
                f"loss {loss:.4f}  {seconds(left)} left",
            )  # fmt: skip

    def estimate(self) -> None:
        """Say before the first step what the run needs."""
        if self.report.log is not None or self.progress.epoch >= self.epochs:
            return
        batch = min(self.loader.batch, len(self.loader.labels))
        spent, needed = cost(self.trainer, self.loader.images.shape[1:], batch)
        left = (self.epochs - self.progress.epoch) * len(self.loader)
        left -= self.progress.number
        self.report.line(
            f"{self.model.name}: {left:,} steps of {batch} images, about "
            f"{seconds(spent * left)}, {megabytes(needed)} of memory"
        )


SHARE = 0.25  # of the machine's peak, which a step's multiply-adds reach: 0.1 for
# LeNet-5, 0.2 to 0.3 for resnet20 and resnet18, 0.6 for vgg16 (Xeon with AVX-512)


def cost(trainer: Any, shape: tuple[int, ...], batch: int) -> tuple[float, int]:
    """About how many seconds a step takes, and the bytes that training needs."""
    model = trainer.model
    names = [n for n in model.inputs if n != trainer.target]
    plan = trainer.plan({name: (batch, *shape) for name in names})
    flops = 6 * plan.macs  # forward, delta and g: two operations each
    kept = trainer.store.block.nbytes + sum(a.nbytes for a in trainer.state().values())
    rate = peak(0.01, model.dtype) * SHARE
    return flops / rate, plan.bytes + kept
