"""Files of weights: minidl's own, published names and layouts, and broken ones."""

import json
import struct
import warnings

import makers
import numpy as np
import pytest

import minidl as dl
from minidl.exchange import safetensors, weights


def network(seed=0, head=5):
    """What checkpoints have: convolutions, grouped too, norms, a flatten, two heads."""
    z = dl.Input((6, 5, 4), name="image")
    x = dl.conv(z, 8, (3, 2), groups=2, name="features.0")
    x = dl.relu(dl.batch_norm(x, name="features.1"))
    x = dl.dropout(dl.flatten(x), 0.5, name="drop")
    x = dl.relu(dl.dense(x, 7, name="classifier.0"))
    return dl.Model(z, dl.dense(x, head, name="classifier.3"), name="net", seed=seed)


def as_published(net, rng):
    """The same parameters as torch holds them; and the arrays to look for."""
    p, b = net.parameters, net.buffers
    for name in (*p, *b):
        if b.get(name) is None or b[name].dtype.kind == "f":
            array = p[name] if name in p else b[name]
            array[...] = rng.random(array.shape) + 0.5
    h, w, c = 4, 4, 8
    first = p["classifier.0.w"].reshape(h, w, c, 7)
    return {
        "features.0.weight": p["features.0.w"].transpose(3, 2, 0, 1),
        "features.0.bias": p["features.0.b"],
        "features.1.weight": p["features.1.gamma"],
        "features.1.bias": p["features.1.beta"],
        "features.1.running_mean": b["features.1.mean"],
        "features.1.running_var": b["features.1.var"],
        "features.1.num_batches_tracked": np.array(7),
        "classifier.0.weight": first.transpose(3, 2, 0, 1).reshape(7, -1),
        "classifier.0.bias": p["classifier.0.b"],
        "classifier.3.weight": p["classifier.3.w"].T,
        "classifier.3.bias": p["classifier.3.b"],
    }


def learned(net):
    return {
        k: v.copy() for k, v in net.store.arrays.items() if not k.endswith("draws")
    }


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_is_written_is_read(tmp_path, suffix):
    net, path = network(), tmp_path / f"w{suffix}"
    net.save_weights(path)
    other = network(seed=1)
    assert other.load_weights(path) == ()
    same(dict(net.store.arrays), dict(other.store.arrays))


def test_a_saved_model_gives_its_weights(tmp_path):
    net, other = network(), network(seed=1)
    net.save(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    same(dict(net.store.arrays), dict(other.store.arrays))


@pytest.mark.parametrize("change", ["none", "module", "timm", "half"])
def test_published_names_and_layouts(tmp_path, change):
    net, path = network(), tmp_path / "w.safetensors"
    given = as_published(net, np.random.default_rng(0))
    wanted, exact = learned(net), True
    if change == "module":
        given = {f"module.{k}": v for k, v in given.items()}
    elif change == "timm":
        w = given.pop("classifier.0.weight").reshape(7, 8, 4, 4)
        given["pre_logits.fc1.weight"] = w
        given["pre_logits.fc1.bias"] = given.pop("classifier.0.bias")
        second = given.pop("classifier.3.weight").reshape(5, 7, 1, 1)
        given["pre_logits.fc2.weight"] = second
    elif change == "half":
        given, exact = {k: v.astype("float16") for k, v in given.items()}, False
    safetensors.write(path, given)
    other = network(seed=1)
    other.load_weights(path)
    if exact:
        same(learned(other), wanted)
    for name, array in learned(other).items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-3)


def test_old_densenets():
    name = "features.denseblock1.denselayer2.norm.1.weight"
    net = dl.models.densenet_bc_100_12()
    places = weights.published(net)
    assert "features.denseblock1.denselayer2.norm1.weight" in places
    given, _ = weights.translated(net, {name: np.zeros(12)})
    assert list(given) == ["features.denseblock1.denselayer2.norm1.gamma"]


def test_every_misfit_is_named_and_nothing_is_loaded(tmp_path):
    path = tmp_path / "w.safetensors"
    given = as_published(network(), np.random.default_rng(0))
    del given["features.1.running_var"]
    given["extra.weight"] = np.zeros(3, "float32")
    given["classifier.3.weight"] = np.zeros((9, 7), "float32")
    safetensors.write(path, given)
    other = network(seed=1)
    before = learned(other)
    with pytest.raises(dl.CheckpointError) as caught:
        other.load_weights(path)
    for words in (
        "nothing was loaded", "features.1.var is missing", "extra.weight is unknown",
        "classifier.3.w: expected (7, 5) float32, got (7, 9) float32", str(path),
    ):  # fmt: skip
        assert words in str(caught.value)
    same(learned(other), before)
    wrong = other.load_weights(path, strict=False)
    assert len(wrong) == 3
    found = learned(other)
    np.testing.assert_array_equal(found["classifier.3.w"], before["classifier.3.w"])
    np.testing.assert_array_equal(
        found["classifier.0.b"], given["classifier.0.bias"]
    )


def test_arrays_that_are_not_contiguous_are_written_as_they_look(tmp_path):
    path = tmp_path / "w.safetensors"
    array = np.arange(24.0).reshape(2, 3, 4)
    safetensors.write(path, {"a": array.transpose(2, 0, 1), "b": array[:, ::-1, ::2]})
    found = safetensors.read(path)
    np.testing.assert_array_equal(found["a"], array.transpose(2, 0, 1))
    np.testing.assert_array_equal(found["b"], array[:, ::-1, ::2])


