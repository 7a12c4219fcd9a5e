"""Bad input gets a dl.Error: what was expected, what came, where, what to do.

And the model stays as it was.
"""

import os

import networkx as nx
import numpy as np
import pytest

import minidl as dl

F = "float32"


def net():
    """A small classifier."""
    z = dl.Input((8, 8, 3), name="image")
    x = dl.max_pool(dl.relu(dl.conv(z, 4, kernel=3, name="C1")), 2, name="S2")
    return dl.Model(z, dl.dense(dl.flatten(x), 5, name="F3"), name="small")


def images(n=2):
    return np.ones((n, 8, 8, 3), F)


def call(x):
    return lambda: net()(x)


def step(labels, x=None):
    return lambda: net().train_step(images() if x is None else x, labels)


def image(shape=(8, 8, 3)):
    return dl.Input(shape, name="image")


def cycle():
    one = net()
    one.graph.add_edge("F3", "C1", slot=0)
    one(images())


def missing_slot():
    one = net()
    one.graph.remove_edge("image", "C1")
    one(images())


def stranger():
    one = net()
    one.graph.add_node("X")
    one.plan(2)


def two_graphs():
    a, b = image(), dl.Input((8, 8, 3), name="other")
    dl.Model(a, dl.add(a, b))


def twice():
    z = image()
    dl.Model(z, dl.relu(dl.relu(z, name="R"), name="R"))



def too_large():
    z = dl.Input((4096, 4096, 64), name="large")
    x = dl.conv(dl.conv(z, 512, kernel=3), 512, kernel=3)
    dl.Model(z, x, name="giant")(np.broadcast_to(np.float32(0), (8, 4096, 4096, 64)))


def too_many_parameters():
    z = dl.Input((10**6,))
    _ = dl.Model(z, dl.dense(z, 10**7), name="giant").parameters


def no_path():
    a, b = image(), dl.Input((4,), name="unused")
    dl.Model([a, b], dl.relu(a))


def shared_misfit():
    z = image()
    one = dl.conv(z, 4, kernel=3, name="C1")
    dl.conv(z, 5, kernel=3, name="C2", share=one)


def wrong_file(tmp_path_text):
    path = os.path.join(os.environ["MINIDL_TEST_DIR"], "w.npz")
    with open(path, "w") as file:
        file.write(tmp_path_text)
    dl.load(path)


