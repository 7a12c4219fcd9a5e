"""Files that are broken, and settings that are wrong: the reader says where."""

import gzip
import struct
import warnings

import makers
import numpy as np
import pytest

import minidl as dl
from minidl import npz
from minidl.data import cifar, folder as folders

GOOD = np.arange(24).reshape(2, 3, 4)
SIZES = struct.pack(">3I", 2, 3, 4)
BROKEN_IDX = {
    "empty": (b"", "byte 0: expected an IDX file.*got nothing"),
    "three bytes": (b"\0\0\x08", "byte 0"),
    "text": (b"hello world", "byte 0.*68 65 6c 6c"),
    "png": (b"\x89PNG\r\n\x1a\n", "byte 0"),
    "floats": (b"\0\0\x0d\3" + SIZES + bytes(96), "byte 2: expected type 8"),
    "signed": (b"\0\0\x09\3" + SIZES + bytes(24), "byte 2"),
    "no axes": (b"\0\0\x08\0", "byte 3: expected 3 axes, got 0"),
    "labels": (makers.idx(np.arange(5)), "byte 3: expected 3 axes, got 1"),
    "255 axes": (b"\0\0\x08\xff" + bytes(2000), "byte 3"),
    "half a header": (b"\0\0\x08\3" + SIZES[:7], "byte 11: it ends within its header"),
    "truncated": (makers.idx(GOOD)[:-1], "promises .2, 3, 4., so 40 bytes.*got 39"),
    "no data": (makers.idx(GOOD)[:16], "so 40 bytes in all, got 16"),
    "padded": (makers.idx(GOOD) + b"\0", "so 40 bytes in all, got 41"),
    "absurd": (b"\0\0\x08\3" + b"\xff" * 12 + bytes(9), "byte 4: its header promises"),
    "4 GiB": (b"\0\0\x08\3" + struct.pack(">3I", 1 << 16, 1 << 8, 1 << 8), "more than"),
    "gzip of nothing": (gzip.compress(b""), "byte 0"),
    "gzip cut": (gzip.compress(makers.idx(GOOD))[:-9], "gzip stream is damaged"),
    "gzip bad sum": (
        gzip.compress(makers.idx(GOOD))[:-8] + bytes(8), "cannot be read: CRC check"
    ),
    "gzip bad stream": (
        gzip.compress(makers.idx(GOOD))[:10] + b"\xff" * 40, "gzip stream is damaged"
    ),
    "gzip padded": (gzip.compress(makers.idx(GOOD) + b"\0"), "and it goes on"),
    "gzip truncated inside": (gzip.compress(makers.idx(GOOD)[:-3]), "got 21"),
    "gzip bomb": (
        gzip.compress(b"\0\0\x08\3" + struct.pack(">3I", 1, 1, 1) + bytes(1 << 20)),
        "and it goes on",
    ),
}


@pytest.mark.parametrize("name", BROKEN_IDX)
def test_broken_idx(name, tmp_path):
    data, words = BROKEN_IDX[name]
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(dl.DataError, match=words) as caught:
        dl.data.read_idx(path, 3)
    assert str(caught.value).startswith(str(path))


