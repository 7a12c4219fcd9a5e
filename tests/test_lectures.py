"""The worked examples of the lectures, each with the numbers of its slide."""

from math import prod

import numpy as np

import minidl as dl

COLUMNS = [[-1, 0, 1]] * 3  # the kernel of the first examples


def rows(text):
    """A matrix from its rows, written as text; "3 * ..." repeats a row."""
    found = []
    for line in text.strip().splitlines():
        times, _, row = line.rpartition("*")
        found += [[float(v) for v in row.split()]] * int(times or 1)
    return np.array(found)


def square(height, width, *ones):
    """Zeros, with ones in the given part."""
    z = np.zeros((height, width))
    z[ones] = 1
    return z


def maps(z):
    """One image of one channel, as a batch."""
    return np.array(z, "float64")[None, ..., None]


def network(make, shape, **theta):
    """A model in float64 of the node that `make` gives, with these parameters."""
    z = dl.Input(shape, name="z")
    net = dl.Model(z, make(z), dtype="float64")
    for name, value in theta.items():
        (key,) = [k for k in net.parameters if k.endswith(f".{name}")]
        net.parameters[key][...] = np.reshape(value, net.parameters[key].shape)
    return net


def run(make, z, **theta):
    """What `make` turns the matrix z into."""
    z = np.array(z, "float64")
    return network(make, (*z.shape, 1), **theta)(z[None, ..., None])[0, ..., 0]


def conv(kernel, **settings):
    """A convolution of one channel with this kernel."""
    shape = np.shape(kernel)
    kernel = shape if len(shape) > 1 else shape[0]
    return lambda z: dl.conv(z, 1, kernel=kernel, bias=False, **settings)


SAME = rows(
    """
    -2 0 0 2 2 0 0 0
    2 * -3 0 0 3 3 0 0 0
    -2 0 0 2 2 0 0 0
    -1 0 0 1 1 0 0 0
    3 * 0 0 0 0 0 0 0 0
    """
)


def test_01_same_flipped():
    z = square(8, 8, slice(4), slice(4))
    x = run(conv(COLUMNS, pad="same", flip=True), z, w=COLUMNS)
    assert np.array_equal(x, SAME)


def test_02_valid_flipped():
    z = square(8, 8, slice(4), slice(4))
    x = run(conv(COLUMNS, pad="valid", flip=True), z, w=COLUMNS)
    # the slide prints a 1 for one of the 2s
    assert np.array_equal(
        x,
        rows(
            """
            2 * 0 0 3 3 0 0
            0 0 2 2 0 0
            0 0 1 1 0 0
            2 * 0 0 0 0 0 0
            """
        ),
    )


def test_03_two_equal_channels():
    z = np.stack([square(8, 8, slice(4), slice(4))] * 2, -1)
    w = np.stack([COLUMNS] * 2, -1)
    net = network(conv(COLUMNS, pad="same", flip=True), (8, 8, 2), w=w)
    assert np.array_equal(net(z[None])[0, ..., 0], 2 * SAME)


def test_04_average_and_max_pooling():
    z = square(8, 8, slice(4), slice(4))
    average = run(lambda z: dl.avg_pool(z, 2, stride=2), z)
    assert np.array_equal(average, square(4, 4, slice(2), slice(2)))
    largest = run(lambda z: dl.max_pool(z, 2, stride=1), z)
    assert np.array_equal(largest, square(7, 7, slice(4), slice(4)))


def test_05_vertical_edge():
    z = square(6, 6, slice(6), slice(3))
    w = [[1, 0, -1]] * 3
    assert np.array_equal(run(conv(w), z, w=w), rows("4 * 0 3 3 0"))
    assert np.array_equal(run(conv(w, flip=True), z, w=w), rows("4 * 0 -3 -3 0"))


def test_06_horizontal_edge():
    z = square(6, 6, slice(3))
    w = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    x = run(conv(w), z, w=w)
    assert np.array_equal(x, rows("0 0 0 0\n2 * 3 3 3 3\n0 0 0 0"))


def test_07_letters():
    a, b, c, d, e, f, g, h, i, j, k, l_ = np.random.default_rng(7).random(12)
    w, x, y, z = np.random.default_rng(8).random(4)
    found = run(
        conv([[w, x], [y, z]]), [[a, b, c, d], [e, f, g, h], [i, j, k, l_]],
        w=[[w, x], [y, z]],
    )
    assert found.shape == (2, 3)
    assert np.isclose(found[0, 0], a * w + b * x + e * y + f * z)
    assert np.isclose(found[1, 2], g * w + h * x + k * y + l_ * z)


def test_08_pooling_forward_and_adjoint():
    z = [[0, 4, 7, 8], [9, 2, 4, 5], [6, 7, 3, 4], [8, 2, 1, 5]]
    net = network(lambda z: dl.max_pool(z, 2, stride=2), (4, 4, 1))
    assert np.array_equal(net(maps(z))[0, ..., 0], [[9, 8], [8, 5]])
    assert not net.parameters
    delta, _ = net.adjoint(maps(z), np.ones((1, 2, 2, 1)))
    reached = {tuple(map(int, at)) for at in np.argwhere(delta[0, ..., 0])}
    assert reached == {(1, 0), (0, 3), (3, 0), (3, 3)}
    average = run(lambda z: dl.avg_pool(z, 2, stride=2), z)
    assert np.array_equal(average, [[3.75, 6], [5.75, 3.25]])
    total = run(lambda z: dl.sum_pool(z, 2, stride=2), z, w=1, b=0)
    assert np.array_equal(total, [[15, 24], [23, 13]])