# what is done, the error, and words that the message must hold
CASES = {
    # arrays
    "no batch axis": (call(np.ones((8, 8, 3), F)), dl.DataError, r"image: .*x\[None\]"),
    "rank 2": (call(np.ones((2, 192), F)), dl.DataError, r"batch, 8, 8, 3.*\(2, 192\)"),
    "rank 5": (call(np.ones((1, 2, 8, 8, 3), F)), dl.DataError, "image: expected"),
    "channels first": (call(np.ones((2, 3, 8, 8), F)), dl.DataError, "transpose"),
    "one channel": (call(np.ones((2, 8, 8, 1), F)), dl.DataError, r"\(2, 8, 8, 1\)"),
    "wrong height": (call(np.ones((2, 9, 8, 3), F)), dl.DataError, r"\(2, 9, 8, 3\)"),
    "integers": (
        call(np.ones((2, 8, 8, 3), int)), dl.DataError, r"astype\('float32'\)"
    ),
    "uint8": (call(np.ones((2, 8, 8, 3), "u1")), dl.DataError, "got uint8"),
    "booleans": (call(np.ones((2, 8, 8, 3), bool)), dl.DataError, "got bool"),
    "complex": (call(np.ones((2, 8, 8, 3), complex)), dl.DataError, "got complex128"),
    "objects": (call(np.full((2, 8, 8, 3), None)), dl.DataError, "got object"),
    "strings": (call(np.full((2, 8, 8, 3), "a")), dl.DataError, "image: expected"),
    "none": (call(None), dl.DataError, "image: expected a float array"),
    "ragged": (call([[1.0], [2.0, 3.0]]), dl.DataError, "image: expected"),
    "empty batch": (call(np.ones((0, 8, 8, 3), F)), dl.DataError, "empty batch"),
    "two arrays for one": (
        lambda: net()(images(), images()), dl.DataError, "expected 1 array.*got 2"
    ),
    "no array": (lambda: net()(), dl.DataError, "expected 1 array.*got 0"),
    "empty open axis": (
        lambda: dl.Model(z := dl.Input((None, None, 1), name="any"), dl.relu(z))(
            np.ones((1, 0, 4, 1), F)
        ),
        dl.DataError, "any: .*empty",
    ),
    "input smaller than the kernel": (
        lambda: dl.Model(
            z := dl.Input((None, None, 1)), dl.conv(z, 1, kernel=5, name="C1")
        )(np.ones((1, 4, 9, 1), F)),
        dl.ShapeError, "C1: kernel 5 is larger than the padded height 4",
    ),
    # labels
    "labels too large": (step(np.array([0, 5])), dl.DataError, "classes 0 to 4.*got 5"),
    "labels negative": (step(np.array([-1, 0])), dl.DataError, "got -1 at entry 0"),
    "labels NaN": (step(np.array([0, np.nan])), dl.DataError, "NaN"),
    "labels as floats": (
        step(np.array([0.0, 1.0])), dl.DataError, r"astype\('int64'\)"
    ),
    "labels one-hot": (step(np.eye(5, dtype=int)[:2]), dl.DataError, r"shape \(2, 5\)"),
    "labels too few": (step(np.array([1])), dl.DataError, "differ in number"),
    "labels none": (step(None), dl.DataError, "labels: expected an integer array"),
    "labels strings": (step(np.array(["a", "b"])), dl.DataError, "labels: expected"),
    "fit without labels": (lambda: net().fit(images()[0]), dl.DataError, "labels"),
    "fit with none": (lambda: net().fit(None), dl.DataError, "got NoneType"),
    "fit lengths": (
        lambda: net().fit((images(3), np.array([0]))), dl.DataError, "as many labels"
    ),
    "fit batch 0": (
        lambda: net().fit((images(), np.array([0, 1])), batch=0), dl.Error, "batch"
    ),
    "fit epochs": (
        lambda: net().fit((images(), np.array([0, 1])), epochs=-1), dl.Error, "epochs"
    ),
    "unknown loss": (
        lambda: net().compile("entropy"), dl.Error, "softmax_cross_entropy"
    ),
    "negative learning rate": (lambda: dl.optim.SGD(lr=-1), dl.Error, "lr"),
    # epsilon
    "epsilon shape": (
        lambda: net().adjoint(images(), np.ones((2, 4), F)), dl.DataError,
        r"epsilon of F3: expected shape \(2, 5\).*\(2, 4\)",
    ),
    "epsilon of integers": (
        lambda: net().adjoint(images(), np.ones((2, 5), int)), dl.DataError, "epsilon"
    ),
    "epsilon at nowhere": (
        lambda: net().adjoint(images(), images(), at="C9"), dl.GraphError, "C9.*C1"
    ),
    "a rule for nobody": (
        lambda: net().adjoint(
            images(), np.ones((2, 5), F), rules={"relu9": lambda e, z, x: e}
        ),
        dl.GraphError, "relu9",
    ),
    # settings
    "kernel larger than input": (
        lambda: dl.conv(image((4, 4, 1)), 6, kernel=5, name="C3"), dl.ShapeError,
        "C3: kernel 5 is larger than the padded height 4.*use more padding",
    ),
    "dilated kernel": (
        lambda: dl.conv(image((4, 4, 1)), 6, kernel=3, dilation=2), dl.ShapeError,
        "dilated: 5",
    ),
    "pooling kernel": (
        lambda: dl.max_pool(image((4, 4, 1)), 5, name="S2"), dl.ShapeError, "S2: .*5"
    ),
    "stride 0": (
        lambda: dl.conv(image(), 4, kernel=3, stride=0), dl.ShapeError, "stride.*got 0"
    ),
    "stride negative": (
        lambda: dl.avg_pool(image(), 2, stride=-1), dl.ShapeError, "stride"
    ),
    "stride a float": (
        lambda: dl.conv(image(), 4, kernel=3, stride=1.5), dl.ShapeError, "got 1.5"
    ),
    "kernel 0": (lambda: dl.conv(image(), 4, kernel=0), dl.ShapeError, "kernel"),
    "kernel of three": (
        lambda: dl.conv(image(), 4, kernel=(3, 3, 3)), dl.ShapeError, "2 of them"
    ),
    "filters 0": (lambda: dl.conv(image(), 0, kernel=3), dl.ShapeError, "filters"),
    "dilation 0": (
        lambda: dl.conv(image(), 4, kernel=3, dilation=0), dl.ShapeError, "dilation"
    ),
    "pad word": (
        lambda: dl.conv(image(), 4, kernel=3, pad="some"), dl.ShapeError, '"same"'
    ),
    "pad negative": (
        lambda: dl.conv(image(), 4, kernel=3, pad=-1), dl.ShapeError, "pad"
    ),
    "groups that do not divide channels": (
        lambda: dl.conv(image(), 4, kernel=3, groups=2), dl.ShapeError,
        "groups=2 does not divide the 3 channels",
    ),
    "groups that do not divide filters": (
        lambda: dl.conv(image(), 4, kernel=3, groups=3), dl.ShapeError, "4 filters"
    ),
    "dense on an image": (
        lambda: dl.dense(image(), 4, name="F1"), dl.ShapeError, "F1: .*flatten"
    ),
    "conv on a vector": (
        lambda: dl.conv(dl.Input((9,)), 4, kernel=3), dl.ShapeError, "height, width"
    ),
    "add misfits": (
        lambda: dl.add(image(), dl.Input((8, 8, 4)), name="sum"), dl.ShapeError, "sum: "
    ),
    "concat misfits": (
        lambda: dl.concat([image(), dl.Input((4, 8, 3))]), dl.ShapeError, "concat"
    ),
    "reshape misfits": (lambda: dl.reshape(image(), (5, 5)), dl.ShapeError, "reshape"),
    "transpose misfits": (
        lambda: dl.transpose(image(), (0, 0, 1)), dl.ShapeError, "transpose"
    ),
    "crop too much": (lambda: dl.crop(image(), 4), dl.ShapeError, "crop"),
    "dropout of all": (lambda: dl.dropout(image(), 1.0), dl.ShapeError, "rate"),
    "maxout pieces": (lambda: dl.maxout(image(), 2), dl.ShapeError, "maxout"),
    "connection table": (
        lambda: dl.connection_conv(image(), ((0, 7),), kernel=3), dl.ShapeError, "table"
    ),
    "transposed to nothing": (
        lambda: dl.conv_transpose(image((1, 1, 3)), 2, kernel=1, pad=3), dl.ShapeError,
        "less padding",
    ),
    "transposed by a stride of a million": (
        lambda: dl.conv_transpose(image(), 2, kernel=3, stride=10**6), dl.ShapeError,
        "use several nodes of smaller strides",
    ),
    "local on open sizes": (
        lambda: dl.locally_connected(image((None, 8, 3)), 2, kernel=3), dl.ShapeError,
        "must be known",
    ),
    "dense on open sizes": (
        lambda: dl.dense(dl.flatten(image((None, 8, 3))), 2), dl.ShapeError, "known"
    ),
    "unknown initialiser": (
        lambda: dl.Model(z := image(), dl.conv(z, 4, kernel=3, init="best")).parameters,
        dl.Error, "he",
    ),
    "channels unknown": (lambda: image((8, 8, None)), dl.ShapeError, "channels"),
    "size 0": (lambda: image((0, 8, 3)), dl.ShapeError, "got 0"),
    "shape a number": (lambda: image(8), dl.ShapeError, "shape"),
    "shape a word": (lambda: image("8x8"), dl.ShapeError, "shape"),
    # graphs
    "an array for a node": (
        lambda: dl.conv(np.ones((8, 8, 3)), 4, kernel=3), dl.GraphError, "ndarray"
    ),
    "bytes to a convolution": (
        lambda: dl.conv(dl.Input((8, 8, 3), name="image", dtype="uint8"), 4, 3),
        dl.GraphError, "image holds uint8, expected real; put normalise between",
    ),
    "labels of the wrong type": (
        lambda: dl.softmax_cross_entropy(dl.Input((10,)), dl.Input(())),
        dl.GraphError, r'expected int64; declare it as Input\(\(\), dtype="int64"\)',
    ),
    "duplicate names": (twice, dl.GraphError, "two nodes are named 'R'"),
    "a cycle": (cycle, dl.GraphError, r"cycle: .*C1 .*->"),
    "a missing edge": (missing_slot, dl.GraphError, "C1: expected edges"),
    "a node without a Node": (stranger, dl.GraphError, "'X' in the graph"),
    "two graphs": (two_graphs, dl.GraphError, "other"),
    "an unused input": (no_path, dl.GraphError, "unused"),
    "an input that is none": (
        lambda: dl.Model(dl.relu(z := image()), dl.tanh(z)), dl.GraphError,
        "not an Input",
    ),
    "no output": (lambda: dl.Model(image(), []), dl.GraphError, "at least one"),
    "parameters that do not fit": (shared_misfit, dl.GraphError, "C2: cannot share"),
    "an empty name": (lambda: dl.relu(image(), name=""), dl.GraphError, "name"),
    "dtype": (
        lambda: dl.Model(image(), image(), dtype="int8"), dl.DataError, "float32"
    ),
    # sizes
    "more memory than there is": (too_large, dl.SizeError, "giant.*this machine has"),
    "more parameters than fit": (
        too_many_parameters, dl.SizeError, "giant: parameters"
    ),
    "training without a parameter": (
        lambda: dl.Model(z := image(), [dl.relu(z), dl.tanh(z)]).train_step(
            images(), images()
        ),
        dl.Error, "nothing learns: it has no parameters",
    ),
    "threads": (lambda: dl.set_threads(0), dl.Error, "set_threads"),
    "a million threads": (lambda: dl.set_threads(10**6), dl.Error, "1 to 1024"),
    # files
    "a file that is none": (
        lambda: dl.load("/nowhere/w.npz"), dl.CheckpointError, "/now"
    ),
    "a file of text": (
        lambda: wrong_file("hello"), dl.CheckpointError, "not a file of"
    ),
    "an unwritable path": (
        lambda: net().save("/nowhere/w.npz"), dl.DataError, "cannot write"
    ),
    "a folder as a file": (
        lambda: net().save(os.environ["MINIDL_TEST_DIR"]), dl.DataError,
        "it is a folder",
    ),
    "a diagram nowhere": (
        lambda: net().draw("/nowhere/x.svg"), dl.DataError, "cannot write"
    ),
    "a diagram of no format": (lambda: net().draw("x.xyz"), dl.DataError, "svg"),
    "an unknown parameter": (
        lambda: net().parameters.__setitem__("C1.w", np.ones(3)), dl.DataError, "C1.w"
    ),
    "a parameter to delete": (
        lambda: net().parameters.pop("C1.w"), dl.DataError, "deleted"
    ),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_TEST_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_says_what_was_expected(name):
    do, error, words = CASES[name]
    with pytest.raises(dl.Error, match=words) as caught:
        do()
    assert isinstance(caught.value, error), f"{type(caught.value)}: {caught.value}"
    assert len(str(caught.value)) < 600


def test_there_are_enough_cases():
    assert len(CASES) >= 60


def test_a_refused_step_leaves_the_model_as_it_was():
    one = net()
    one.train_step(images(), np.array([0, 1]))
    before = {k: v.copy() for k, v in one.parameters.items()}
    for bad in (np.array([0, 9]), np.array([0.5, 1]), np.array([0])):
        with pytest.raises(dl.Error):
            one.train_step(images(), bad)
    with pytest.raises(dl.DivergedError, match=r"loss is nan.*node image"):
        one.train_step(np.full((2, 8, 8, 3), np.nan, F), np.array([0, 1]))
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, before[name])


