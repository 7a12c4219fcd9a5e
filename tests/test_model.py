"""What people do with a model: call, seed, share, look, save."""

import json

import numpy as np
import pytest

import minidl as dl
from minidl import npz
from minidl.checkpoint import GRAPH
from minidl.profile import profile
from minidl.train import needs


def chain(dtype="float64"):
    z = dl.Input((6, 6, 2), name="image")
    x = dl.relu(dl.conv(z, 4, kernel=3, name="C1"), name="R1")
    return dl.Model(z, dl.dense(dl.flatten(x), 3, name="F2"), dtype=dtype)


def image(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_several_inputs_and_outputs_come_as_tuples():
    a, b = dl.Input((4,), name="a"), dl.Input((4,), name="b")
    net = dl.Model([a, b], [a + b, a * b, a - b], dtype="float64")
    x, y = image(2, 4), image(2, 4, seed=1)
    for found in (net(x, y), net((x, y))):
        for value, expected in zip(found, (x + y, x * y, x - y), strict=True):
            np.testing.assert_array_equal(value, expected)
    ones = np.ones((2, 4))
    (delta_a, delta_b), g = net.adjoint((x, y), (ones, ones, ones))
    np.testing.assert_allclose(delta_a, 1 + y + 1)
    np.testing.assert_allclose(delta_b, 1 + x - 1)
    assert g == {}


def test_an_input_that_is_not_needed_has_a_delta_of_zeros_or_none():
    a, b = dl.Input((4,), name="a"), dl.Input((4,), name="b")
    net = dl.Model([a, b], [dl.relu(a, name="ra"), dl.relu(b, name="rb")])
    x = np.ones((1, 4), "float32")
    (delta_a, delta_b), _ = net.adjoint((x, x), x, at="ra")
    np.testing.assert_array_equal(delta_a, x)
    assert delta_b is None


def test_z_plus_z_counts_twice():
    z = dl.Input((3,))
    x = image(2, 3)
    net = dl.Model(z, z + z, dtype="float64")
    np.testing.assert_array_equal(net(x), 2 * x)
    delta = net.adjoint(x, np.ones_like(x))[0]
    np.testing.assert_array_equal(delta, np.full((2, 3), 2))
    square = dl.Model(z, z * z, dtype="float64")
    np.testing.assert_allclose(square.adjoint(x, np.ones_like(x))[0], 2 * x)


def test_an_epsilon_of_ones_everywhere_passes_through_an_identity():
    z = dl.Input((3,))
    x = image(2, 3)
    net = dl.Model(z, z, dtype="float64")
    np.testing.assert_array_equal(net(x), x)
    np.testing.assert_array_equal(net.adjoint(x, 3 * x)[0], 3 * x)


def test_an_epsilon_may_be_seeded_anywhere():
    net, x = chain(), image(2, 6, 6, 2)
    epsilon = image(2, 4, 4, 4, seed=1)
    delta, g = net.adjoint(x, epsilon, at="C1")
    assert set(g) == {"C1.w", "C1.b"}
    w = net.parameters["C1.w"]
    expected = np.zeros_like(x)
    for r in range(3):
        for s in range(3):
            expected[:, r : r + 4, s : s + 4] += epsilon @ w[r, s].T
    np.testing.assert_allclose(delta, expected)
    np.testing.assert_allclose(g["C1.b"], epsilon.sum((0, 1, 2)))
    both, _ = net.adjoint(x, (epsilon, np.zeros((2, 3))), at=("C1", "F2"))
    np.testing.assert_allclose(both, expected)


def test_an_adjoint_rule_may_be_another():
    net, x = chain(), image(2, 6, 6, 2)
    epsilon = image(2, 3, seed=1)

    def guided(epsilon, z, x):
        return np.where(x > 0, np.maximum(epsilon, 0), 0)

    plain, _ = net.adjoint(x, epsilon)
    named, _ = net.adjoint(x, epsilon, rules={"R1": guided})
    kind = type(net.graph.nodes["R1"]["node"].op)
    by_class, _ = net.adjoint(x, epsilon, rules={kind: guided})
    same, _ = net.adjoint(x, epsilon, rules={"R1": lambda e, z, x: e * (x > 0)})
    np.testing.assert_array_equal(named, by_class)
    np.testing.assert_allclose(same, plain)
    assert not np.allclose(named, plain)


def test_shared_parameters_are_one_and_their_gradients_add_up():
    z = dl.Input((5, 5, 2), name="image")
    first = dl.conv(z, 2, kernel=3, pad="same", name="C1")
    second = dl.conv(dl.tanh(first), 2, kernel=3, pad="same", name="C2", share=first)
    third = dl.conv(dl.tanh(second), 2, kernel=3, pad="same", share=second)
    net = dl.Model(z, third, dtype="float64")
    assert list(net.parameters) == ["C1.w", "C1.b"]
    assert dl.check.gradient(net).ok
    assert dl.check.adjoint(net).ok
    before = net.parameters["C1.w"].copy()
    net.compile("mean_squared_error")
    net.train_step(image(2, 5, 5, 2), image(2, 5, 5, 2))
    assert (net.parameters["C1.w"] != before).any()


def test_open_sizes_take_any_image():
    z = dl.Input((None, None, 3), name="image")
    x = dl.relu(dl.conv(z, 4, kernel=3, stride=2, pad=1))
    net = dl.Model(z, dl.dense(dl.global_avg_pool(dl.max_pool(x, 2)), 5))
    for h, w in ((8, 8), (9, 17), (30, 12)):
        assert net(np.ones((2, h, w, 3), "float32")).shape == (2, 5)
    assert net.plan(2, size=(8, 8)).macs < net.plan(2, size=(16, 16)).macs
    with pytest.raises(dl.DataError, match="size="):
        net.plan(2)


def test_parameters_are_live_views():
    net, x = chain(), image(1, 6, 6, 2)
    before = net(x)
    view = net.parameters["F2.w"]
    view *= 2
    twice = net(x)
    view += 1  # a view that is still held is seen too
    again = net(x)
    del view
    part = net.parameters["C1.w"][..., 1:]
    for _ in range(3):  # each run would find the packed weights up to date
        same = net(x)
    part[...] = 0
    zero = net(x)
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(before, twice)
    assert not np.array_equal(twice, again)
    assert not np.array_equal(again, zero)
    net.parameters["C1.w"] = np.ones((3, 3, 2, 4))
    assert (net.parameters["C1.w"] == 1).all()
    with pytest.raises(KeyError, match=r"known: C1\.w"):
        net.parameters["C9.w"]


def test_buffers_are_live_views_too():
    z = dl.Input((4, 4, 3))
    net = dl.Model(z, dl.batch_norm(z, name="bn"), dtype="float64")
    x = image(2, 4, 4, 3)
    np.testing.assert_allclose(net(x), x / np.sqrt(1 + 1e-5))
    net.buffers["bn.mean"][...] = 2
    np.testing.assert_allclose(net(x), (x - 2) / np.sqrt(1 + 1e-5))
    net(x, train=True)
    moved = 0.9 * 2 + 0.1 * x.mean((0, 1, 2))
    np.testing.assert_allclose(net.buffers["bn.mean"], moved)
    assert set(net.buffers) == {"bn.mean", "bn.var"}


def test_values_of_any_node():
    net, x = chain(), image(2, 6, 6, 2)
    found = net.values(x, at=["R1", "C1"])
    np.testing.assert_array_equal(found["R1"], np.maximum(found["C1"], 0))


def test_save_and_load_rebuild_the_same_model(tmp_path):
    net = dl.models.lenet5()
    x = image(3, 32, 32, 1).astype("float32")
    net.train_step(x, np.array([1, 2, 3]))
    net.save(tmp_path / "w.npz")
    again = dl.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(again(x), net(x))
    assert list(again.graph) == list(net.graph)
    assert again.train_step(x, np.array([1, 2, 3])) == dl.load(
        tmp_path / "w.npz"
    ).train_step(x, np.array([1, 2, 3]))


def test_a_file_says_whether_its_model_is_exact(tmp_path, monkeypatch):
    def ways(net):
        return [step.how for step in net.plan(batch=8).steps]

    monkeypatch.delenv("MINIDL_EXACT", raising=False)
    path = tmp_path / "w.npz"
    z = dl.Input((28, 28, 64), name="image")
    exact, free = (dl.Model(z, dl.conv(z, 64, 3), exact=on) for on in (True, False))
    assert ways(exact) != ways(free)
    for net in (exact, free):
        net.save(path)
        again = dl.load(path)
        assert (again.exact, ways(again)) == (net.exact, ways(net))
    monkeypatch.setenv("MINIDL_EXACT", "1")  # for the while, and not for the file
    assert ways(free) == ways(exact)
    free.save(path)
    monkeypatch.delenv("MINIDL_EXACT")
    assert ways(dl.load(path)) == ways(free) != ways(exact)
    arrays = npz.read(path)
    about = json.loads(arrays[GRAPH].tobytes())
    del about["exact"]  # as older files are
    npz.write(path, arrays | {GRAPH: np.frombuffer(json.dumps(about).encode(), "u1")})
    assert not dl.load(path).exact


def test_a_softmax_at_the_end_is_inside_the_loss():
    z = dl.Input((4,))
    scores = dl.dense(z, 3, name="F1")
    plain, ended = dl.Model(z, scores), dl.Model(z, dl.softmax(scores))
    x, labels = image(5, 4).astype("float32"), np.array([0, 1, 2, 0, 1])
    assert plain.train_step(x, labels) == ended.train_step(x, labels)
    np.testing.assert_array_equal(plain.parameters["F1.w"], ended.parameters["F1.w"])


def test_a_graph_may_bring_its_own_loss():
    z, t = dl.Input((4,), name="z"), dl.Input((3,), name="t")
    net = dl.Model([z, t], dl.mean_squared_error(dl.dense(z, 3), t), dtype="float64")
    x, y = image(5, 4), image(5, 3, seed=1)
    losses = [net.train_step(x, y) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert net(x, y) < losses[-1]


def test_fit_reports_and_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 4)).astype("float32")
    labels = (x[:, 0] > 0).astype(int)
    z = dl.Input((4,))
    net = dl.Model(z, dl.dense(z, 2))
    lines = []
    history = net.fit(
        (x, labels), epochs=8, batch=20, validation=(x, labels),
        lr=lambda epoch: 0.5 / (1 + epoch), log=lines.append,
    )
    assert len(lines) == 8
    assert history.epochs[-1].accuracy > 0.95
    assert history.rows()[0]["epoch"] == 1
    assert "accuracy" in lines[0]