def test_brain_floats(tmp_path):
    path = tmp_path / "w.safetensors"
    head = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    path.write_bytes(packed(head, b"\x80\x3f\x40\xc0"))
    np.testing.assert_array_equal(safetensors.read(path)["a"], [1.0, -3.0])


def packed(head, data=b"", length=None):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(**more):
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | more}


BROKEN = {
    "empty": (b"", "byte 0: expected the length"),
    "seven bytes": (b"1234567", "got 7 bytes"),
    "a header of exabytes": (b"\xff" * 8 + b"{}", "says that its header has"),
    "a header longer than the file": (packed(one(), length=999), "the file has"),
    "not JSON": (packed(b"hello world"), "Expecting value"),
    "not UTF-8": (packed(b"\xff\xfe{}"), "sound safetensors"),
    "a list": (packed([1, 2]), "expected a JSON object"),
    "deep": (packed(b"[" * 100_000), "sound safetensors"),
    "an entry that is a number": (packed({"a": 3}), "a: expected dtype"),
    "no offsets": (packed({"a": {"dtype": "F32", "shape": []}}), "a: expected dtype"),
    "an unknown type": (packed(one(dtype="F8"), bytes(8)), "type 'F8'"),
    "a type that is a list": (packed(one(dtype=["F32"]), bytes(8)), "type"),
    "a negative size": (packed(one(shape=[-2]), bytes(8)), "shape"),
    "a size that is a float": (packed(one(shape=[2.0]), bytes(8)), "shape"),
    "a size that is a bool": (packed(one(shape=[True, 2]), bytes(8)), "shape"),
    "a shape that is a word": (packed(one(shape="22"), bytes(8)), "shape"),
    "a size of exabytes": (packed(one(shape=[1 << 60]), bytes(8)), "shape"),
    "sizes that overflow": (packed(one(shape=[1 << 40] * 3), bytes(8)), "is 5,3"),
    "too many axes": (packed(one(shape=[1] * 17 + [2]), bytes(8)), "shape"),
    "a shape that lies": (packed(one(shape=[3]), bytes(8)), "12 bytes"),
    "one offset": (packed(one(data_offsets=[0]), bytes(8)), "two numbers"),
    "negative offsets": (packed(one(data_offsets=[-8, 0]), bytes(8)), "two numbers"),
    "offsets turned round": (packed(one(data_offsets=[8, 0]), bytes(8)), "8 to 0"),
    "offsets beyond the end": (packed(one(data_offsets=[8, 16]), bytes(8)), "a hole"),
    "data cut": (packed(one(), bytes(7)), "8 bytes of data, the file 7"),
    "data padded": (packed(one(), bytes(9)), "8 bytes of data, the file 9"),
    "overlap": (packed(one() | {"b": one()["a"]}, bytes(8)), "overlap"),
    "a hole": (
        packed(one() | {"b": one(data_offsets=[12, 20])["a"]}, bytes(20)), "hole at 8"
    ),
    "a double name": (
        packed(b'{"a": %s, "a": %s}' % ((json.dumps(one()["a"]).encode(),) * 2),
               bytes(8)),
        "'a' is there twice",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_safetensors(name, tmp_path):
    data, words = BROKEN[name]
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(dl.CheckpointError, match=words) as caught:
        network().load_weights(path)
    assert str(path) in str(caught.value)


NPY = makers.npy(np.zeros(5, "float32"))
BROKEN_NPZ = {
    "not a zip": (b"PK\3\4 hello", "not a file of weights"),
    "empty": (b"", "not a file of weights"),
    "another network": ([("C1.w.npy", NPY)], "C1.w is unknown"),
    "no arrays": ([], "is missing"),
    "objects": ([("a.npy", makers.npy(np.zeros(2), kind="|O"))], "Python objects"),
    "twice": ([("a.npy", NPY), ("a.npy", NPY)], "twice"),
    "a path": ([("../a.npy", NPY)], "../a is unknown"),
    "a text": ([("a.txt", b"x")], "is not a .npy"),
    "another type": (
        [("classifier.3.b.npy", makers.npy(np.zeros(5, "<U3")))], "expected .5,. float"
    ),
    "a header that lies": (
        [("a.npy", makers.npy(np.zeros(2), shape=(1 << 50,)))], "but has"
    ),
}


@pytest.mark.parametrize("name", BROKEN_NPZ)
def test_broken_npz(name, tmp_path):
    data, words = BROKEN_NPZ[name]
    path = tmp_path / "w.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the double name
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            makers.npz(path, data)
    with pytest.raises(dl.CheckpointError, match=words):
        network().load_weights(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl"])
def test_pickles_are_refused(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'echo hello'\ntR.")
    with pytest.raises(dl.CheckpointError, match=r"pickle.*torch.save_file"):
        network().load_weights(path)


def test_other_files(tmp_path):
    with pytest.raises(dl.CheckpointError, match="cannot be read: No such file"):
        network().load_weights(tmp_path / "none.safetensors")
    with pytest.raises(dl.CheckpointError, match=r"ends with .npz or .safetensors"):
        network().save_weights(tmp_path / "w.h5")
    with pytest.raises(dl.DataError, match="cannot write"):
        network().save_weights(tmp_path / "none" / "w.safetensors")
    with pytest.raises(dl.CheckpointError, match="safetensors does not know"):
        safetensors.write(tmp_path / "w.safetensors", {"a": np.array(["x"])})
