"""The checks find what is wrong, and let pass what is right."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import minidl as dl
from minidl.graph import Node, Op
from minidl.spec import Param, Spec


@dataclass(frozen=True)
class Cubic(Op):
    """x = w z^3;   delta = 3 w z^2 epsilon, g.w = sum of z^3 epsilon"""

    wrong: str = ""
    keeps: ClassVar[tuple[str, ...]] = ("z",)

    def infer(self, *z):
        return Spec(z[0], {"w": Param((1,), "ones")})

    def forward(self, z, theta, x, tape, scratch):
        np.multiply(theta.w, z**3, out=x)

    def adjoint(self, epsilon, z, theta, x, tape, scratch, delta, g):
        off = 1 + 1e-6 if self.wrong == "slightly" else 1
        if delta is not None:
            delta[...] = 3 * theta.w * z**2 * epsilon * off
            if self.wrong == "one entry":
                delta.flat[3] *= 1.01
        if g.w is not None:
            g.w[...] = (z**3 * epsilon).sum() * (2 if self.wrong == "g" else 1)


@dataclass(frozen=True)
class Kink(Op):
    """x = |z|;   delta = slope * epsilon at 0, sign(z) epsilon elsewhere"""

    slope: float = 0.0
    kinks: ClassVar[bool] = True

    def infer(self, *z):
        return Spec(z[0])

    def forward(self, z, theta, x, tape, scratch):
        np.abs(z, out=x)

    def adjoint(self, epsilon, z, theta, x, tape, scratch, delta, g):
        delta[...] = np.where(z == 0, self.slope, np.sign(z)) * epsilon


def node(op, shape=(7, 5, 3)):
    return Node(op, (dl.Input(shape),), "it")


def test_right_is_ok():
    assert dl.check.adjoint(node(Cubic())).ok
    assert dl.check.gradient(node(Cubic())).ok


@pytest.mark.parametrize("wrong", ["slightly", "one entry", "g"])
def test_wrong_is_found(wrong):
    report = dl.check.adjoint(node(Cubic(wrong)))
    assert not report.ok
    assert report.lines[0].of == ("w" if wrong == "g" else "z")
    assert "NO" in str(report)
    if wrong != "slightly":  # differences see no more than 1e-3
        assert not dl.check.gradient(node(Cubic(wrong)), most=1000).ok


def test_nan_is_not_ok():
    z = np.full((2, 3), np.nan)
    assert not dl.check.adjoint(node(Cubic(), (3,)), z=z).ok
    assert not dl.check.gradient(node(Cubic(), (3,)), z=z).ok


@pytest.mark.parametrize(
    ("slope", "ok"), [(0, True), (1, True), (-0.5, True), (2, False)]
)
def test_any_subgradient_passes_at_a_kink(slope, ok):
    z = np.array([[-1.0, 0, 1]])
    assert dl.check.gradient(node(Kink(slope), (3,)), z=z).ok == ok


def test_kinks_of_the_built_in_ops():
    ties = np.zeros((1, 4, 4, 2))
    z = dl.Input((4, 4, 2))
    for one in (dl.relu(z), dl.max_pool(z, 2), dl.max_pool(z, 3, stride=1)):
        assert dl.check.gradient(one, z=ties).ok


def test_model_and_each_of_its_nodes():
    z = dl.Input((9, 9, 2), name="image")
    x = dl.relu(dl.conv(z, 3, kernel=3, name="C1"), name="R1")
    x = dl.add(x, dl.conv(x, 3, kernel=3, pad="same", name="C2"), name="A3")
    net = dl.Model(z, dl.dense(dl.flatten(x), 4, name="F4"), name="net")
    before = {k: v.copy() for k, v in net.parameters.items()}
    report = dl.check.adjoint(net)
    assert report.ok, f"\n{report}"
    assert [one.node for one in report.lines][-1] == "net"
    assert {"C1", "R1", "C2", "A3", "F4"} <= {one.node for one in report.lines}
    report = dl.check.gradient(net, most=20)
    assert report.ok, f"\n{report}"
    assert {one.of for one in report.lines} == {"z", *net.parameters}
    assert all(np.array_equal(before[k], v) for k, v in net.parameters.items())


def test_a_wrong_node_is_named():
    z = dl.Input((4, 4, 2))
    x = Node(Cubic("one entry"), (dl.scale(z, name="right"),), "wrong")
    report = dl.check.adjoint(dl.Model(z, x))
    assert {one.node for one in report.lines if not one.ok} == {"wrong", "model"}


def test_jacobian_by_numbers():
    z = np.array([1.0, -2.0, 3.0])
    found = dl.check.jacobian(node(Kink(), (3,)), z=z)
    assert np.array_equal(found.matrix, np.diag([1, -1, 1]))
    assert str(found).split() == ["1", "0", "0", "0", "-1", "0", "0", "0", "1"]
    with pytest.raises(dl.Error, match="single weights"):
        _ = found.symbolic
    with pytest.raises(dl.Error, match="expected one of z, got 'v'"):
        dl.check.jacobian(node(Kink(), (3,)), of="v")


def test_jacobian_of_a_model_uses_its_parameters():
    z = dl.Input((3,))
    net = dl.Model(z, dl.dense(z, 2, name="F1"), dtype="float64")
    w = net.parameters["F1.w"]
    assert np.array_equal(dl.check.jacobian(net).matrix, w.T)


def test_jacobian_of_transposed_convolution_is_the_transpose():
    z = dl.Input((4, 1))
    letters = dl.check.jacobian(dl.conv_transpose(z, 1, kernel=3, bias=False)).letters
    forward = dl.check.jacobian(dl.conv(dl.Input((6, 1)), 1, kernel=3, bias=False))
    assert letters == tuple(zip(*forward.letters, strict=True))
