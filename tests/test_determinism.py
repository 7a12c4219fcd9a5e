"""The same bits for any number of threads, in any process, on any day."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import minidl as dl


def digest(net):
    """One SHA-256 over all parameters and buffers."""
    found = hashlib.sha256()
    for values in (net.parameters, net.buffers):
        for name in values:
            found.update(name.encode())
            found.update(np.ascontiguousarray(values[name]).tobytes())
    return found.hexdigest()


@pytest.fixture(autouse=True)
def _threads():
    before = dl.get_threads()
    yield
    dl.set_threads(before)


def trained(threads, epochs=3, variant="paper"):
    dl.set_threads(threads)
    net = dl.models.lenet5(variant)
    (images, labels), _ = dl.data.digits()
    net.fit((images, labels), epochs=epochs, batch=32, log=lambda line: None)
    return digest(net)


def test_three_epochs_of_lenet5_give_the_same_bits_for_1_to_4_threads():
    assert len({trained(threads) for threads in (1, 2, 3, 4)}) == 1


def mixed(threads):
    """One step of a network that holds what sums: norms, pools, losses, dropout."""
    dl.set_threads(threads)
    z = dl.Input((24, 20, 3))
    x = dl.relu(dl.batch_norm(dl.conv(z, 17, kernel=3, pad="same")))
    x = x + dl.conv(x, 17, kernel=1)
    x = dl.max_pool(dl.lrn(x), 2)
    x = dl.dropout(dl.conv(x, 33, kernel=3, stride=2, pad=1, groups=1), 0.3)
    net = dl.Model(z, dl.dense(dl.global_avg_pool(x), 7))
    rng = np.random.default_rng(5)
    images = rng.standard_normal((13, 24, 20, 3)).astype("float32")
    for _ in range(3):
        net.train_step(images, rng.integers(0, 7, 13))
    return digest(net)


def test_a_mixed_network_gives_the_same_bits_for_1_to_4_threads():
    assert len({mixed(threads) for threads in (1, 2, 3, 4)}) == 1


@pytest.mark.parametrize(
    "how",
    [
        dl.optim.SGD(0.1, momentum=0.0), dl.optim.SGD(0.1, weight_decay=0.01),
        dl.optim.SGD(0.1, momentum=0.5, nesterov=True), dl.optim.Adam(),
        dl.optim.AdamW(), dl.optim.RMSprop(0.001, momentum=0.5),
    ],
    ids=repr,
)
def test_learning_at_once_gives_the_same_bits(monkeypatch, how):
    z = dl.Input((6, 5, 3))
    x = dl.relu(dl.dense(dl.flatten(dl.conv(z, 4, 3)), 70, name="F1"))
    x = dl.dense(x, 70, name="F2")
    x = x + dl.dense(x, 70, share=x)  # has two gradients, which add up
    x = dl.dense(dl.dense(x, 1100, name="F3"), 33)
    rng = np.random.default_rng(0)
    found = []
    for piecewise in (True, False):
        if not piecewise:
            monkeypatch.setattr("minidl.train.at_once", lambda _: frozenset())
        net = dl.Model(z, dl.dense(x, 5, bias=False))
        net.compile(optimiser=how)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            images = rng.standard_normal((7, 6, 5, 3)).astype("float32")
            net.train_step(images, rng.integers(0, 5, 7))
        found.append(digest(net))
        plan = net.plan(7, train=True)
        assert {"F1.w", "F2.w"} <= set(plan.grads)  # in front of one that is shared
        assert ("F3.w" in plan.grads) == (not piecewise)
        assert ("dense + update" in str(plan)) == piecewise
    assert found[0] == found[1]


def test_initial_parameters_depend_on_the_seed_and_their_own_name():
    z = dl.Input((8, 8, 1))
    small = dl.Model(z, dl.conv(z, 4, kernel=3, name="C1"))
    x = dl.conv(dl.conv(z, 4, kernel=3, name="C1"), 2, kernel=1, name="C2")
    large = dl.Model(z, x)
    other = dl.Model(z, x, seed=1)
    np.testing.assert_array_equal(small.parameters["C1.w"], large.parameters["C1.w"])
    assert (other.parameters["C1.w"] != large.parameters["C1.w"]).any()


def test_a_child_of_a_fork_computes_too():
    code = """
import os, sys
import numpy as np
import minidl as dl
z = dl.Input((64, 64, 8))
net = dl.Model(z, dl.conv(z, 32, kernel=3))
x = np.ones((4, 64, 64, 8), "float32")
before = net(x)
child = os.fork()
if not child:
    os._exit(0 if (net(x) == before).all() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    env = {**os.environ, "MINIDL_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=env, timeout=60)
    assert done.returncode == 0
