"""The training loop: epochs of steps, measured, logged, saved, and gone on with."""

from __future__ import annotations

import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import files, logs, resume, spec
from .clock import peak
from .data import Loader, Mixup, pair
from .data.augment import Augment
from .metrics import check_classes, evaluate
from .progress import Reporter, seconds
from .resume import Epoch, Progress
from .schedule import Schedule
from .spec import DivergedError, Error, whole
from .table import megabytes


@dataclass
class History:
    """What happened, epoch by epoch."""

    epochs: list[Epoch] = field(default_factory=list)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    def rows(self) -> list[dict[str, Any]]:
        """The epochs as dictionaries."""
        return [asdict(one) for one in self.epochs]


def fit(
    model: Any,
    data: Any,
    epochs: int = 1,
    batch: int = 32,
    validation: Any = None,
    lr: float | Callable[[int], float] | None = None,
    schedule: str | Schedule = "constant",
    warmup: float = 0.0,
    augment: Sequence[Augment] = (),
    seed: int = 0,
    workers: int = 1,
    patience: int | None = None,
    keep_best: bool = False,
    checkpoint: str | Path | None = None,
    every: int | None = None,
    resume: bool = False,
    logs: str | Path | None = None,
    log: Callable[[str], object] | None = None,
) -> History:
    """Train on images and labels.

    Parameters
    ----------
    model
        What learns. `model.compile` chooses its loss, optimiser, clipping, averaging.
    data
        Images and labels, or a `dl.data.Loader`, which brings its own batch, augment,
        seed and workers.
    epochs, batch
        How often, and how many at a time.
    validation
        Images and labels to measure after each epoch.
    lr
        The learning rate, or a function of the epoch (from 0); the optimiser's own
        where it is None.
    schedule, warmup
        How the rate changes over the run: "constant", "step", "cosine", "one_cycle";
        in the first `warmup` share of it the rate climbs.
    augment
        What chance does to each batch: `dl.data.Shift(4)`, `dl.data.Flip()`, ...
    seed
        Of the order and of augmentation.
    workers
        How many threads make batches ahead.
    patience
        Stop after so many epochs without a better accuracy.
    keep_best
        At the end take back the parameters of the epoch with the best accuracy.
    checkpoint, every
        A file to write after each epoch, and after so many steps; and on Ctrl-C.
    resume
        Go on from that file, to the same bits as if nothing had happened.
    logs
        A folder for log.csv, log.jsonl, curves.svg and TensorBoard's events.
    log
        Called with each line of the report, which else goes to stderr.

    Examples
    --------
    >>> import minidl as dl
    >>> train, test = dl.data.digits(size=8)
    >>> z = dl.Input((8, 8, 1))
    >>> net = dl.Model(z, dl.dense(dl.flatten(z), 10))
    >>> history = net.fit(train, epochs=3, validation=test, lr=0.1, log=lambda _: None)
    >>> history.epochs[-1].accuracy > 0.85
    True
    """
    epochs = whole("epochs", epochs)
    loader = data if isinstance(data, Loader) else Loader(
        data, batch, augment=augment, seed=seed, workers=workers)
    held = None if validation is None else pair(validation)
    if held is None and (patience is not None or keep_best):
        raise Error("patience and keep_best compare accuracies: give validation data")
    if checkpoint is None and (resume or every is not None):
        raise Error("resume and every: give the checkpoint to go on from or to write")
    shape = schedule if isinstance(schedule, Schedule) else Schedule(schedule, warmup)
    if any(isinstance(one, Mixup) for one in loader.augment) and not model.trainer.soft:
        raise Error(
            "Mixup makes shares of classes of the labels: choose that loss, "
            'model.compile(loss="soft_cross_entropy")'
        )
    run = Run(
        model, loader, held, epochs, lr, shape, Reporter(log), checkpoint,
        None if every is None else whole("every", every),
        None if patience is None else whole("patience", patience), keep_best, logs,
    )  # fmt: skip
    if resume:
        run.resume()
    return run()


class Run:
    """One call of `fit`, under way."""

    def __init__(
        self,
        model: Any,
        loader: Loader,
        held: Any,
        epochs: int,
        lr: Any,
        schedule: Schedule,
        report: Reporter,
        path: str | Path | None,
        every: int | None,
        patience: int | None,
        keep_best: bool,
        folder: str | Path | None,
    ) -> None:
        self.model, self.trainer, self.loader = model, model.trainer, loader
        self.held, self.epochs, self.schedule = held, epochs, schedule
        self.report, self.path, self.every = report, path, every
        self.patience, self.keep_best, self.folder = patience, keep_best, folder
        self.rate = self.trainer.optimiser.lr if lr is None else lr
        if not callable(self.rate):
            self.rate = spec.number("lr", self.rate, low=0)
        self.progress = Progress(steps=self.trainer.steps)
        self.first = self.trainer.steps  # where this run began
        self.best: dict[str, np.ndarray] = {}
        self.stop = False  # somebody wants it to end
        # now, not after the first epoch
        if path is not None:
            files.writable(path)
        if folder is not None:
            logs.begin(folder)
        if not loader.augment:  # which may make others of them
            self.trainer.check(loader.labels)
        if held is not None:
            check_classes(model, held[1])

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
        self.first = 0
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

    def __call__(self) -> History:
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
        return History(p.rows)

    def kept(self, error: Error) -> str:
        """What is left of a run that an error ends; what was learnt until then is saved
        where that is sound."""
        p = self.progress
        if self.path is None:
            return ""
        if not isinstance(error, DivergedError) and (p.epoch or p.number):
            try:
                self.save()
            except Error:  # perhaps the one that ended it
                pass
            else:
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

    def lr(self, number: int) -> float:
        """The learning rate of a step of this epoch."""
        epoch = self.progress.epoch
        done = epoch * len(self.loader) + number
        rate = self.rate
        if callable(rate):
            rate = spec.number(f"lr({epoch})", rate(epoch), low=0)
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