BROKEN_MNIST = {
    "nothing there": (lambda home: (home / makers.IDX[0]).unlink(), "no such file"),
    "counts differ": (
        lambda home: (home / makers.IDX[1]).write_bytes(makers.idx(np.arange(7))),
        "60 images.*7 labels",
    ),
    "a label too large": (
        lambda home: (home / makers.IDX[3]).write_bytes(
            makers.idx(np.array([0] * 19 + [10]))),
        "byte 27: expected a label from 0 to 9, got 10",
    ),
    "exchanged": (
        lambda home: (home / makers.IDX[0]).write_bytes(
            (home / makers.IDX[1]).read_bytes()),
        "expected 3 axes, got 1",
    ),
    "none at all": (
        lambda home: [
            (home / makers.IDX[0]).write_bytes(makers.idx(np.zeros((0, 28, 28)))),
            (home / makers.IDX[1]).write_bytes(makers.idx(np.zeros(0))),
        ],
        "which is nothing",
    ),
    "a folder": (
        lambda home: [
            (home / makers.IDX[0]).unlink(), (home / makers.IDX[0]).mkdir()
        ],
        "cannot be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_MNIST)
def test_broken_mnist(name, tmp_path):
    spoil, words = BROKEN_MNIST[name]
    spoil(makers.mnist(tmp_path))
    with pytest.raises(dl.DataError, match=words):
        dl.data.mnist(tmp_path)


RECORD = makers.records(1)
BROKEN_RECORDS = {
    "empty": (b"", "byte 0: expected records of 3,073 bytes, got 0"),
    "truncated": (RECORD[:-1], "byte 0.*0 records and 3,072"),
    "padded": (RECORD + b"\0", "byte 3073.*1 records and 1 bytes"),
    "label 10": (b"\x0a" + RECORD[1:], "byte 0: expected a label from 0 to 9, got 10"),
    "label 255 later": (RECORD + b"\xff" + RECORD[1:], "byte 3073.*got 255"),
    "text": (b"a" * 3073, "got 97"),
}


@pytest.mark.parametrize("name", BROKEN_RECORDS)
def test_broken_cifar(name, tmp_path):
    data, words = BROKEN_RECORDS[name]
    makers.cifar10(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(data)
    with pytest.raises(dl.DataError, match=words) as caught:
        dl.data.cifar10(tmp_path)
    assert "data_batch_2.bin" in str(caught.value)


BINS = [(name, RECORD) for group in cifar.TEN for name in group]
BROKEN_TARS = {
    "a file is missing": (BINS[:-1], "holds no test_batch.bin"),
    "twice": ([*BINS, BINS[0]], "holds data_batch_1.bin twice"),
    "a link to a file": (
        [*BINS[:-1], ("test_batch.bin", "/etc/passwd")], "holds no test_batch.bin"
    ),
    "another set": ([("train.bin", RECORD)], "holds no data_batch_1.bin"),
    "no members": ([], "holds no data_batch_1.bin"),
    "a member is broken": (
        [*BINS[:-1], ("x/test_batch.bin", RECORD[:9])], "test_batch.bin: byte 0"
    ),
}


@pytest.mark.parametrize("name", BROKEN_TARS)
def test_broken_archives(name, tmp_path):
    members, words = BROKEN_TARS[name]
    makers.tar(tmp_path / "cifar-10-binary.tar.gz", members)
    with pytest.raises(dl.DataError, match=words):
        dl.data.cifar10(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 99,
        lambda data: data[:40] + b"\xff" * 40 + data[80:],
        lambda data: gzip.compress(b"y" * 5000),
    ],
)  # fmt: skip
def test_archives_that_are_none(spoil, tmp_path):
    path = makers.tar(tmp_path / "cifar-10-binary.tar.gz", BINS)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(dl.DataError, match=str(path)):
        dl.data.cifar10(tmp_path)


def test_a_member_that_is_too_large(tmp_path, monkeypatch):
    makers.tar(tmp_path / "cifar-10-binary.tar.gz", BINS)
    monkeypatch.setattr(cifar, "MOST", 100)
    with pytest.raises(dl.DataError, match="is 3,073 bytes; more than 100"):
        dl.data.cifar10(tmp_path)
    makers.cifar10(tmp_path)
    with pytest.raises(dl.DataError, match="longer than 100 bytes"):
        dl.data.cifar10(tmp_path)


FLOATS = np.zeros((4, 2, 2, 1), "float32")
RNG = np.random.default_rng(0)
NPY = makers.npy(FLOATS)
LABELS = ("labels.npy", makers.npy(np.arange(4) % 2))
BROKEN_NPZ = {
    "not a zip": (b"hello", "is not a data set .*not a zip"),
    "empty": (b"", "not a zip"),
    "no entries": ([], "images, labels|labels, images"),
    "no labels": ([("images.npy", NPY)], "labels is missing"),
    "not arrays": ([("images.txt", b"x"), LABELS], "is not a .npy"),
    "twice": ([("images.npy", NPY), ("images.npy", NPY), LABELS], "is there twice"),
    "objects": (
        [("images.npy", makers.npy(FLOATS, kind="|O")), LABELS], "Python objects"
    ),
    "bad magic": ([("images.npy", b"\x93NUMPX" + NPY[6:]), LABELS], "magic"),
    "version 9": ([("images.npy", NPY[:6] + b"\x09\0" + NPY[8:]), LABELS], "format"),
    "cut header": ([("images.npy", NPY[:30]), LABELS], "array header"),
    "absurd header": (
        [("images.npy", makers.npy(FLOATS, shape=(1 << 40, 2))), LABELS], "but has"
    ),
    "negative shape": (
        [("images.npy", makers.npy(FLOATS, shape=(-4, 2))), LABELS], "images"
    ),
    "too little data": ([("images.npy", NPY[:-4]), LABELS], "of data"),
    "too much data": ([("images.npy", NPY + b"\0"), LABELS], "of data"),
    "code in the header": (
        [("images.npy", NPY.replace(b"(4, 2, 2, 1)", b"print('hi!')")), LABELS], "node"
    ),
    "images of one axis": (
        [("images.npy", makers.npy(np.zeros(4, "float32"))), LABELS], "images: expected"
    ),
    "images of words": (
        [("images.npy", makers.npy(np.full((4, 1, 1, 1), "a"))), LABELS], "images: exp"
    ),
    "images with NaN": (
        [("images.npy", makers.npy(FLOATS + np.float32(np.nan))), LABELS], "NaN"
    ),
    "labels of another length": (
        [("images.npy", NPY), ("labels.npy", makers.npy(np.arange(3)))], "labels: exp"
    ),
    "labels as floats": (
        [("images.npy", NPY), ("labels.npy", makers.npy(np.zeros(4)))], "labels: exp"
    ),
    "labels below 0": (
        [("images.npy", NPY), ("labels.npy", makers.npy(np.arange(4) - 1))], "labels: "
    ),
    "labels of billions": (
        [("images.npy", NPY), ("labels.npy", makers.npy(np.arange(4) + 10**9))], "lab"
    ),
    "one of a class": (
        [("images.npy", NPY), ("labels.npy", makers.npy(np.arange(4)))], "has one image"
    ),
    "images beyond float32": (
        [("images.npy", makers.npy(FLOATS + np.float64(1e300))), LABELS], "than float32"
    ),
    "images held out without labels": (
        [("images.npy", NPY), LABELS, ("test_images.npy", NPY)], "expected both"
    ),
    "images held out of another size": (
        [("images.npy", NPY), LABELS, ("test_labels.npy", LABELS[1]),
         ("test_images.npy", makers.npy(FLOATS[:, 1:]))], "got .*1, 2, 1"
    ),
    "a class that is only held out": (
        [("images.npy", NPY), LABELS, ("test_images.npy", NPY),
         ("test_labels.npy", makers.npy(np.arange(4)))], "classes 0 to 1, .* got 3"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_NPZ)
def test_broken_npz(name, tmp_path):
    data, words = BROKEN_NPZ[name]
    path = tmp_path / "x.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the double name
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            makers.npz(path, data)
    with pytest.raises(dl.DataError, match=words):
        dl.data.named(str(path))


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    zeros = makers.npy(np.zeros(1), shape=(1 << 24,), kind="<f8", data=bytes(1 << 27))
    path = makers.npz(tmp_path / "x.npz", [("images.npy", zeros)], packed=True)
    with pytest.raises(dl.DataError, match="bytes would unpack to 134,217,"):
        dl.data.named(str(path))


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "x.npz"
    npz.write(path, {"images": FLOATS, "labels": np.arange(4) % 2})
    whole = path.read_bytes()
    assert set(npz.read(path)) == {"images", "labels"}
    at = whole.index(FLOATS.tobytes() or b"")
    path.write_bytes(whole[:at] + b"\1" + whole[at + 1 :])
    with pytest.raises(dl.CheckpointError, match="CRC-32"):
        npz.read(path)
    # one that the zip itself does not see: its own checksum does
    entries = [("images.npy", NPY), LABELS]
    entries.append((f"{npz.SUM}.npy", makers.npy(np.zeros(32, np.uint8))))
    with pytest.raises(dl.CheckpointError, match="checksum"):
        npz.read(makers.npz(path, entries))


def test_broken_pictures(pictures, monkeypatch):
    for i, data in enumerate((b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(40))):
        path = pictures / "cat" / "0.png"
        path.write_bytes(data)
        train, test = dl.data.image_folder(pictures, 8, seed=i)
        with pytest.raises(dl.DataError, match=r"0\.png: is not a picture"):
            [part.images[:] for part in (train, test)]
    path.write_bytes((pictures / "cat" / "1.png").read_bytes())
    with pytest.raises(dl.DataError, match="there is no such file"):
        folders.Pictures([pictures / "gone.png"], (8, 8), False)[0]
    monkeypatch.setattr(folders, "MOST", 20)
    with pytest.raises(dl.DataError, match=r"has \d+ x \d+ pixels; more than 20"):
        dl.data.image_folder(pictures, 8)[0].images[:]


def test_a_photo_is_turned_as_its_camera_was_held(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 200
    photo = folders.pillow()[0].fromarray(pixels)
    about = photo.getexif()
    about[0x0112] = 6  # the top is at the right
    photo.save(tmp_path / "x.png", exif=about)
    found = folders.Pictures([tmp_path / "x.png"], (8, 8), True)[0]
    assert found[:4].min() == 200
    assert found[4:].max() == 0


def test_broken_folders(pictures, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        (tmp_path / "none", {}, "no such folder"), (empty, {}, "a folder for each"),
        (pictures, {"held_out": 1.5}, "held_out"), (pictures, {}, "holds no pictures"),
        (pictures, {"size": 0}, "size"),
    ]  # fmt: skip
    for home, settings, words in cases:
        with pytest.raises(dl.Error, match=words):
            dl.data.image_folder(home, **settings)
    empty.rmdir()
    (pictures / "one").mkdir()
    (pictures / "one" / "x.png").write_bytes((pictures / "cat" / "0.png").read_bytes())
    with pytest.raises(dl.DataError, match="two pictures at the least"):
        dl.data.image_folder(pictures)
    for part, names in (("train", ("a", "b")), ("test", ("a",))):
        for name in names:
            (pictures / part / name).mkdir(parents=True)
    with pytest.raises(dl.DataError, match="expected the same"):
        dl.data.image_folder(pictures)


def test_a_folder_that_is_closed(pictures, monkeypatch):
    def closed(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", closed)
    with pytest.raises(dl.DataError, match="cannot be read: Permission denied"):
        dl.data.image_folder(pictures)


@pytest.mark.parametrize("name", ["", "mnist", "mnist:", "cats:here", "x.zip", "digit"])
def test_unknown_sets(name):
    with pytest.raises(dl.DataError, match="expected one of digits"):
        dl.data.named(name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dl.data.shapes(classes=1), "2 to 6"),
        (lambda: dl.data.shapes(size=8), "size"),
        (lambda: dl.data.Shift(-1), "reach"), (lambda: dl.data.Flip(2.0), "share"),
        (lambda: dl.data.Mixup(3, a=0.0), "a: expected"),
        (lambda: dl.data.Mixup(3)(FLOATS, np.arange(4), RNG), "0 to 2 .* 0 to 3"),
        (lambda: dl.data.Mixup(3)(FLOATS, np.ones((4, 3)), RNG), "got float64"),
        (lambda: dl.data.Shift(999)(FLOATS, np.arange(4), RNG), "out of sight"),
        (lambda: dl.data.Loader((FLOATS, np.arange(4)), augment=[3]), "functions"),
        (lambda: dl.data.Loader((FLOATS, np.arange(4)), batch=0), "batch"),
        (lambda: dl.data.Loader((FLOATS, np.arange(3))), "as many labels"),
        (lambda: dl.data.Loader((FLOATS[:0], np.arange(0))), "at least one"),
    ],
)
def test_bad_settings(make, words):
    with pytest.raises(dl.Error, match=words):
        make()
