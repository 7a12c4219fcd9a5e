"""Laws that every op keeps, over the table of rooms: an op that is not in it fails."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from reference import ORACLE

import minidl as dl
from minidl.graph import Op
from minidl.ops import ROOMS, TABLE

CASES = [
    pytest.param(row, case, id=f"{name}-{i}")
    for name, row in TABLE.items()
    for i, case in enumerate(row.cases)
]
every_case = pytest.mark.parametrize(("row", "case"), CASES)

# ops that no function of their own makes, and why
MADE_OTHERWISE = {
    "FrozenBatchNorm": "what batch_norm is at inference",
}
RANDOM = {"dropout"}  # in training no oracle knows what was drawn


def network(row, case, dtype="float64"):
    """A model of one node, its parameters anywhere."""
    inputs = [dl.Input(shape) for shape in case.shapes]
    if row.labels:
        inputs[-1] = dl.Input(case.shapes[-1], dtype="int64")
    node = row.build(*([inputs] if row.variadic else inputs), **case.settings)
    net = dl.Model(inputs, node, dtype=dtype)
    rng = np.random.default_rng(1)
    for value in net.parameters.values():
        value[...] = rng.uniform(-1, 1, value.shape).astype("float32")
    for value in net.buffers.values():
        if value.dtype == dtype:  # a variance is positive
            value[...] = rng.uniform(0.5, 1.5, value.shape).astype("float32")
    return net


def point(row, case, batch=3, dtype="float64", seed=2):
    """Inputs in the row's range; no two numbers near each other, or near 0."""
    rng = np.random.default_rng(seed)
    shapes = [(batch, *shape) for shape in case.shapes]
    sizes = [int(np.prod(shape)) for shape in shapes]
    low, high = row.range
    n = sum(sizes)
    values = low + (high - low) * (np.arange(n) + rng.uniform(0.3, 0.7, n)) / n
    values = rng.permutation(values)
    found = []
    for shape, size in zip(shapes, sizes, strict=True):
        found.append(values[:size].reshape(shape).astype(dtype))
        values = values[size:]
    if row.labels:
        found[-1] = rng.integers(0, row.labels, shapes[-1])
    return tuple(found)


def theta(net, kind):
    """Parameters and buffers by local name, in another type."""
    both = {**net.parameters, **net.buffers}
    return {
        key.rpartition(".")[2]: value.astype(kind) if value.dtype.kind == "f" else value
        for key, value in both.items()
    }


def expected(row, case, net, z, kind="longdouble", **more):
    """What the oracle says."""
    z = [one.astype(kind) if one.dtype.kind == "f" else one for one in z]
    z = [z] if row.variadic else z
    settings = case.settings | theta(net, kind) | more
    return ORACLE[row.build.__name__](*z, **settings)


def near(a, b, dtype):
    """Assert that two arrays agree to what their type can hold."""
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    scale = max(1.0, float(abs(b).max())) if np.size(b) else 1.0
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(
        a, np.asarray(b, "float64"), rtol=tolerance, atol=tolerance * scale
    )


def everything(net, z, epsilon, train):
    """All results of a forward and adjoint pass, by name."""
    x = net(*z, train=train)
    delta, g = net.adjoint(z, epsilon, train=train)
    found = {f"delta{i}": one for i, one in enumerate(delta) if one is not None}
    return {"x": x, **found, **g, **{k: v.copy() for k, v in net.buffers.items()}}


@every_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forward_is_the_oracle(row, case, dtype):
    net = network(row, case, dtype)
    z = point(row, case, dtype=dtype)
    if row.build.__name__ not in RANDOM:
        near(net(*z, train=True), expected(row, case, net, z, train=True), dtype)
    near(net(*z), expected(row, case, net, z), dtype)


@every_case
@pytest.mark.parametrize("batch", [1, 3])
def test_adjoint_identity(row, case, batch):
    net = network(row, case)
    (name,) = net.outputs
    node = net.graph.nodes[name]["node"]
    report = dl.check.adjoint(node, 1e-10, z=point(row, case, batch))
    assert report.ok, f"\n{report}"


@every_case
def test_gradient(row, case):
    net = network(row, case)
    (name,) = net.outputs
    node = net.graph.nodes[name]["node"]
    report = dl.check.gradient(node, 1e-6, 1e-5, 1e-3, z=point(row, case))
    assert report.ok, f"\n{report}"


