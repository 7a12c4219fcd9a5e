"""On whole numbers a sum has one value in any order: kernels equal naive loops exactly.

Every instruction-set level that this machine runs, 1 to 4 threads, forward and adjoint.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import reference
from direct import both, run, space

import minidl as dl
from minidl import _ext
from minidl.graph import Tail
from minidl.ops import depthwise, winograd
from minidl.ops.average import AvgPool
from minidl.ops.conv import Conv
from minidl.ops.dense import Dense
from minidl.ops.pool import MaxPool

LEVELS = _ext.levels()


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    """Kernels of one instruction-set level."""
    monkeypatch.setattr(_ext, "level", lambda: request.param)
    yield request.param
    _ext.set_threads(2)


def whole(rng, shape, dtype="float32"):
    """Small whole numbers: every product and sum below is exact."""
    return rng.integers(-4, 5, shape).astype(dtype)


def small(rng, options):
    return int(rng.choice(options))


def adjoint_of_linear(forward, shape, epsilon):
    """J^T epsilon of a linear map, column by column."""
    found = np.zeros(shape)
    for i in range(found.size):
        one = np.zeros(shape)
        one.flat[i] = 1
        found.flat[i] = (forward(one) * epsilon).sum()
    return found


def conv_case(seed):
    """A convolution, and arrays for it."""
    rng = np.random.default_rng(seed)
    groups = small(rng, [1, 1, 1, 2, 3])
    c, f = groups * small(rng, [1, 2, 3, 6, 17]), groups * small(rng, [1, 2, 5, 17, 33])
    kernel = (small(rng, [1, 2, 3, 5]), small(rng, [1, 3, 4]))
    dilation = (small(rng, [1, 1, 2]), small(rng, [1, 1, 2]))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    size = [n + small(rng, [1, 2, 3, 6]) for n in reach]
    op = Conv(
        f, kernel, stride=(small(rng, [1, 1, 2, 3]), small(rng, [1, 2, 3])),
        pad=((small(rng, [0, 1]), small(rng, [0, 2])), (small(rng, [0, 1, 2]), 0)),
        dilation=dilation, groups=groups, flip=bool(rng.integers(2)), algorithm="rows",
    )
    z = whole(rng, (small(rng, [1, 2, 5]), *size, c))
    theta = {k: whole(rng, p.shape) for k, p in op.infer(z.shape[1:]).theta.items()}
    return op, z, theta


def depthwise_case(seed):
    """A convolution whose groups have 1, 2 or 4 channels, and arrays for it."""
    rng = np.random.default_rng(seed)
    groups = small(rng, [2, 3, 15, 16, 17, 33, 40])
    c = groups * small(rng, [1, 1, 2, 4])
    kernel = (small(rng, [1, 2, 3, 5]), small(rng, [1, 3, 4, 7]))
    dilation = (small(rng, [1, 1, 2, 3]), small(rng, [1, 1, 2]))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    size = [n + small(rng, [1, 2, 3, 6, 11]) for n in reach]
    op = Conv(
        c, kernel, stride=(small(rng, [1, 1, 2, 3]), small(rng, [1, 1, 2, 3])),
        pad=((small(rng, [0, 1, 3]), small(rng, [0, 2])), (small(rng, [0, 2, 3]), 1)),
        dilation=dilation, groups=groups, flip=bool(rng.integers(2)),
    )
    z = whole(rng, (small(rng, [1, 2, 5]), *size, c))
    theta = {k: whole(rng, p.shape) for k, p in op.infer(z.shape[1:]).theta.items()}
    return op, z, theta


def settings(op):
    return {name: getattr(op, name) for name in op.__dataclass_fields__}


@pytest.mark.parametrize("block", range(10))
def test_convolution_equals_naive_loops(level, block):
    for seed in range(150 * block, 150 * block + 150):
        op, z, theta = conv_case(seed)
        x = reference.conv(z.astype(float), theta["w"], theta["b"], **settings(op))
        results = []
        for threads in (1, 2, 3, 4):
            _ext.set_threads(threads)
            results.append(both(op, z, theta))
            np.testing.assert_array_equal(results[-1][0], x, err_msg=f"{seed} {op}")
        for other in results[1:]:
            np.testing.assert_array_equal(other[1], results[0][1])
            np.testing.assert_array_equal(other[2]["w"], results[0][2]["w"])


@pytest.mark.parametrize("seed", range(0, 1500, 30))
def test_convolution_adjoints_equal_naive_loops(level, seed):
    op, z, theta = conv_case(seed)
    rng = np.random.default_rng(seed)
    w, b, s = theta["w"].astype(float), theta["b"], settings(op)
    x = reference.conv(z, w, b, **s)
    epsilon = whole(rng, x.shape)
    _, delta, g = both(op, z, theta, epsilon)
    image = adjoint_of_linear(
        lambda one: reference.conv(one[None], w, None, **s), z.shape[1:], epsilon[:1]
    )
    np.testing.assert_array_equal(delta[0], image)
    # sum_mn epsilon conv(z, w) is linear in w: contract it with z once per tap
    taps = reference.im2col(
        z.astype(float), op.kernel, op.stride, op.pad, op.dilation
    ).reshape(*x.shape[:3], *op.kernel, op.groups, -1)
    parts = epsilon.reshape(*x.shape[:3], op.groups, -1)
    g_w = np.einsum("nijrsgc,nijgf->rscgf", taps, parts).reshape(w.shape)
    np.testing.assert_array_equal(g["w"], g_w[::-1, ::-1] if op.flip else g_w)
    np.testing.assert_array_equal(g["b"], epsilon.sum((0, 1, 2)))


@pytest.mark.parametrize(
    ("shape", "f", "kernel", "stride", "pad"),
    [
        ((4, 64, 64, 32), 256, 1, 1, 0),  # a large x
        ((1, 14, 14, 1024), 320, 1, 1, 0),  # large weights, and one sum for g
        ((1, 28, 28, 256), 512, 3, 2, 1),
        ((1, 25, 25, 1024), 1024, 1, 1, 0),  # blocks of z are copied
        ((2, 120, 120, 3), 64, 7, 2, 3),  # short rows of z, a large x
        ((1, 31, 29, 128), 96, 3, 1, 2),
    ],
)
def test_large_convolutions_are_exact(level, shape, f, kernel, stride, pad):
    """Where arrays do not fit a cache, work is split and asked for in other ways."""
    rng = np.random.default_rng(0)
    op = Conv(f, kernel, stride, pad, algorithm="rows")
    z, w = whole(rng, shape), whole(rng, (kernel, kernel, shape[-1], f))
    taps = reference.im2col(z.astype(float), (kernel, kernel), stride, pad)
    x = taps @ w.reshape(-1, f).astype(float)
    epsilon, v = whole(rng, x.shape), whole(rng, shape).astype(float)
    g_w = taps.reshape(-1, taps.shape[-1]).T @ epsilon.reshape(-1, f).astype(float)
    image = reference.im2col(v, (kernel, kernel), stride, pad) @ w.reshape(-1, f)
    for threads in (1, 2, 3):
        _ext.set_threads(threads)
        theta = {"w": w, "b": np.zeros(f, "float32")}
        found, delta, g = both(op, z, theta, epsilon)
        np.testing.assert_array_equal(found, x)
        np.testing.assert_array_equal(g["w"].reshape(g_w.shape), g_w)
        assert (image * epsilon).sum() == (v * delta).sum()


@pytest.mark.parametrize("block", range(4))
def test_depthwise_convolution_equals_naive_loops(level, block):
    for seed in range(30 * block, 30 * block + 30):
        op, z, theta = depthwise_case(seed)
        rng = np.random.default_rng(seed)
        w, s = theta["w"].astype(float), settings(op)
        x = reference.conv(z.astype(float), w, theta["b"], **s)
        way = "depthwise" if level != "v2" or w.shape[2] < 4 else "rows"
        assert op.how(z.shape, x.shape, 4) == way
        assert op.exact().how(z.shape, x.shape, 4) == way
        epsilon, v = whole(rng, x.shape), whole(rng, z.shape).astype(float)
        patches = reference.im2col(
            z.astype(float), op.kernel, op.stride, op.pad, op.dilation
        ).reshape(*x.shape[:3], *op.kernel, op.groups, -1)
        e = epsilon.reshape(*x.shape[:3], op.groups, -1)
        g_w = np.einsum("nijrsgc,nijgf->rscgf", patches, e).reshape(w.shape)
        image = reference.conv(v, w, None, **s)
        for threads in (1, 2, 3, 4):
            _ext.set_threads(threads)
            found, delta, g = both(op, z, theta, epsilon)
            np.testing.assert_array_equal(found, x, err_msg=f"{seed} {op}")
            np.testing.assert_array_equal(g["w"], g_w[::-1, ::-1] if op.flip else g_w)
            np.testing.assert_array_equal(g["b"], epsilon.sum((0, 1, 2)))
            assert (image * epsilon).sum() == (v * delta).sum()


@pytest.mark.parametrize("seed", range(120))
def test_depthwise_delta_equals_the_rows(level, seed, monkeypatch):
    op, z, theta = depthwise_case(seed)
    epsilon = whole(np.random.default_rng(seed), (len(z), *op.infer(z.shape[1:]).x))
    _, delta, _ = both(op, z, theta, epsilon)
    monkeypatch.setattr(depthwise, "suits", lambda *_: False)
    x, by_rows, _ = both(op, z, theta, epsilon)
    assert op.how(z.shape, x.shape, 4) != "depthwise"
    np.testing.assert_array_equal(delta, by_rows)


@pytest.mark.parametrize("seed", range(0, 120, 10))
def test_depthwise_with_a_tail_equals_naive_loops(level, seed):
    op, z, theta = depthwise_case(seed)
    rng = np.random.default_rng(seed)
    x = reference.conv(z.astype(float), theta["w"], theta["b"], **settings(op))
    scale, shift = whole(rng, z.shape[-1:]), whole(rng, z.shape[-1:])
    add = whole(rng, x.shape)
    found = np.full(x.shape, np.nan, "float32")
    tail = Tail(scale, shift, add, "relu")
    book = op.book(z.shape, x.shape, 1, 4)
    held = SimpleNamespace(**theta, **space(book.const, z.dtype))
    run(op.prepare(held) if book.const else [])
    run(op.forward(z, held, found, None, np.empty(book.scratch, np.uint8), tail))
    np.testing.assert_array_equal(found, np.maximum(scale * x + shift + add, 0))


def test_depthwise_adds_the_same_bits_for_any_number_of_threads(level):
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        op, z = Conv(24, 3, pad=1, groups=12), rng.standard_normal((4, 33, 21, 24))
        theta = {"w": rng.standard_normal((3, 3, 2, 24)), "b": rng.standard_normal(24)}
        theta = {k: v.astype(dtype) for k, v in theta.items()}
        epsilon, z = rng.standard_normal(z.shape).astype(dtype), z.astype(dtype)
        results = []
        for threads in (1, 2, 3, 4):
            _ext.set_threads(threads)
            results.append(both(op, z, theta, epsilon))
        for x, delta, g in results[1:]:
            np.testing.assert_array_equal(x, results[0][0])
            np.testing.assert_array_equal(delta, results[0][1])
            np.testing.assert_array_equal(g["w"], results[0][2]["w"])


def test_dense_equals_naive_loops(level):
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, i, o = (small(rng, [1, 2, 33, 70, 259]), small(rng, [1, 3, 130, 700]),
                   small(rng, [1, 10, 17, 64, 270]))
        z, w, b = whole(rng, (n, i)), whole(rng, (i, o)), whole(rng, (o,))
        epsilon = whole(rng, (n, o))
        for threads in (1, 2, 3, 4):
            _ext.set_threads(threads)
            x, delta, g = both(Dense(o), z, {"w": w, "b": b}, epsilon)
            np.testing.assert_array_equal(x, z.astype(float) @ w + b)
            np.testing.assert_array_equal(delta, epsilon.astype(float) @ w.T)
            np.testing.assert_array_equal(g["w"], z.T.astype(float) @ epsilon)
            np.testing.assert_array_equal(g["b"], epsilon.sum(0))


def test_pooling_equals_naive_loops(level):
    for seed in range(300):
        rng = np.random.default_rng(seed)
        kernel, stride = small(rng, [1, 2, 3]), small(rng, [1, 2, 3])
        pad, c = small(rng, [0, 0, 1]) * (kernel > 1), small(rng, [1, 3, 16, 17, 40])
        z = whole(rng, (2, kernel + small(rng, [0, 1, 4]), kernel + 3, c))
        ceil = bool(rng.integers(2))
        top = MaxPool(kernel, stride, pad, ceil)
        mean = AvgPool(kernel, stride, pad, ceil)
        s = {"kernel": kernel, "stride": stride, "pad": pad, "ceil": ceil}
        results = []
        for threads in (1, 2, 3, 4):
            _ext.set_threads(threads)
            x, delta, _ = both(top, z, {})
            np.testing.assert_array_equal(x, reference.max_pool(z, **s))
            assert delta.sum() == x.size  # each window hands its epsilon to one entry
            y, delta_mean, _ = both(mean, z, {})
            expected = reference.avg_pool(z.astype(float), **s)
            if kernel < 3:  # the mean of 1, 2 or 4 whole numbers is exact
                np.testing.assert_array_equal(y, expected)
            np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
            results.append((delta, y, delta_mean))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def relative(a, b):
    """|a - b| / |b|, as lengths."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize(
    ("shape", "f", "kernel", "pad", "flip"),
    [
        ((4, 4, 16), 1, 3, 1, False),
        ((7, 5, 17), 33, 3, 1, True),
        ((9, 13, 8), 40, 3, 0, False),
        ((12, 6, 64), 16, 3, 2, True),
        ((28, 28, 64), 64, 3, 1, False),
        ((5, 8, 16), 1, 5, 0, False),
        ((7, 5, 17), 33, 5, 2, True),
        ((9, 13, 8), 40, 5, 4, False),
        ((27, 27, 96), 64, 5, 2, False),
    ],
)
def test_winograd_is_as_near_as_it_says(
    level, shape, f, kernel, pad, flip, monkeypatch
):
    """Relative L2 error against float64 at most 3e-5, rows at most 1e-6; same bits."""
    monkeypatch.setattr(winograd, "suits", lambda *_: True)
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, *shape)).astype("float32")
    fast, rows = (
        Conv(f, kernel, pad=pad, flip=flip, algorithm=a) for a in ("auto", "rows")
    )
    theta = {
        k: rng.standard_normal(p.shape).astype("float32")
        for k, p in fast.infer(shape).theta.items()
    }
    epsilon = rng.standard_normal((2, *fast.infer(shape).x)).astype("float32")
    double = {k: v.astype(float) for k, v in theta.items()}
    truth = both(rows, z.astype(float), double, epsilon.astype(float))
    results = []
    for threads in (1, 2, 3, 4):
        _ext.set_threads(threads)
        results.append(both(fast, z, theta, epsilon))
    for op, bound in ((fast, 3e-5), (rows, 1e-6)):
        x, delta, g = both(op, z, theta, epsilon)
        assert relative(x, truth[0]) < bound
        assert relative(delta, truth[1]) < bound
        assert relative(g["w"], truth[2]["w"]) < bound
    for x, delta, g in results[1:]:
        np.testing.assert_array_equal(x, results[0][0])
        np.testing.assert_array_equal(delta, results[0][1])
        np.testing.assert_array_equal(g["w"], results[0][2]["w"])


