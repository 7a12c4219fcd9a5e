"""Optimisers against their formulas in NumPy, and what the pieces leave alone."""

import numpy as np
import pytest

import minidl as dl
from minidl import optim
from minidl._ext import kernels
from minidl.spec import Param

RULES = [
    dl.optim.SGD(0.1), dl.optim.SGD(0.1, momentum=0.0, weight_decay=0.1),
    dl.optim.SGD(0.1, 0.2, nesterov=True), dl.optim.Adam(0.1, weight_decay=0.2),
    dl.optim.AdamW(0.1, weight_decay=0.2), dl.optim.RMSprop(0.1),
    dl.optim.RMSprop(0.1, 0.3, momentum=0.5),
]  # fmt: skip
PARAMS = {
    "a.w": Param((3, 5)), "a.b": Param((5,)), "c.w": Param((50, 401)),
    "c.b": Param((1,)),
}  # fmt: skip
AT = {"a.w": 0, "a.b": 16, "c.w": 32, "c.b": 32 + 20064}
SIZE = 32 + 20064 + 16


def by_hand(rule, w, gs, decay):
    """w after a step for each g, by the formulas of the docstrings."""
    w, u, v = w.astype(float), 0.0, 0.0
    for t, g in enumerate(gs, 1):
        if isinstance(rule, dl.optim.AdamW):
            w = w - rule.lr * decay * w
        else:
            g = g + decay * w
        if isinstance(rule, dl.optim.SGD):
            v = rule.momentum * v + g
            w = w - rule.lr * (rule.momentum * v + g if rule.nesterov else v)
        elif isinstance(rule, dl.optim.Adam):
            u = rule.a * u + (1 - rule.a) * g
            v = rule.b * v + (1 - rule.b) * g * g
            s = np.sqrt(v / (1 - rule.b**t)) + rule.tiny
            w = w - rule.lr * (u / (1 - rule.a**t)) / s
        else:
            v = rule.a * v + (1 - rule.a) * g * g
            u = rule.momentum * u + g / (np.sqrt(v) + rule.tiny)
            w = w - rule.lr * u
    return w


@pytest.fixture(params=[1, 2, 3])
def _threads(request):
    before = dl.get_threads()
    dl.set_threads(request.param)
    yield
    dl.set_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_steps_follow_the_formula(rule, dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(SIZE).astype(dtype)
    gs = rng.standard_normal((3, SIZE)).astype(dtype)
    cut = optim.pieces(PARAMS, AT, rule.weight_decay, frozen=["a.w"])
    found, state, g = w.copy(), rule.state(SIZE, dtype), np.empty(SIZE, dtype)
    now = np.array([rule.lr, 1, 1, 1])
    step = rule.kernel(found, g, state, now, cut)
    for t, one in enumerate(gs, 1):
        g[...] = one
        rule.begin(now, t)
        step()
    single = dtype == "float32"
    close = {"rtol": 1e-4 if single else 1e-10, "atol": 1e-5 if single else 1e-13}
    np.testing.assert_array_equal(found[:15], w[:15])  # frozen
    for name in ("a.b", "c.w", "c.b"):
        decay = rule.weight_decay if name == "c.w" else 0  # not for one axis
        place = slice(AT[name], AT[name] + int(np.prod(PARAMS[name].shape)))
        wanted = by_hand(rule, w[place], gs[:, place], decay)
        np.testing.assert_allclose(found[place], wanted, **close)


def test_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, SIZE)).astype("float32")
    cut = optim.pieces(PARAMS, AT, 0.1)
    found = set()
    for threads in (1, 2, 3, 4):
        dl.set_threads(threads)
        now, norm, mean = np.array([0.1, 1, 1, 1]), np.zeros(1), w.copy()
        mine = w.copy()
        clip = kernels(g).Clip(
            g, np.zeros(len(cut.begin)), now, norm, cut.begin, cut.end, 1.0
        )
        rule = dl.optim.AdamW(0.1)
        step = rule.kernel(mine, g, rule.state(SIZE, "float32"), now, cut)
        share = np.array([0.25])
        follow = kernels(g).Follow(mean, mine, share, cut.begin, cut.end)
        for one in (clip, step, follow):
            one()
        covered = np.concatenate(
            [g[i:j] for i, j in zip(cut.begin, cut.end, strict=True)]
        )
        np.testing.assert_allclose(norm[0], np.linalg.norm(covered.astype(float)))
        np.testing.assert_allclose(now[1], 1 / norm[0])
        place = slice(AT["c.w"], AT["c.w"] + 20050)
        wanted = w[place] + 0.25 * (mine[place] - w[place])
        np.testing.assert_allclose(mean[place], wanted, rtol=1e-4, atol=1e-6)
        found.add((mine.tobytes(), mean.tobytes(), norm.tobytes()))
    dl.set_threads(2)
    assert len(found) == 1


def test_a_short_gradient_is_not_scaled():
    g, now = np.full(4, 0.25), np.ones(4)
    every = (np.array([0]), np.array([4]))
    kernels(g).Clip(g, np.zeros(1), now, np.zeros(1), *every, 0.6)()
    assert now[1] == 1
    kernels(g).Clip(g, np.zeros(1), now, np.zeros(1), *every, 0.25)()
    assert now[1] == 0.5


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: dl.optim.SGD(nesterov=True, momentum=0.0), "look"),
        (lambda: dl.optim.SGD(momentum=1.0), "momentum < 1"),
        (lambda: dl.optim.Adam(b=1.5), "b < 1"),
        (lambda: dl.optim.RMSprop(lr=float("nan")), "lr"),
        (lambda: dl.optim.SGD(lr="fast"), "lr"),
        (lambda: optim.optimiser("lbfgs"), "expected one of sgd"),
        (lambda: optim.optimiser("sgd", speed=1), "unknown speed"),
    ],
)
def test_bad_settings(make, error):
    with pytest.raises(dl.Error, match=error):
        make()
