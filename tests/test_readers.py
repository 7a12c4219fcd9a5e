"""Readers: what they read, and what they say of files that are not what they say."""

import functools
import hashlib
import http.server
import threading

import makers
import numpy as np
import pytest

import minidl as dl
from minidl.data import cifar, fetch, idx

GOOD = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_reads_what_was_written(tmp_path, packed):
    train, test = dl.data.mnist(makers.mnist(tmp_path, packed=packed))
    images, labels = makers.digits(60)
    np.testing.assert_array_equal(train.images[..., 0], images)
    np.testing.assert_array_equal(train.labels, labels)
    assert (len(test), train.classes[3]) == (20, "3")
    assert train.images.dtype == np.uint8
    assert dl.data.fashion_mnist(tmp_path).train.classes[9] == "ankle boot"
    assert len(dl.data.named(f"mnist:{tmp_path}").test) == 20


def test_cifar_reads_what_was_written(tmp_path):
    train, test = dl.data.cifar10(makers.cifar10(tmp_path))
    assert (train.images.shape, test.images.shape) == (
        (100, 32, 32, 3), (20, 32, 32, 3)
    )  # fmt: skip
    raw = np.frombuffer(makers.records(20), np.uint8).reshape(20, -1)[7, 1:]
    np.testing.assert_array_equal(
        train.images[7], raw.reshape(3, 32, 32).transpose(1, 2, 0)
    )
    assert train.labels[7] == 7
    members = [
        (f"cifar-10-batches-bin/{name}", (tmp_path / name).read_bytes())
        for group in cifar.TEN for name in group
    ]  # fmt: skip
    other = tmp_path / "archive"
    other.mkdir()
    makers.tar(other / "cifar-10-binary.tar.gz", [("../../evil", b"x"), *members])
    again, _ = dl.data.cifar10(other)
    np.testing.assert_array_equal(again.images, train.images)
    assert [one.name for one in other.iterdir()] == ["cifar-10-binary.tar.gz"]
    assert not (tmp_path.parent / "evil").exists()


def test_cifar100_reads_the_fine_label(tmp_path):
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(makers.records(30, 2, 100))
    train, _ = dl.data.cifar100(tmp_path)
    np.testing.assert_array_equal(train.labels, np.arange(30))


def test_arrays(tmp_path):
    images = np.random.default_rng(0).random((40, 5, 6, 2))
    labels = np.arange(40) % 4
    path = tmp_path / "x.npz"
    np.savez_compressed(path, images=images, labels=labels)
    train, test = dl.data.named(str(path))
    assert (len(train), len(test)) == (32, 8)
    assert np.bincount(test.labels).tolist() == [2, 2, 2, 2]
    assert train.images.dtype == np.float32
    np.savez(path, images=images, labels=labels, test_images=images[:3],
             test_labels=labels[:3])
    assert [len(part) for part in dl.data.named(str(path))] == [40, 3]
    np.savez(path, images=images, labels=labels)
    train, _ = dl.data.arrays(path, held_out=0.99)  # one of each class stays
    assert np.bincount(train.labels).tolist() == [1, 1, 1, 1]
    with pytest.raises(dl.DataError, match="held_out: expected a share"):
        dl.data.arrays(path, held_out=1.0)


def test_shapes_have_masks_and_boxes():
    train, test = dl.data.named("shapes", (24, 24), seed=3)
    again, _ = dl.data.shapes(size=24, seed=3)
    np.testing.assert_array_equal(train.images, again.images)
    assert (len(train), len(test)) == (2000, 500)
    for part in (train[:50], test):
        for mask, box, label in zip(part.masks, part.boxes, part.labels, strict=True):
            assert set(np.unique(mask)) == {0, label + 1}
            top, left, bottom, right = box
            inside = mask[top:bottom, left:right]
            assert np.count_nonzero(inside) == np.count_nonzero(mask)
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any()
    with pytest.raises(dl.DataError, match="square"):
        dl.data.named("shapes", (24, 32))


