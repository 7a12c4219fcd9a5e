"""Source text that defines a network again."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import minidl as dl
from minidl import cli
from minidl.network import readers
from minidl.ops import TABLE


def rebuilt(net, **more):
    """What the text of a network defines."""
    source = net.to_python()
    assert max(map(len, source.splitlines())) <= 120
    space = dict(more)
    exec(compile(source, "rebuilt", "exec"), space)
    return space["build"]()


def same(a, b):
    """Assert that two definitions are equal in all that they say."""
    assert list(a.graph) == list(b.graph)
    for name in a.graph:
        one, other = (net.graph.nodes[name]["node"] for net in (a, b))
        assert one.op == other.op
        assert one.shape == other.shape
        assert readers(a.graph, name) == readers(b.graph, name)
    assert a._owner == b._owner
    for what in (
        "inputs", "outputs", "_single", "name", "dtype", "seed", "exact", "frozen"
    ):
        assert getattr(a, what) == getattr(b, what)


@pytest.mark.parametrize("name", dl.models.list())
def test_every_network(name):
    net = dl.models.get(name)()
    same(net, rebuilt(net))
    assert net.to_python() == net.to_python()


def test_what_repeats_is_a_loop():
    """A deeper network is no longer a text, only other numbers."""
    texts = [dl.models.get(f"resnet{n}")().to_python() for n in (32, 44, 110)]
    assert len({text.count("\n") for text in texts}) == 1
    assert "for i in range(18):" in texts[2]
    text = dl.models.mobilenet_v1().to_python()
    assert "for i, filters, stride, filters2 in (" in text


def test_what_lies_under_one_name_is_a_function():
    """As the paper's table: a line for each module, with its numbers."""
    text = dl.models.googlenet().to_python()
    assert text.count("def ") == 4
    assert '    z = inception(z, "inception3a", 64, 96, 128, 16, 32, 32)\n' in text
    assert "def layer_b(z, name, filters):" in dl.models.resnet18().to_python()


def test_the_same_text_in_another_process():
    code = "import minidl as dl; print(dl.models.nasnet_mobile().to_python(), end='')"
    found = [
        subprocess.check_output(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", TABLE)
def test_every_op(name):
    row = TABLE[name]
    for case in row.cases:
        inputs = [dl.Input(shape) for shape in case.shapes]
        if row.labels:
            inputs[-1] = dl.Input(case.shapes[-1], dtype="int64")
        node = row.build(*([inputs] if row.variadic else inputs), **case.settings)
        net = dl.Model(inputs, node, dtype="float64", seed=3)
        same(net, rebuilt(net))


def grown(rng):
    """A network of blocks that repeat, with names that count, or none."""
    nodes = [dl.Input((8, 8, 4), name="image")]
    for stage in range(rng.integers(1, 4)):
        pattern = [
            (rng.integers(5), rng.integers(1, 4), rng.integers(1, 5))
            for _ in range(rng.integers(1, 6))
        ]
        named, width = rng.integers(4), 4 * int(rng.integers(1, 3))
        keep = len(nodes) - 1
        for i in range(rng.integers(1, 5)):
            for j, (kind, back, far) in enumerate(pattern):
                z = nodes[-min(back, len(nodes))]
                name = f"s{stage}.{i}.n{j}" if named == 1 else None
                name = f"s{stage}.{i * 2 + 7}{{'{j}" if named == 2 else name
                name = f"s{stage}.{i}.m.{'abc'[j // 3]}.{j}" if named == 3 else name
                if kind == 0:
                    z = dl.relu(z, name=name)
                elif kind == 1:
                    z = dl.conv(z, 4, 3, 1, "same", 1 + (i == 1), name=name)
                elif kind == 2:
                    z = dl.add(z, nodes[-min(far, len(nodes))], name=name)
                elif kind == 3:
                    other = nodes[min(keep, len(nodes) - 1)]
                    z = dl.add(dl.scale(z, i + 1, width), other, name=name)
                else:
                    z = dl.conv(dl.conv(z, width, 1), 4, 1, bias=False, name=name)
                nodes.append(z)
    more = rng.integers(1, len(nodes), rng.integers(2))
    ends = dict.fromkeys([nodes[-1], *(nodes[i] for i in more)])
    return dl.Model(nodes[0], list(ends))


@pytest.mark.parametrize("start", range(0, 400, 40))
def test_any_graph(start):
    for seed in range(start, start + 40):
        net = grown(np.random.default_rng(seed))
        same(net, rebuilt(net))


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["*"], '"*"'),
        (["layer1.*", "layer2.0.bn1.gamma"], '"layer1.*", "layer2.0.bn1.gamma"'),
    ],
)
def test_frozen_parameters(patterns, said):
    net = dl.models.resnet20()
    net.freeze(*patterns)
    assert f"    net.freeze({said})\n" in net.to_python()
    same(net, rebuilt(net))