@every_case
@pytest.mark.parametrize("train", [True, False])
def test_single_precision_is_near_double(row, case, train):
    found = {}
    for dtype in ("float32", "float64"):
        net = network(row, case, dtype)
        z = point(row, case, dtype="float32")
        epsilon = np.random.default_rng(3).uniform(-1, 1, net(*z).shape)
        found[dtype] = everything(net, z, epsilon.astype("float32"), train)
    for key, value in found["float32"].items():
        scale = max(1.0, abs(found["float64"][key]).max(initial=0))
        np.testing.assert_allclose(
            value, found["float64"][key], rtol=1e-3, atol=1e-4 * scale, err_msg=key
        )


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(row, case, dtype):
    size = sum(int(np.prod(shape)) for shape in case.shapes)
    batch = max(3, 150_000 // max(size, 1))  # enough work to wake threads
    z = point(row, case, batch, dtype)
    found = []
    before = dl.get_threads()
    try:
        for threads in (1, 2, 3, 4):
            dl.set_threads(threads)
            net = network(row, case, dtype)
            x = net(*z)
            epsilon = np.random.default_rng(3).uniform(-1, 1, x.shape).astype(dtype)
            found.append(everything(net, z, epsilon, True))
    finally:
        dl.set_threads(before)
    for other in found[1:]:
        for key, value in found[0].items():
            assert value.tobytes() == other[key].tobytes(), key


@every_case
def test_nan_comes_through(row, case):
    net = network(row, case)
    z = point(row, case)
    epsilon = np.random.default_rng(3).uniform(0.5, 1, net(*z).shape)
    delta, g = net.adjoint(z, epsilon)
    lost, g_lost = net.adjoint(z, epsilon * np.nan)
    pairs = [*zip(delta, lost, strict=True), *((g[k], g_lost[k]) for k in g)]
    for good, bad in pairs:
        assert good is None or np.isnan(bad[good != 0]).all()
    z[0].flat[z[0].size // 2] = np.nan
    with np.errstate(invalid="ignore"):
        lost = np.isnan(np.asarray(expected(row, case, net, z), "float64"))
    assert np.isnan(net(*z)[lost]).all()


def test_dropout_keeps_or_drops():
    z = np.random.default_rng(0).uniform(1, 2, (8, 1000))
    node = dl.Input((1000,))
    net = dl.Model(node, dl.dropout(node, rate=0.25, name="D1"), dtype="float64")
    before = net.buffers["D1.draws"].copy()
    x = net(z, train=True)
    assert np.allclose(x[x != 0], z[x != 0] / 0.75)
    assert 0.22 < (x == 0).mean() < 0.28
    assert not np.array_equal(x, net(z, train=True)), "every pass draws anew"
    net.buffers["D1.draws"][...] = before
    assert np.array_equal(x, net(z, train=True)), "a draw follows from the buffer"
    net.buffers["D1.draws"][...] = before
    delta, _ = net.adjoint(z, np.ones_like(z), train=True)
    assert np.array_equal(delta, np.where(x == 0, 0, 1 / 0.75))


def test_every_op_is_in_the_table():
    known = {row.op for row in TABLE.values()}
    missing = []
    for room in ROOMS:
        for name, one in inspect.getmembers(room, inspect.isclass):
            mine = issubclass(one, Op) and one.__module__ == room.__name__
            whole = mine and "__dataclass_params__" in vars(one)
            if whole and one not in known and name not in MADE_OTHERWISE:
                missing.append(name)
    assert not missing, "neither in the table nor in MADE_OTHERWISE"
    assert set(TABLE) <= set(ORACLE), "without an oracle"


def test_every_class_says_its_formula():
    for name, row in TABLE.items():
        text = row.op.formula or row.op.__doc__ or ""
        assert "=" in text, name
        assert "delta" in text or "g." in text or "g_" in text, name


@pytest.mark.parametrize("name", TABLE)
def test_every_builder_shows_itself(name):
    text = inspect.getdoc(TABLE[name].build) or ""
    assert ">>>" in text, f"{name} has no example"


def modules():
    """All modules of the package."""
    found = pkgutil.walk_packages(dl.__path__, "minidl.")
    skip = ("minidl._ext.", "minidl.__main__")
    return sorted(one.name for one in found if not one.name.startswith(skip))


@pytest.mark.parametrize("name", ["minidl", *modules()])
def test_examples_run(name):
    found = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert found.failed == 0