def test_a_loss_that_is_nan_names_the_node_and_keeps_the_statistics():
    z = dl.Input((8, 8, 3), name="image")
    x = dl.batch_norm(dl.conv(z, 4, kernel=3, name="C1"), name="N1")
    x = dl.dropout(dl.relu(dl.conv(x, 4, kernel=3, name="C2")), 0.2, name="D2")
    one = dl.Model(z, dl.dense(dl.flatten(x), 5, name="F3"))
    one.train_step(images(), np.array([0, 1]))
    one.parameters["C2.b"][1] = np.inf
    before = {k: v.copy() for k, v in one.buffers.items()}
    with pytest.raises(dl.DivergedError, match="node C2"):
        one.train_step(images(), np.array([0, 1]))
    assert set(before) == {"N1.mean", "N1.var", "D2.draws"}
    for name, value in one.buffers.items():
        np.testing.assert_array_equal(value, before[name])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    one = net()
    path = tmp_path / "w.npz"
    one.save(path)
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(dl.Error, match="No space left"):
        one.save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


def test_any_layout_of_an_array_works():
    one = net()
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(F)
    y = one(x)
    strided = np.zeros((8, 16, 8, 3), F)[::2, ::2]
    strided[...] = x
    fortran = np.asfortranarray(x)
    fixed = x.copy()
    fixed.flags.writeable = False
    for same in (strided, fortran, fixed, x[::-1][::-1], x.astype("float64").tolist()):
        np.testing.assert_array_equal(one(same), y)
    np.testing.assert_allclose(one(x.astype("float64")), y, rtol=1e-6)
    np.testing.assert_array_equal(one(x.astype(">f4")), y)


def test_a_graph_changed_by_hand_is_compiled_anew():
    one = net()
    x = images()
    before = one(x)
    one.graph.remove_edge("image", "C1")
    one.graph.add_node("N", node=dl.Node(dl.ops.TABLE["scale"].op(0.0), [
        one.graph.nodes["image"]["node"]]))
    one.graph.add_edge("image", "N", slot=0)
    one.graph.add_edge("N", "C1", slot=0)
    after = one(x)
    assert nx.has_path(one.graph, "N", "F3")
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, one(0 * x))