def test_09_sizes():
    z = dl.Input((7, 7, 1))
    assert dl.conv(z, 1, kernel=3).shape == (5, 5, 1)
    assert dl.conv(z, 1, kernel=3, stride=2).shape == (3, 3, 1)
    net = network(lambda z: dl.conv(z, 1, kernel=5, bias=False), (32, 32, 3))
    assert net.count == 75
    assert net.plan().macs == 28 * 28 * 5 * 5 * 3 == 58_800


def test_10_backpropagation():
    z, w = maps(np.arange(1, 10).reshape(3, 3)), [[1, 2], [3, 4]]
    net = network(conv(w), (3, 3, 1), w=w)
    assert np.array_equal(net(z)[0, ..., 0], [[37, 47], [67, 77]])
    delta, g = net.adjoint(z, maps(w))
    (g_w,) = g.values()
    assert np.array_equal(g_w[..., 0, 0], [[37, 47], [67, 77]])
    assert np.array_equal(delta[0, ..., 0], [[1, 4, 4], [6, 20, 16], [9, 24, 16]])


def test_11_one_dimension():
    f, g = [0, 1, 1, 0, 0, 0], [2, 3, 1]
    assert np.array_equal(run(conv(g), f, w=g), [4, 5, 2, 0])
    assert np.array_equal(run(conv(g, flip=True), f, w=g), [5, 4, 1, 0])


def letters(text):
    """The words of a matrix, row by row."""
    return [line.split() for line in text.strip().splitlines()]


def test_12_jacobians_in_one_dimension():
    node = conv([0, 0, 0])(dl.Input((6, 1)))
    assert letters(dl.check.jacobian(node).symbolic) == letters(
        """
        g1 g2 g3 0 0 0
        0 g1 g2 g3 0 0
        0 0 g1 g2 g3 0
        0 0 0 g1 g2 g3
        """
    )
    assert letters(dl.check.jacobian(node, of="w").symbolic) == letters(
        """
        f1 f2 f3
        f2 f3 f4
        f3 f4 f5
        f4 f5 f6
        """
    )


def test_13_jacobian_in_two_dimensions():
    node = conv([[0, 0], [0, 0]])(dl.Input((3, 3, 1)))
    assert letters(dl.check.jacobian(node).symbolic) == letters(
        """
        W11 W12 0 W21 W22 0 0 0 0
        0 W11 W12 0 W21 W22 0 0 0
        0 0 0 W11 W12 0 W21 W22 0
        0 0 0 0 W11 W12 0 W21 W22
        """
    )


def test_14_slash_on_a_diamond():
    i, j = np.indices((5, 5))
    diamond = abs(i - 2) + abs(j - 2) == 2
    w = [[0, 1], [1, 0]]
    x = run(conv(w), diamond, w=w)
    assert np.array_equal(x, rows("0 2 0 1\n2 0 1 0\n0 1 0 2\n1 0 2 0"))


def test_15_sizes_of_a_layer():
    x = dl.conv(dl.Input((512, 512, 16)), 16, kernel=5, pad="same", bias=False)
    assert prod(x.spec.theta["w"].shape) == 5 * 5 * 16 * 16 == 6_400
    assert prod(x.shape) == 512 * 512 * 16 == 4_194_304


def test_16_stages():
    z = dl.Input((32, 32, 3), name="image")
    one = network(lambda z: dl.conv(z, 1, kernel=5), (32, 32, 3))
    assert sorted(p.size for p in one.parameters.values()) == [1, 75]
    deep = network(lambda z: dl.conv(z, 1, kernel=3, bias=False), (16, 16, 20))
    assert [p.size for p in deep.parameters.values()] == [180]
    x = dl.relu(dl.conv(z, 12, kernel=3, pad="same"))
    assert x.shape == (32, 32, 12)
    x = dl.max_pool(x, 2)
    assert x.shape == (16, 16, 12)
    assert dl.conv(x, 10, kernel=16).shape == (1, 1, 10)


def test_17_efficiency():
    z = dl.Input((320, 280, 1))
    x = dl.conv(z, 1, kernel=(2, 1), bias=False)
    assert x.shape == (319, 280, 1)
    assert prod(x.spec.theta["w"].shape) == 2
    macs = dl.Model(z, x).plan().macs
    assert 2 * macs - prod(x.shape) == 267_960  # two products and one sum each
    dense = dl.dense(dl.flatten(z), 319 * 280, bias=False)
    floats = prod(dense.spec.theta["w"].shape)
    assert floats == 8_003_072_000
    assert 2 * floats > 16e9
    sparse = dl.locally_connected(z, 1, kernel=(2, 1), bias=False)
    assert prod(sparse.spec.theta["w"].shape) == 178_640