def test_trained_weights_are_as_near(monkeypatch):
    """The same on what a network has learnt, and on what it makes of images."""
    monkeypatch.setattr(winograd, "suits", lambda *_: True)
    image = dl.Input((16, 16, 1), name="image")
    one = dl.relu(dl.conv(image, 16, 3, pad=1, name="one"))
    two = dl.relu(dl.conv(one, 32, 3, pad=1, name="two"))
    three = dl.relu(dl.conv(dl.max_pool(two, 2), 32, 3, pad=1, name="three"))
    x = dl.dense(dl.flatten(three), 10)
    train, test = dl.data.digits(16)
    net = dl.Model(image, x)
    net.compile(optimiser=dl.optim.SGD(0.05, momentum=0.9))
    net.fit(train, 4, batch=32, log=lambda _: None)
    assert dl.evaluate(net, test).accuracy > 0.9
    inner = dl.Model(image, [one, two])
    for name, array in inner.parameters.items():
        array[...] = net.parameters[name]
    seen = inner(test.images[:8])
    rng = np.random.default_rng(0)
    for name, z in (("two", seen[0]), ("three", seen[1])):
        theta = {k: net.parameters[f"{name}.{k}"] for k in "wb"}
        fast, rows = (Conv(32, 3, pad=1, algorithm=a) for a in ("auto", "rows"))
        epsilon = rng.standard_normal((*z.shape[:3], 32)).astype("float32")
        double = {k: v.astype(float) for k, v in theta.items()}
        truth = both(rows, z.astype(float), double, epsilon.astype(float))
        for op, bound in ((fast, 3e-5), (rows, 1e-6)):
            x, delta, g = both(op, z, theta, epsilon)
            assert relative(x, truth[0]) < bound
            assert relative(delta, truth[1]) < bound
            assert relative(g["w"], truth[2]["w"]) < bound


