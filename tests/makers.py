"""Files in the formats of the published sets, small."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np

IDX = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)  # fmt: skip


def idx(array):
    """The bytes of an IDX file."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def digits(n, seed=0):
    """Blobs at ten places: easy to tell apart; uint8 [n, 28, 28] and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = rng.integers(0, 60, (n, 28, 28))
    for image, label in zip(images, labels, strict=True):
        y, x = divmod(int(label), 4)
        image[3 + 8 * y : 9 + 8 * y, 1 + 7 * x : 7 + 7 * x] += 180
    return images.astype(np.uint8), labels.astype(np.uint8)


def mnist(folder, train=60, test=20, packed=False):
    """The four files of MNIST."""
    folder.mkdir(exist_ok=True)
    (a, b), (c, d) = digits(train), digits(test, 1)
    for name, array in zip(IDX, (a, b, c, d), strict=True):
        data = idx(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def records(n, label_bytes=1, classes=10, seed=0):
    """CIFAR's records: pictures whose brightness at a place tells the class."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 60, (n, label_bytes + 3072)).astype(np.uint8)
    labels = np.arange(n) % classes
    for row, label in zip(found, labels, strict=True):
        row[:label_bytes] = label
        planes = row[label_bytes:].reshape(3, 32, 32)
        y, x = divmod(int(label) % 10, 4)
        planes[:, 2 + 10 * y : 9 + 10 * y, 8 * x : 7 + 8 * x] += 180
    return found.tobytes()


def cifar10(folder, n=20):
    """The six files of CIFAR-10."""
    folder.mkdir(exist_ok=True)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    for i, name in enumerate(names):
        (folder / name).write_bytes(records(n, seed=i))
    return folder


def tar(path, members):
    """A tar.gz of (name, bytes); a tuple of two strings is a symbolic link."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members:
            one = tarfile.TarInfo(name)
            if isinstance(data, str):
                one.type, one.linkname = tarfile.SYMTYPE, data
                archive.addfile(one)
                continue
            one.size = len(data)
            archive.addfile(one, io.BytesIO(data))
    return path


def npy(array, shape=None, kind=None, data=None):
    """The bytes of a .npy, whose header may say something else."""
    head = {
        "descr": kind or array.dtype.str, "fortran_order": False,
        "shape": array.shape if shape is None else shape,
    }  # fmt: skip
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue() + (array.tobytes() if data is None else data)


def npz(path, entries, packed=False):
    """A zip of (name, bytes)."""
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path