def test_a_folder_of_pictures(pictures):
    train, test = dl.data.named(f"folder:{pictures}", (8, 8))
    assert (train.classes, len(train), len(test)) == (("cat", "dog"), 8, 2)
    assert train.images[np.array([0, 5])].shape == (2, 8, 8, 3)
    assert train.images[3].shape == (8, 8, 3)
    batches = list(dl.data.Loader(train, batch=3, workers=2).epoch(0))
    assert [len(labels) for _, labels in batches] == [3, 3, 2]
    (pictures / ".git").mkdir()  # what tools hide is neither a class nor a picture
    (pictures / "cat" / "._0.png").write_bytes(b"")
    (pictures / "cat" / "album.png").mkdir()
    again = dl.data.image_folder(pictures, 8)
    assert ([len(one) for one in again], again.train.classes) == ([8, 2], train.classes)
    held = dl.data.image_folder(pictures, 8, held_out=0.99).test
    assert np.bincount(held.labels).tolist() == [4, 4]
    grey, _ = dl.data.image_folder(pictures, 6, grey=True)
    assert grey.images[:2].shape == (2, 6, 6, 1)
    for part in ("train", "test"):
        (pictures / part).mkdir()
        for name in ("cat", "dog"):
            (pictures / part / name).mkdir()
            source = pictures / name / "0.png"
            (pictures / part / name / "x.png").write_bytes(source.read_bytes())
    assert [len(one) for one in dl.data.image_folder(pictures, 8)] == [2, 2]


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(dl.Error, match=r"pip install 'minidl\[image\]'"):
        dl.data.image_folder(".")


# -- fetching ----------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on loopback that holds MNIST; the sums are made to fit."""
    home = makers.mnist(tmp_path / "mirror", packed=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(home))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(fetch.MIRROR, f"http://127.0.0.1:{server.server_port}/")
    sums = {
        one.name: f"sha256:{hashlib.sha256(one.read_bytes()).hexdigest()}"
        for one in home.iterdir()
    }
    monkeypatch.setattr(idx, "MNIST", fetch.Remote("", sums))
    yield home
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetching_when_asked(mirror, tmp_path):
    home = tmp_path / "here"
    with pytest.raises(dl.DataError, match=r"download=True.*which reads http://127"):
        dl.data.mnist(home)
    assert not home.exists()
    assert len(dl.data.mnist(home, download=True).train) == 60
    assert len(dl.data.mnist(home).test) == 20
    (home / f"{makers.IDX[0]}.gz").unlink()
    (mirror / f"{makers.IDX[0]}.gz").write_bytes(b"another file")
    with pytest.raises(dl.DataError, match="expected a file with the sha256 sum"):
        dl.data.mnist(home, download=True)
    (mirror / f"{makers.IDX[0]}.gz").unlink()
    with pytest.raises(dl.DataError, match="cannot be fetched: File not"):
        dl.data.mnist(home, download=True)
    assert len(list(home.iterdir())) == 3  # nothing half is left


def test_fetching_stops_at_a_size(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MOST", 10)
    with pytest.raises(dl.DataError, match="longer than 10 bytes"):
        dl.data.mnist(tmp_path / "here", download=True)


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv(fetch.MIRROR, "http://127.0.0.1:9/")
    with pytest.raises(dl.DataError, match="cannot be fetched"):
        dl.data.cifar10(tmp_path, download=True)


# -- whole runs on files in their formats ------------------------------------------


def test_recipes_from_files(tmp_path, capsys):
    from minidl import cli

    mnist, cifar_ = makers.mnist(tmp_path / "m"), makers.cifar10(tmp_path / "c")
    for words in (
        f"train lenet5 --data mnist:{mnist} --epochs 1 --batch 16",
        f"train lenet5 --variant modern --data fashion:{mnist} --epochs 1 --batch 16",
        f"train resnet20 --data cifar10:{cifar_} --epochs 1 --batch 32",
    ):
        out = tmp_path / "w.npz"
        assert cli.main([*words.split(), "--out", str(out)]) == 0
        assert "of 20 held-out images" in capsys.readouterr().out
        data = words.split()[words.split().index("--data") + 1]
        assert cli.main(["eval", str(out), "--data", data]) == 0
        capsys.readouterr()
    net = dl.load(out)
    assert net.graph.nodes["pixels"]["node"].op.dtype == "uint8"