def test_frozen_parameters_of_any_name():
    image = dl.Input((4,), name="image")
    z = dl.dense(dl.dense(image, 3, name="a[1]*?"), 3, name="a[1]b")
    net = dl.Model(image, z)
    net.freeze("a[[]1]?[?].w", "a[[]1]?[?].b")
    same(net, rebuilt(net))


def test_all_settings_and_several_inputs():
    a, b = dl.Input((4,), name="a"), dl.Input((4,), name="l")
    net = dl.Model([b, a], [dl.add(a, b)], "two", "float64", seed=7, exact=True)
    same(net, rebuilt(net))
    one = dl.Model(a, a, name="nothing")
    same(one, rebuilt(one))


def test_shared_parameters():
    image = dl.Input((6, 6, 3), name="image")
    one = dl.conv(image, 3, 3, pad=1, name="one")
    z = one
    for i in range(4):
        z = dl.conv(dl.relu(z), 3, 3, pad=1, name=f"again{i}", share=one)
    net = dl.Model(image, z)
    same(net, rebuilt(net))


@pytest.mark.parametrize(
    "name", ['a"b', "a'b", "{a}", "a\\nb", "a\nb", "über", "\ud800", '"""', "z", "for"]
)
def test_any_name(name):
    image = dl.Input((4, 4, 3), name=name)
    z = dl.relu(image, name=f"{name}0")
    net = dl.Model(image, [z, dl.tanh(z, name=f"{name}1")], name=name)
    same(net, rebuilt(net))


@dataclass(frozen=True)
class Softsign(dl.Op):
    """x = z / (1 + |z|);   delta = epsilon / (1 + |z|)^2"""

    steep: float = 1.0

    def infer(self, *z):
        return dl.Spec(z[0])


def test_an_op_of_ones_own():
    image = dl.Input((4,), name="image")
    net = dl.Model(image, dl.Node(Softsign(2.5), [image], name="own"))
    assert f"from {__name__} import Softsign" in net.to_python()
    same(net, rebuilt(net))

    @dataclass(frozen=True)
    class Inner(Softsign):
        table: object = None

    net = dl.Model(image, dl.Node(Inner(table=(1, 2)), [image]))
    assert "# Inner: an op of your own" in net.to_python()
    same(net, rebuilt(net, Inner=Inner))
    net = dl.Model(image, dl.Node(Inner(table=np.zeros), [image]))
    with pytest.raises(dl.DataError, match="cannot write the setting"):
        net.to_python()


def test_long_chains_are_quick():
    """5,000 nodes that never repeat."""
    z = image = dl.Input((4,), name="image")
    rng = np.random.default_rng(0)
    for kind in rng.integers(3, size=5000):
        z = (dl.relu, dl.tanh, dl.sigmoid)[kind](z)
    net = dl.Model(image, z)
    same(net, rebuilt(net))


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / "x.py"
    assert cli.main(["export", "resnet20", "-o", str(path)]) == 0
    space = {}
    exec(path.read_text(), space)
    same(dl.models.resnet20(), space["build"]())
    capsys.readouterr()