def test_winograd_keeps_nan_and_infinity_inside_their_tiles():
    z = np.ones((1, 12, 12, 16), "float32")
    z[0, 1, 1, 3] = np.nan
    z[0, 10, 10, 3] = np.inf
    theta = {"w": np.ones((3, 3, 16, 16), "float32"), "b": np.zeros(16, "float32")}
    exact, _, _ = both(Conv(16, 3, pad=1, algorithm="rows"), z, theta)
    fast, _, _ = both(Conv(16, 3, pad=1), z, theta)
    bad = ~np.isfinite(exact)
    assert (~np.isfinite(fast))[bad].all()  # nothing that is lost looks whole
    assert np.isfinite(fast[:, 4:8, 4:8]).all()  # and it does not spread over tiles


def test_a_level_can_be_forced(monkeypatch):
    from minidl import Error

    _ext.level.cache_clear()
    monkeypatch.setenv("MINIDL_ISA", "v2")
    assert _ext.level() == "v2"
    _ext.level.cache_clear()
    monkeypatch.setenv("MINIDL_ISA", "v9")
    with pytest.raises(Error, match="v9: expected one of"):
        _ext.level()
    _ext.level.cache_clear()


def test_a_slice_is_some_channels_of_pixels_in_an_even_row():
    k, one = _ext.kernels(4), np.ones(4, "float32")
    whole = np.arange(2 * 3 * 5 * 8, dtype="float32").reshape(2, 3, 5, 8)
    x = np.empty((2, 3, 5, 4), "float32")
    k.ScaleShift(whole[..., 3:7], one, None, x)()
    np.testing.assert_array_equal(x, whole[..., 3:7])
    for wrong in (whole[..., ::2], whole[:, :, ::-1, :4], whole[:, :2, :4, :4]):
        with pytest.raises(ValueError, match="strides"):
            k.ScaleShift(wrong, one, None, np.empty(wrong.shape, "float32"))
