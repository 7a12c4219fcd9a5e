"""The training loop, as people call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .data import Loader, Mixup, pair
from .data.augment import Augment
from .progress import Reporter
from .resume import Epoch
from .run import Run
from .schedule import Schedule
from .spec import Error, whole


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
        seed and workers. Where the set names its classes, so does the model from then.
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
    model.classes = loader.classes or model.classes
    return History(run())
