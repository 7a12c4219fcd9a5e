"""Model: a graph with its parameters, as people use it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import checkpoint, draw, fit, train
from .draw.label import Cost
from .exchange import python, weights
from .graph import Node
from .optim import SGD, Optimiser
from .plan import Plan
from .rewire import inputs_of, rewired
from .running import Arrays, Running
from .spec import GraphError
from .summary import summary


class Model(Running):
    """A network: its graph, its parameters, and what can be done with them.

    Parameters
    ----------
    inputs, outputs
        One node or several. Several make tuples of what goes in and comes out.
    name
        What it is called in tables, diagrams and messages.
    dtype
        "float32", or "float64" for checks.
    seed
        Where the initial parameters come from. Each depends on the seed and its own
        name alone.
    exact
        Keep off algorithms that trade the last digits for speed (Winograd's), as the
        environment variable MINIDL_EXACT=1 does for all models.

    Examples
    --------
    >>> import minidl as dl
    >>> image = dl.Input((8, 8, 1), name="image")
    >>> z = dl.relu(dl.conv(image, 4, kernel=3, name="C1"))
    >>> net = dl.Model(image, dl.dense(dl.flatten(z), 10, name="F2"))
    >>> net(np.zeros((5, 8, 8, 1), "float32")).shape
    (5, 10)
    >>> list(net.parameters)
    ['C1.w', 'C1.b', 'F2.w', 'F2.b']
    """

    classes: tuple[str, ...] = ()  # what its scores stand for, where known
    _trainer: train.Trainer | None = None
    _how: tuple[Any, ...] = ("softmax_cross_entropy", {}, SGD())  # it learns

    def plan(
        self,
        batch: int = 1,
        train: bool = False,
        size: tuple[int, ...] | None = None,
    ) -> Plan:
        """The plan for a batch: print it, or read its bytes and MACs.

        With `train` it is the plan of a training step, loss and adjoint included.
        `size` stands for the axes that the input leaves open.
        """
        if train:
            return self.trainer.plan(self._shapes(batch, size))
        return self._compile(self.outputs, self._shapes(batch, size))

    # -- training -----------------------------------------------------------------

    @property
    def trainer(self) -> train.Trainer:
        """The loss and the optimiser; softmax cross-entropy and SGD unless set."""
        store = self.store  # first: a changed graph drops the trainer
        if self._trainer is None or self._trainer.store is not store:
            self._trainer = train.Trainer(self, *self._how)
        return self._trainer

    def compile(
        self,
        loss: str | Callable[..., Node] = "softmax_cross_entropy",
        optimiser: Optimiser | None = None,
        clip: float | None = None,
        average: float | None = None,
        class_weights: Sequence[float] | None = None,
        output_weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> None:
        """Choose how the model learns; what it remembered of earlier steps is gone.

        Parameters
        ----------
        loss
            A name, such as "softmax_cross_entropy", or a function of two nodes.
        optimiser
            `dl.optim.SGD`, `Adam`, `AdamW` or `RMSprop`.
        clip
            The largest norm of the whole gradient; longer ones are scaled down to it.
        average
            The decay of a moving average of the parameters, such as 0.999: validation
            and the end of `fit` use it.
        class_weights
            How much each class counts.
        output_weights
            How much the loss of each output counts, where there are several.
        settings
            Of the loss, such as smoothing=0.1.

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.lenet5(variant="modern")
        >>> net.compile(optimiser=dl.optim.Adam(), clip=1.0, smoothing=0.1)
        """
        how = (
            loss, settings, optimiser or SGD(), clip, average, class_weights,
            output_weights,
        )  # fmt: skip
        self._trainer = train.Trainer(self, *how)
        self._how = how

    def freeze(self, *patterns: str) -> tuple[str, ...]:
        """Let the parameters whose names match no longer learn; their names.

        A node all of whose parameters are frozen also runs in training as at inference:
        a batch norm keeps its statistics. Without a pattern all learn again. What
        `compile` chose stays; the optimiser forgets the steps before.

        Parameters
        ----------
        patterns
            As in a shell: "layer1.*", "conv1.w", "*.beta".

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.lenet5(variant="modern")
        >>> net.freeze("C1.*", "C3.*")
        ('C1.w', 'C1.b', 'C3.w', 'C3.b')
        """
        names = tuple(self.store.at)
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise GraphError(
                    f"{self.name}: no parameter matches {pattern!r}; there are "
                    f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
                )
        found = (n for n in names if any(fnmatch.fnmatchcase(n, p) for p in patterns))
        self.frozen = frozenset(found)
        self._trainer = None
        self._engines = {}
        return tuple(n for n in names if n in self.frozen)

    def train_step(self, x: Arrays, labels: np.ndarray) -> float:
        """One step of training on a batch: forward, adjoint, update. The loss."""
        return self.trainer.step(x if isinstance(x, tuple) else (x,), labels)

    def fit(self, data: Any, epochs: int = 1, **settings: Any) -> fit.History:
        """Train on images and labels; see `minidl.fit.fit` for the settings."""
        return fit.fit(self, data, epochs=epochs, **settings)

    def rewired(self, changes: Mapping[str, Callable[..., Node]]) -> Model:
        """A new model with other nodes in some places, and the parameters of the rest.

        Parameters
        ----------
        changes
            By the name of a node, a function from the nodes that it read to the node
            that takes its place: another head, another input.

        Examples
        --------
        >>> import minidl as dl
        >>> net = dl.models.resnet20()
        >>> five = net.rewired({"fc": lambda z: dl.dense(z, 5)})
        >>> five.freeze("conv1.*", "layer1.*")[:1], five(np.zeros((1, 32, 32, 3))).shape
        (('conv1.w',), (1, 5))
        """
        made = rewired(self.graph, self._owner, changes, self.name)
        outs = [made[name] for name in self.outputs]
        ins = inputs_of(*outs)
        model = Model(
            ins[0] if len(ins) == 1 else ins,
            outs[0] if self._single[1] else outs,
            self.name, self.dtype, self.seed, self.exact,
        )  # fmt: skip
        mine, old = model.store.arrays, self.store.arrays
        for name in mine.keys() & old.keys():
            if name.rpartition(".")[0] not in changes and (
                mine[name].shape == old[name].shape
            ):
                mine[name][...] = old[name]
        model.store.version += 1
        return model

    # -- looking ------------------------------------------------------------------

    def summary(
        self,
        fold: int | None = None,
        batch: int = 1,
        size: tuple[int, ...] | None = None,
    ) -> None:
        """Print the table of nodes: op, output shape, parameters, MACs, bytes kept.

        Equal neighbours are one block, "x 3", of so many levels as `fold` says: None is
        all, 0 none. The costs are for a batch, `size` stands for open axes.
        """
        print(summary(self, fold, batch, size))

    def draw(
        self,
        path: str | Path,
        detail: str = "shapes",
        fold: int | None = None,
        depth: int | None = None,
        columns: int | None = None,
        batch: int = 1,
        size: tuple[int, ...] | None = None,
        view: str = "network",
        train: bool = False,
        at: str | None = None,
        position: Sequence[int] | int | None = None,
    ) -> None:
        """Draw the graph; the suffix chooses the format.

        Parameters
        ----------
        path
            A name that ends in .svg, .pdf, .png (extra `draw`), .tex, .dot, .mmd,
            .graphml or .json.
        detail
            What a box says. "plain": its name, op and settings. "shapes": the shape,
            where it changes, and the parameters too. "full": also MACs, the bytes kept
            for the adjoint, and where the memory of a training step peaks.
        fold
            How many levels of blocks, from the outside, draw equal neighbours once,
            "x 3". None is all of them, 0 draws every node.
        depth
            How many levels of blocks are opened; those deeper are a box. None is all.
        columns
            In how many columns a long picture is drawn. None: as many as suit a page.
        batch, size
            For the costs: how many images, and what stands for open axes.
        view
            What to draw: "network"; "training", each node with its adjoint, what that
            reads and gives; "plan", which buffers are alive at which step and
            where in the arena they lie; "field", what a position of a node sees of the
            input and of every node on the way; "volumes", a chain in perspective. All
            but the network have the formats .svg, .pdf, .png and .tex alone.
        train
            Whether the plan is that of a training step.
        at, position
            Whose field: the name of a node and (row, column); see `receptive_field`.
        """
        if view != "network":
            picture = draw.view(
                self, view, batch=batch, size=size, train=train, at=at,
                position=position, fold=fold, depth=depth,
            )  # fmt: skip
            return draw.write(picture, path)
        draw.write(
            self, path, detail=detail, fold=fold, depth=depth, columns=columns,
            costs=self.costs(batch, size) if detail == "full" else None,
        )  # fmt: skip

    def costs(
        self, batch: int = 1, size: tuple[int, ...] | None = None
    ) -> dict[str, Cost]:
        """What each node costs when an adjoint follows: MACs, bytes kept, the peak."""
        shapes = self._shapes(batch, size)
        plan = self._compile(self.outputs, shapes, train=True, adjoint=True)
        return draw.costs(plan)

    def _repr_svg_(self) -> str:
        """The picture that notebooks show."""
        return draw.encode(self, ".svg").decode()

    def save(self, path: str | Path) -> None:
        """Write graph, parameters and buffers to one .npz; `dl.load` reads it."""
        checkpoint.save(self, path)

    def to_python(self) -> str:
        """The source of a module whose `build()` defines the same graph, with loops
        where it repeats; the weights are not in it.

        Examples
        --------
        >>> import minidl as dl
        >>> z = dl.Input((8, 8, 3), name="image")
        >>> net = dl.Model(z, dl.conv(z, 4, kernel=3, name="C1"), name="net")
        >>> print(net.to_python().partition("build()")[2])
         -> dl.Model:
            ...
            image = dl.Input((8, 8, 3), name="image")
            z = dl.conv(image, 4, kernel=3, name="C1")
            return dl.Model(image, z, name="net")
        <BLANKLINE>
        """
        return python.source(self)

    def to_onnx(self, path: str | Path, external: bool | None = None) -> None:
        """Write graph and weights as an ONNX file (extra `onnx`), for inference.

        Images go in and come out channels first there: n c h w. With `external` the
        weights go into a file beside it, as they do by themselves from 2 GB on.
        """
        from .exchange import onnx

        onnx.write(self, path, external)

    def load_weights(self, path: str | Path, strict: bool = True) -> tuple[str, ...]:
        """Take parameters and buffers from a file, by name.

        Parameters
        ----------
        path
            An .npz or .safetensors: what `save` or `save_weights` wrote, or with the
            names and layouts of torchvision's and timm's checkpoints.
        strict
            Whether every array must be there, and nothing else; otherwise nothing is
            loaded, and the error says what is missing, unknown or misshapen. If False
            what fits is taken, and the rest is returned in words.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import minidl as dl
        >>> net = dl.models.lenet5()
        >>> with TemporaryDirectory() as folder:
        ...     net.save_weights(f"{folder}/w.safetensors")
        ...     dl.models.lenet5(seed=1).load_weights(f"{folder}/w.safetensors")
        ()
        """
        return weights.load(self, path, strict)

    def save_weights(self, path: str | Path) -> None:
        """Write parameters and buffers, without the graph: .npz or .safetensors."""
        weights.write(path, self.store.arrays)

    def __repr__(self) -> str:
        return (
            f"<Model {self.name}: {', '.join(self.inputs)} -> "
            f"{', '.join(self.outputs)}, {len(self.graph)} nodes>"
        )