def test_nan_goes_through():
    net, x = chain("float32"), np.full((1, 6, 6, 2), np.nan, "float32")
    assert np.isnan(net(x)).all()


def test_a_network_of_open_size_learns_pixel_by_pixel():
    z = dl.Input((None, None, 2), name="image")
    net = dl.Model(z, dl.conv(dl.relu(dl.conv(z, 8, 3, pad=1)), 3, kernel=1))
    rng = np.random.default_rng(0)
    for h, w in ((6, 5), (9, 9)):
        x = rng.standard_normal((2, h, w, 2)).astype("float32")
        labels = (x.sum(-1) > 0).astype(int)
        losses = [net.train_step(x, labels) for _ in range(20)]
        assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error", None])
def test_open_labels_are_as_large_as_what_the_loss_reads(loss, tmp_path):
    z = dl.Input((None, None, 2), name="image")
    x = dl.conv(z, 3, kernel=3, stride=2)  # 9x7 to 4x3
    if loss is None:  # it brings its own
        labels = dl.Input((None, None), "labels", dtype="int64")
        net = dl.Model((z, labels), dl.hinge(x, labels))
        plan = net.plan(batch=2, size=(9, 7))
        assert plan.regions[plan.inputs["labels"]].shape == (2, 4, 3)
        assert sum(cost.macs for cost in net.costs(2, (9, 7)).values()) == plan.macs
        field = dl.receptive_field(net, net.outputs[0], size=(9, 7))
        assert field.shapes["labels"] == (4, 3)
    else:
        net = dl.Model(z, x)
        net.compile(loss)
    plan = net.plan(batch=2, train=True, size=(9, 7))
    target = plan.regions[plan.inputs[net.trainer.target]]
    assert target.shape == (2, 4, 3, 3)[: 4 if loss == "mean_squared_error" else 3]
    assert net.trainer.plan({"image": (2, 9, 7, 2)}).bytes == plan.bytes
    for view in ("training", "plan"):
        net.draw(tmp_path / "x.svg", view=view, train=True, size=(9, 7))
    assert profile(net, train=True, size=(9, 7), seconds=0.01).lines
    if loss is not None:
        assert needs(net, 2, (9, 7)) > 0
    with pytest.raises(dl.DataError, match=r"image: .* say size="):
        net.plan(train=True)


