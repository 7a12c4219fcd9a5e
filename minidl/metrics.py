"""How good a classifier is: accuracy, the five best, who is taken for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .data import pair
from .spec import DataError, whole


@dataclass(frozen=True)
class Metrics:
    """What `evaluate` found.

    accuracy   the share of examples whose largest score is at their label
    top5       the share whose label is among the five largest scores
    loss       the mean of -log softmax(scores)[label]
    confusion  [true class, class of the largest score] -> how many
    """

    n: int
    accuracy: float
    top5: float
    loss: float
    confusion: Any

    def __str__(self) -> str:
        right = round(self.accuracy * self.n)
        return f"{self.accuracy:.2%} of {self.n} ({right}), top 5 {self.top5:.2%}"

    def table(self, classes: tuple[str, ...] = ()) -> str:
        """The confusion matrix: a row for each true class.

        Examples
        --------
        >>> found = Metrics(3, 2 / 3, 1.0, 0.5, np.array([[1, 1], [0, 1]]))
        >>> print(found.table(("cat", "dog")))
        true \\ found  cat  dog
        cat             1    1
        dog             0    1
        """
        from .table import table

        names = classes or tuple(map(str, range(len(self.confusion))))
        rows = [
            (name, *map(str, row))
            for name, row in zip(names, self.confusion, strict=True)
        ]
        return table(("true \\ found", *names), rows)


def check_classes(model: Any, labels: Any) -> int:
    """How many classes a model knows; the labels must be among them."""
    shape = model.graph.nodes[model.outputs[0]]["node"].shape
    if len(shape) != 1:
        raise DataError(
            f"{model.name}: makes {shape} of an image; to be measured by its accuracy "
            "a network must make one score for each class"
        )
    classes: int = shape[0]
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or bad.size:
        raise DataError(
            f"{model.name}: expected a class from 0 to {classes - 1} for each image, "
            f"got {labels.dtype} of shape {labels.shape}, {bad.size} out of range"
        )
    return classes


def evaluate(model: Any, data: Any, batch: int = 64) -> Metrics:
    """Measure a classifier; of several outputs the first counts.

    Parameters
    ----------
    model
        Whose output is a score for each class.
    data
        Images and labels.
    batch
        How many at a time.

    Examples
    --------
    >>> import minidl as dl
    >>> z = dl.Input((3,))
    >>> scores = np.array([[5, 1, 0], [0, 2, 1]], "float32")
    >>> found = dl.evaluate(dl.Model(z, dl.identity(z)), (scores, np.array([0, 2])))
    >>> found.accuracy, found.confusion.tolist()
    (0.5, [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    """
    images, labels = pair(data)
    whole("batch", batch)
    classes = check_classes(model, labels)
    parts = []
    for start in range(0, len(labels), batch):
        found = model(images[start : start + batch])
        parts.append(found[0] if isinstance(found, tuple) else found)
    scores = np.concatenate(parts).astype(np.float64)
    rows = np.arange(len(labels))
    own = scores[rows, labels]
    above = (scores > own[:, None]).sum(1)  # NaN is above nothing
    best = scores.argmax(1)
    top = scores.max(1)
    level = top + np.log(np.exp(scores - top[:, None]).sum(1))
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, best), 1)
    return Metrics(
        len(labels),
        float((best == labels).mean()),
        float(((above < 5) & np.isfinite(own)).mean()),
        float((level - own).mean()),
        confusion,
    )
