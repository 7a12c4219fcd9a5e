"""Every network of the zoo has the parameters its paper says, and runs."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl as dl

# network, settings, trainable numbers, input for a run
COUNTS = [
    ("lenet5", {}, 60_000, (32, 32, 1)),
    ("lenet5", {"variant": "modern"}, 61_706, (32, 32, 1)),
    ("lecture_cnn5", {}, 20_065, (9, 7, 1)),
]


@pytest.mark.parametrize(("name", "settings", "count", "shape"), COUNTS)
def test_counts(name, settings, count, shape):
    net = dl.models.get(name)(**settings)
    assert sum(w.size for w in net.parameters.values()) == count
    y = net(np.zeros((2, *shape), np.float32))
    assert len(y) == 2
    assert np.isfinite(y).all()


def test_every_network_is_here():
    assert {name for name, *_ in COUNTS} == set(dl.models.list())
    assert set(dl.models.list()) <= set(dl.models.__all__)
    for name in dl.models.list():
        assert getattr(dl.models, name) is dl.models.get(name)


def test_lenet5_is_the_papers():
    net = dl.models.lenet5()
    found = {}
    for name, w in net.parameters.items():
        layer = name.split(".")[0]
        found[layer] = found.get(layer, 0) + w.size
    assert found == {
        "C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48_120, "F6": 10_164,
    }  # fmt: skip
    shapes = [net.graph.nodes[name]["node"].shape for name in found]
    assert shapes == [
        (28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120), (84,),
    ]  # fmt: skip


def test_the_connection_table():
    from minidl.models.lenet import CONNECTIONS

    assert [len(row) for row in CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(CONNECTIONS)) == 16
    assert np.bincount(np.concatenate(CONNECTIONS)).tolist() == [10] * 6


def test_the_codes():
    from minidl.models.lenet import codes

    rows = np.array(codes())
    assert rows.shape == (10, 84)
    assert set(np.unique(rows)) == {-1.0, 1.0}
    apart = ((rows[:, None] - rows) ** 2).sum(-1) + 999 * np.eye(10)
    assert apart.min() >= 16  # no two digits look alike


def test_the_largest_score_is_the_nearest_code():
    from minidl.models.lenet import codes

    net = dl.models.lenet5()
    rows = np.array(codes(), np.float32)
    f6 = dl.Input((84,))
    head = dl.Model(f6, dl.rbf(f6, codes=codes()))
    assert (head(rows).argmax(-1) == np.arange(10)).all()
    assert net.outputs == ("output",)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("variant", ["paper", "modern"])
def test_it_learns(variant, classes):
    net = dl.models.lenet5(variant, classes=classes, seed=1)
    (images, labels), _ = dl.data.digits()
    keep = np.flatnonzero(labels < classes)[:40]
    losses = [net.train_step(images[keep], labels[keep]) for _ in range(12)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dl.models.lenet5("old"), "variant: expected one of"),
        (lambda: dl.models.lenet5(classes=11), 'use variant="modern"'),
        (lambda: dl.models.lenet5(input=(28, 28, 1)), "C5: kernel 5 is larger"),
        (lambda: dl.models.get("lenet"), "did you mean lenet5"),
        (lambda: dl.models.get("xyz"), "no network is named 'xyz'"),
    ],
)
def test_wrong_settings(call, words):
    with pytest.raises(dl.Error, match=words):
        call()


def test_no_such_attribute():
    with pytest.raises(AttributeError, match="lenet6"):
        dl.models.lenet6  # noqa: B018


def test_the_folder_is_no_package_of_its_own():
    found = subprocess.run(
        [sys.executable, "-c", "import models"], cwd=Path(__file__).parents[1],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert "import minidl.models" in found.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["", *{f".{f}" for f in dl.models.NETWORKS.values()}])
def test_examples(name):
    module = importlib.import_module(f"minidl.models{name}")
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
