"""The embedded digits: the right ones, the same for everybody, fit for a network."""

import hashlib

import numpy as np
import pytest

import minidl as dl
from minidl.data import digits as load


def test_they_are_the_uci_digits():
    train, test = load(8)
    labels = np.concatenate([train.labels, test.labels])
    images = np.concatenate([train.images, test.images])
    assert np.bincount(labels).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert images.shape == (1797, 8, 8, 1)
    assert int((images * 16).sum()) == 561718


def bag(*parts):
    """All images and labels, whatever the order."""
    pairs = (pair for part in parts for pair in zip(*part, strict=True))
    return sorted((image.tobytes(), label) for image, label in pairs)


@pytest.mark.parametrize("held_out", [0.2, 0.33, 0.5])
def test_the_split_is_stratified_and_complete(held_out):
    train, test = load(8, held_out=held_out)
    assert len(test.labels) >= held_out * 1797
    share = np.bincount(test.labels) / (
        np.bincount(test.labels) + np.bincount(train.labels)
    )
    assert (share >= held_out).all()
    assert (share < held_out + 0.01).all()
    assert bag(train, test) == bag(*load(8, seed=1))


def test_the_split_is_fixed():
    train, test = load(8)
    digest = hashlib.sha256(train.labels.tobytes() + test.images.tobytes()).hexdigest()
    assert digest.startswith("dd59989e6dcd")
    assert not np.array_equal(load(8, seed=1).test.labels, test.labels)


@pytest.mark.parametrize("size", [8, 28, 32, (20, 33), 64])
def test_sizes(size):
    images, labels = load(size).train
    height, width = size if isinstance(size, tuple) else (size, size)
    assert images.shape == (len(labels), height, width, 1)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert 0 <= images.min() <= images.max() <= 1
    border = height // 16
    assert not images[:, :border].any()
    assert images[:, border].any()


def test_bilinear_keeps_planes():
    from minidl.data.digits import resize

    y, x = np.mgrid[:8, :8].astype(np.float32)
    large = resize((y + 2 * x)[None], 32, 32)[0, 2:-2, 2:-2]
    inner = large[2:-2, 2:-2]  # beyond the outermost centres it is constant
    np.testing.assert_allclose(np.diff(inner, axis=0), 8 / 28, rtol=1e-4)
    np.testing.assert_allclose(np.diff(inner, axis=1), 16 / 28, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, "size: expected a whole number >= 1"),
        ({"size": (8, 8, 1)}, "size: expected one number or 2"),
        ({"held_out": 0}, "held_out: expected a share between 0 and 1"),
        ({"held_out": 1.5}, "held_out"),
        ({"seed": -1}, "seed: expected a whole number >= 0"),
    ],
)
def test_wrong_settings(settings, words):
    with pytest.raises(dl.Error, match=words):
        load(**settings)


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_broken_file(tmp_path, monkeypatch, damage):
    import sys

    module = sys.modules["minidl.data.digits"]
    data = bytearray(module.PATH.read_bytes())
    path = tmp_path / "digits.npz"
    if damage != "missing":
        data[1000] ^= damage == "flipped"
        path.write_bytes(data[: 500 if damage == "cut" else None])
    monkeypatch.setattr(module, "PATH", path)
    with pytest.raises(dl.DataError, match="reinstall minidl"):
        load()