def test_an_input_that_its_own_target_depends_on_has_the_size_it_is_told():
    z = dl.Input((None, None, 2), name="image")
    net = dl.Model(z, dl.mean_squared_error(dl.conv(z, 2, 3, pad=1), z))
    for train in (False, True):
        plan = net.plan(batch=2, train=train, size=(9, 7))
        assert plan.regions[plan.inputs["image"]].shape == (2, 9, 7, 2)


def test_a_loss_beside_other_outputs_does_not_train():
    z, labels = dl.Input((4,)), dl.Input((), "labels", dtype="int64")
    x = dl.dense(z, 3)
    net = dl.Model([z, labels], [x, dl.hinge(x, labels, name="loss")])
    with pytest.raises(dl.GraphError, match="loss: is a loss beside other outputs"):
        net.plan(train=True)


def test_im2col_and_col2im_are_each_other_s_adjoint():
    settings = {"kernel": (3, 2), "stride": 2, "pad": 1, "dilation": (1, 2)}
    image = dl.Input((9, 7, 5))
    columns = dl.im2col(image, **settings)
    there = dl.Model(image, columns, dtype="float64")
    start = dl.Input(columns.shape)
    back = dl.Model(start, dl.col2im(start, shape=(9, 7), **settings), dtype="float64")
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, 9, 7, 5))
    y = rng.standard_normal((2, *columns.shape))
    np.testing.assert_allclose((there(z) * y).sum(), (z * back(y)).sum(), rtol=1e-12)
    np.testing.assert_array_equal(there.adjoint(z, y)[0], back(y))
    np.testing.assert_array_equal(back.adjoint(y, z)[0], there(z))
