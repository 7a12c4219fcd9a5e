"""What a run learns: averages, frozen parameters, several outputs, schedules."""

import numpy as np
import pytest
from test_fit import RULES, data, network, quiet, run

import minidl as dl
from minidl import metrics, schedule
from minidl.ends import shares


def test_the_best_epoch_comes_back_and_patience_ends_a_run():
    lines = []
    train, test = data()
    net = network()
    rates = {0: 0.05, 1: 0.05, 2: 0.05}
    history = net.fit(
        train, epochs=30, validation=test, lr=lambda epoch: rates.get(epoch, 0.0),
        patience=4, keep_best=True, log=lines.append,
    )  # fmt: skip
    assert len(history) < 30
    assert "no better accuracy" in lines[-1]
    best = max(row.accuracy for row in history)
    assert dl.evaluate(net, test).accuracy == best


def test_the_average_is_what_is_measured():
    net, history = run(RULES["sgd"], epochs=1)
    trainer = net.trainer
    np.testing.assert_array_equal(net.store.block, trainer.mean)
    assert dl.evaluate(net, data()[1]).accuracy == history.epochs[-1].accuracy
    raw, _ = run(RULES["sgd"], epochs=1, average=None)
    assert not np.array_equal(raw.store.block, net.store.block)


def test_frozen_parameters_and_their_statistics_stay():
    net, (train, _) = network(), data()
    assert net.freeze("bn.*", "C1.*") == ("C1.w", "bn.gamma", "bn.beta")
    before = {k: v.copy() for k, v in net.store.arrays.items()}
    net.fit(train, epochs=1, log=quiet)
    for name in ("C1.w", "bn.gamma", "bn.beta", "bn.mean", "bn.var"):
        np.testing.assert_array_equal(net.store.arrays[name], before[name])
    assert not np.array_equal(net.store.arrays["F2.w"], before["F2.w"])
    steps = net.plan(batch=2, train=True).steps
    assert not [s for s in steps if s.do == "adjoint" and s.node == "C1"]
    net.freeze()
    net.train_step(*train[:8])
    assert not np.array_equal(net.store.arrays["C1.w"], before["C1.w"])
    net.freeze("*")
    with pytest.raises(dl.Error, match="nothing learns: all of it is frozen"):
        net.train_step(*train[:8])
    with pytest.raises(dl.GraphError, match="no parameter matches 'conv'"):
        net.freeze("conv")


def test_class_weights_and_soft_labels():
    labels = np.array([0, 2, 2])
    weights = np.array([1.0, 2.0, 4.0])
    z = dl.Input((3,))
    scores = np.random.default_rng(0).standard_normal((3, 3)).astype("float32")
    logs_ = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    rows = np.arange(3)
    wanted = -(weights[labels] * logs_[rows, labels]).sum() / weights[labels].sum()
    net = dl.Model(z, dl.scale(dl.dense(z, 3), 1.0))
    net.parameters["dense1.w"] = np.eye(3)
    net.compile(class_weights=weights)
    np.testing.assert_allclose(net.train_step(scores, labels), wanted, rtol=1e-5)
    q = shares(labels, 3, 0.3, None)
    np.testing.assert_allclose(q.sum(1), 1)
    np.testing.assert_allclose(q[0], [0.8, 0.1, 0.1])
    net.parameters["dense1.w"], net.parameters["dense1.b"] = np.eye(3), np.zeros(3)
    net.compile("soft_cross_entropy")
    soft = net.train_step(scores, q)
    net.parameters["dense1.w"], net.parameters["dense1.b"] = np.eye(3), np.zeros(3)
    net.compile(smoothing=0.3)
    np.testing.assert_allclose(net.train_step(scores, labels), soft, rtol=1e-5)
    for bad in ([1, 2], [1, 2, -1], [1, 2, np.inf]):
        with pytest.raises(dl.Error, match="expected 3 numbers above 0"):
            net.compile(class_weights=bad)
    with pytest.raises(dl.Error, match="go with softmax"):
        net.compile("hinge", class_weights=weights)
    net.compile(class_weights=weights)
    with pytest.raises(dl.DataError, match="got 3 at entry 1"):
        net.train_step(scores, np.array([0, 3, 1]))


def test_several_outputs_learn_together():
    z = dl.Input((4,))
    a, b = dl.dense(z, 3, name="a"), dl.dense(z, 3, name="b")
    net = dl.Model(z, (a, b), dtype="float64")
    x, labels = np.random.default_rng(0).standard_normal((5, 4)), np.arange(5) % 3
    apart = []
    for one in (a, b):
        alone = dl.Model(z, one, dtype="float64")
        apart.append(alone.train_step(x, labels))
    net.compile(output_weights=(1.0, 0.3), optimiser=dl.optim.SGD(0.1, momentum=0.0))
    before = {k: v.copy() for k, v in net.parameters.items()}
    np.testing.assert_allclose(net.train_step(x, labels), apart[0] + 0.3 * apart[1])
    moved = {k: np.abs(net.parameters[k] - before[k]).max() for k in before}
    assert min(moved.values()) > 0
    assert dl.evaluate(net, (x, labels)).n == 5
    with pytest.raises(dl.Error, match="expected 2 numbers"):
        net.compile(output_weights=(1.0,))


def test_mixup_needs_its_loss():
    train, _ = data()
    net, mix = network(), dl.data.Mixup(10)
    with pytest.raises(dl.Error, match="soft_cross_entropy"):
        net.fit(train, augment=[mix], log=quiet)
    net.compile("soft_cross_entropy")
    history = net.fit(train, epochs=2, augment=[mix], log=quiet)
    assert history.epochs[1].loss < history.epochs[0].loss


@pytest.mark.parametrize("shape", schedule.SHAPES)
def test_schedules_are_shares_of_the_rate(shape):
    one = schedule.Schedule(shape, warmup=0.2)
    values = [one(p) for p in np.linspace(0, 1, 101)]
    assert values[0] == 0
    assert 0.999 < max(values) <= 1
    assert min(values) >= 0
    if shape != "constant":
        assert values[-1] < 0.05
    for bad in ({"shape": "magic"}, {"warmup": 1.0}, {"warmup": -0.1}):
        with pytest.raises(dl.Error):
            schedule.Schedule(**bad)


def test_metrics_count():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((60, 7)).astype("float32")
    labels = rng.integers(0, 7, 60)
    z = dl.Input((7,))
    net = dl.Model(z, dl.identity(z))
    found = dl.evaluate(net, (scores, labels), batch=13)
    order = np.argsort(-scores, 1)
    assert found.accuracy == (order[:, 0] == labels).mean()
    assert found.top5 == (order[:, :5] == labels[:, None]).any(1).mean()
    assert found.confusion.sum() == 60
    assert found.confusion.trace() == (order[:, 0] == labels).sum()
    assert found.confusion[2].sum() == (labels == 2).sum()
    assert "top 5" in str(found)
    assert found.table().count("\n") == 7
    for bad in (labels - 1, labels + 1, labels.astype(float)):
        with pytest.raises(dl.DataError, match="class from 0 to 6"):
            dl.evaluate(net, (scores, bad))
    with pytest.raises(dl.DataError, match="one score for each class"):
        dl.evaluate(dl.Model(w := dl.Input((2, 2, 3)), dl.relu(w)),
                    (np.zeros((1, 2, 2, 3), "float32"), np.array([0])))
    assert metrics.Metrics(1, 1.0, 1.0, 0.0, np.eye(1)).n == 1
