"""Every network of the zoo has the parameters its paper says, and runs."""

import doctest
import importlib
import math
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from minidl.models.resnet_cifar import resnet_cifar
from minidl.models.wide_resnet import KINDS, wide_resnet

import minidl as dl

# network, settings, trainable numbers
COUNTS = [
    ("alexnet", {}, 62_378_344),
    ("alexnet", {"variant": "grouped"}, 60_965_224),
    ("alexnet", {"variant": "torchvision"}, 61_100_840),
    ("all_cnn_c", {}, 1_369_738),
    ("densenet121", {}, 7_978_856),
    ("densenet161", {}, 28_681_000),
    ("densenet169", {}, 14_149_480),
    ("densenet201", {}, 20_013_928),
    ("densenet_bc_100_12", {}, 769_162),
    ("efficientnet_b0", {}, 5_288_548),
    ("googlenet", {}, 6_998_552),
    ("googlenet", {"heads": True}, 13_378_280),
    ("googlenet", {"variant": "torchvision"}, 6_624_904),
    ("googlenet", {"variant": "torchvision", "heads": True}, 13_004_888),
    ("lecture_cnn5", {}, 20_065),
    ("lenet5", {}, 60_000),
    ("lenet5", {"variant": "modern"}, 61_706),
    ("mobilenet_v1", {}, 4_231_976),
    ("mobilenet_v2", {}, 3_504_872),
    ("nasnet_mobile", {}, 5_289_978),
    ("resnet18", {}, 11_689_512),
    ("resnet34", {}, 21_797_672),
    ("resnet50", {}, 25_557_032),
    ("resnet101", {}, 44_549_160),
    ("resnet152", {}, 60_192_808),
    ("resnet20", {}, 269_722),
    ("resnet32", {}, 464_154),
    ("resnet44", {}, 658_586),
    ("resnet56", {}, 853_018),
    ("resnet110", {}, 1_727_962),
    ("resnext50_32x4d", {}, 25_028_904),
    ("resnext101_32x8d", {}, 88_791_336),
    ("se_resnet50", {}, 28_088_024),
    ("vgg11", {}, 132_863_336),
    ("vgg11_bn", {}, 132_868_840),
    ("vgg13", {}, 133_047_848),
    ("vgg13_bn", {}, 133_053_736),
    ("vgg16", {}, 138_357_544),
    ("vgg16_bn", {}, 138_365_992),
    ("vgg19", {}, 143_667_240),
    ("vgg19_bn", {}, 143_678_248),
    ("wide_resnet50_2", {}, 68_883_240),
    ("wide_resnet101_2", {}, 126_886_696),
    ("wrn_28_10", {}, 36_479_194),
    ("wrn_28_10", {"kind": "basic"}, 369_498),
    ("zfnet", {}, 62_357_608),
    ("zfnet", {"variant": "wide"}, 107_627_624),
]

# the checksum of the names and shapes in torchvision's state dict
PUBLISHED = {
    "alexnet": 0x72345434,
    "densenet121": 0x13629A27,
    "densenet161": 0xBBED3648,
    "densenet169": 0xEDCFE24B,
    "densenet201": 0xCE534590,
    "efficientnet_b0": 0xE39B9C92,
    "googlenet": 0xF6F12FBB,
    "mobilenet_v2": 0xBF846E5D,
    "resnet101": 0x5A23DAFA,
    "resnet152": 0x3B84C403,
    "resnet18": 0x33D414D6,
    "resnet34": 0x72076736,
    "resnet50": 0xBF0A89AA,
    "resnext101_32x8d": 0x060F6719,
    "resnext50_32x4d": 0x48C50FCD,
    "vgg11": 0xA02A54BB,
    "vgg11_bn": 0xEF0A9761,
    "vgg13": 0xACA48D37,
    "vgg13_bn": 0xB8E21606,
    "vgg16": 0x896F10A2,
    "vgg16_bn": 0x12AC97B5,
    "vgg19": 0xC7C821C0,
    "vgg19_bn": 0x69B9C7F6,
    "wide_resnet101_2": 0x788A0F9A,
    "wide_resnet50_2": 0x86CF6AE9,
}
TORCH = {
    "w": "weight", "b": "bias", "gamma": "weight", "beta": "bias",
    "mean": "running_mean", "var": "running_var",
}  # fmt: skip


def learned(net):
    return {k: p.shape for k, p in net.params.items() if not p.buffer}


def shape(net, node):
    return net.graph.nodes[node]["node"].shape


@pytest.mark.parametrize(("name", "settings", "numbers"), COUNTS)
def test_counts(name, settings, numbers):
    assert dl.models.get(name)(**settings).count == numbers


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names_follow(name):
    variant = {"alexnet": {}, "googlenet": {"heads": True}}.get(name)
    settings = {} if variant is None else {"variant": "torchvision", **variant}
    found = []
    for key, param in dl.models.get(name)(**settings).params.items():
        node, local = key.rsplit(".", 1)
        if local in TORCH:
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(param.shape), (0,))
            sizes = "x".join(str(param.shape[axis]) for axis in axes)
            found.append(f"{node}.{TORCH[local]} {sizes}")
    assert zlib.crc32("\n".join(sorted(found)).encode()) == PUBLISHED[name]


def test_every_network_is_here():
    assert {name for name, *_ in COUNTS} == set(dl.models.list())
    assert set(dl.models.list()) <= set(dl.models.__all__)
    assert len(set(dl.models.__all__)) == len(dl.models.__all__)
    for name in dl.models.list():
        assert getattr(dl.models, name) is dl.models.get(name)


def test_no_file_hides_a_function():
    files = {*dl.models.FAMILIES, *dl.models.BLOCKS}
    assert not files & set(dl.models.__all__)
    for names in dl.models.BLOCKS.values():
        assert all(callable(getattr(dl.models, name)) for name in names)


@pytest.mark.parametrize(("name", "settings"), [(a, b) for a, b, _ in COUNTS])
def test_a_step_on_small_images(name, settings):
    size = {"lecture_cnn5": (9, 7, 1), "lenet5": (32, 32, 1)}.get(name, (32, 32, 3))
    if name != "lecture_cnn5":
        settings = {"classes": 10, **settings}
    net = dl.models.get(name)(input=size, **settings)
    if settings.get("heads"):
        assert [shape(net, one) for one in net.outputs] == [(10,)] * 3
        return
    images = np.random.default_rng(0).random((2, *size), np.float32)
    labels = np.array([3, 7])
    if name == "lecture_cnn5":
        net.compile(loss="mean_squared_error")
        labels = images
    else:
        assert shape(net, net.outputs[0]) == (10,)
    weights = [k for k in net.parameters if k.endswith(".w")]
    before = {k: net.parameters[k].ravel()[::997].copy() for k in weights}
    assert 0 < net.train_step(images, labels) < 10
    after = {k: net.parameters[k].ravel()[::997] for k in weights}
    assert not [k for k in weights if np.array_equal(before[k], after[k])]
    if net.count < 12_000_000:  # the others are larger, not different
        assert np.isfinite(net(images)).all()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("alexnet", {"conv1": 55, "pool1": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("all_cnn_c", {"conv2": 32, "conv3": 16, "conv6": 8, "conv8": 6}),
        (
            "googlenet",
            {"conv1.conv": 112, "maxpool1": 56, "maxpool2": 28, "maxpool3": 14,
             "maxpool4": 7},
        ),
        ("nasnet_mobile", {"stem.conv": 111, "cell1.concat": 56, "cell16.concat": 7}),
        ("resnet50", {"conv1": 112, "layer1.2.add": 56, "layer4.2.add": 7}),
        ("vgg16", {"features.4": 112, "features.30": 7}),
        ("zfnet", {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "pool5": 6}),
    ],
)  # fmt: skip
def test_sizes(name, sizes):
    net = dl.models.get(name)()
    assert {node: shape(net, node)[:2] for node in sizes} == {
        node: (n, n) for node, n in sizes.items()
    }


def test_vgg16_is_the_lectures():
    found = learned(dl.models.vgg16())
    assert [math.prod(found[k]) for k in found if k.endswith(".w")] == [
        1728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824, 1_179_648, 2_359_296,
        2_359_296, 2_359_296, 2_359_296, 2_359_296, 102_760_448, 16_777_216, 4_096_000,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_four_wide_blocks(kind):
    z = dl.Input((8, 8, 16))
    x = dl.models.wide_block(z, 8, stride=2, kind=kind, widen=3)
    wide = {"basic": 8, "bottleneck": 32}.get(kind, 24)
    assert x.shape == (4, 4, wide)
    kinds = [data["node"].op.kind for _, data in dl.Model(z, x).graph.nodes(data=True)]
    assert kinds.count("conv") == (4 if kind == "bottleneck" else 3)
    assert kinds.count("dropout") == (kind == "wide-dropout")
    depth = 13 if kind == "bottleneck" else 10
    net = wide_resnet(depth, 2, kind)
    assert net.name == f"wrn_{depth}_{2 if 'wide' in kind else 1}"
    assert 0 < net.train_step(np.ones((2, 32, 32, 3), np.float32), np.array([1, 2])) < 4


def test_shortcuts_without_parameters():
    z = dl.Input((5, 4, 3))
    net = dl.Model(z, dl.models.basic_block(z, 8, stride=2, padded=True))
    for key in net.parameters:
        net.parameters[key] = np.zeros_like(net.parameters[key])
    image = np.random.default_rng(0).random((2, 5, 4, 3), np.float32)
    x = np.zeros((2, 3, 2, 8), np.float32)
    x[..., 2:5] = image[:, ::2, ::2]
    np.testing.assert_array_equal(net(image), x)


def test_any_size():
    net = dl.models.resnet18(classes=10, input=(None, None, 3))
    for size in ((64, 48), (70, 33)):
        assert net(np.zeros((1, *size, 3), np.float32)).shape == (1, 10)


def test_lenet5_is_the_papers():
    net = dl.models.lenet5()
    found = {}
    for name, w in net.parameters.items():
        layer = name.split(".")[0]
        found[layer] = found.get(layer, 0) + w.size
    assert found == {
        "C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48_120, "F6": 10_164,
    }  # fmt: skip
    shapes = [net.graph.nodes[name]["node"].shape for name in found]
    assert shapes == [
        (28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120), (84,),
    ]  # fmt: skip


def test_the_connection_table():
    from minidl.models.lenet import CONNECTIONS

    assert [len(row) for row in CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(CONNECTIONS)) == 16
    assert np.bincount(np.concatenate(CONNECTIONS)).tolist() == [10] * 6


def test_the_codes():
    from minidl.models.lenet import codes

    rows = np.array(codes()).T
    assert rows.shape == (10, 84)
    assert set(np.unique(rows)) == {-1.0, 1.0}
    apart = ((rows[:, None] - rows) ** 2).sum(-1) + 999 * np.eye(10)
    assert apart.min() >= 16  # no two digits look alike


def test_the_largest_score_is_the_nearest_code():
    from minidl.models.lenet import codes

    net = dl.models.lenet5()
    f6 = dl.Input((84,))
    head = dl.Model(f6, dl.rbf(f6, 10, init=dl.init.values(codes())))
    rows = np.array(codes(), np.float32).T
    assert (head(rows).argmin(-1) == np.arange(10)).all()
    np.testing.assert_array_equal(net.buffers["output.w"], rows.T)
    x = np.zeros((1, 32, 32, 1), np.float32)
    distances = net.values(x, at="output")["output"]
    np.testing.assert_allclose(net(x), -distances / 84, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("variant", ["paper", "modern"])
def test_it_learns(variant, classes):
    net = dl.models.lenet5(variant, classes=classes, seed=1)
    (images, labels), _ = dl.data.digits()
    keep = np.flatnonzero(labels < classes)[:40]
    losses = [net.train_step(images[keep], labels[keep]) for _ in range(12)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dl.models.lenet5("old"), "variant: expected one of"),
        (lambda: dl.models.lenet5(classes=11), 'use variant="modern"'),
        (lambda: dl.models.lenet5(input=(28, 28, 1)), "C5: kernel 5 is larger"),
        (lambda: dl.models.get("lenet"), "did you mean lenet5"),
        (lambda: dl.models.alexnet("old"), "alexnet: variant: expected one of paper, "),
        (lambda: dl.models.googlenet("old"), "googlenet: variant: expected paper or "),
        (lambda: dl.models.zfnet("old"), "zfnet: variant: expected one of paper, wide"),
        (lambda: dl.models.wrn_28_10("old"), "kind: expected one of basic, "),
        (lambda: dl.models.vgg11(input=(16, 16, 3)), "features.20: kernel 2 is larger"),
        (lambda: resnet_cifar(21), r"depth: expected 6 n \+ 2"),
        (lambda: wide_resnet(29), r"depth: expected 6 n \+ 4, got 29"),
        (lambda: wide_resnet(28, kind="bottleneck"), r"depth: expected 9 n \+ 4"),
        (lambda: dl.models.get("xyz"), "no network is named 'xyz'"),
    ],
)
def test_wrong_settings(call, words):
    with pytest.raises(dl.Error, match=words):
        call()


def test_no_such_attribute():
    with pytest.raises(AttributeError, match="lenet6"):
        dl.models.lenet6  # noqa: B018


def test_the_folder_is_no_package_of_its_own():
    found = subprocess.run(
        [sys.executable, "-c", "import models"], cwd=Path(__file__).parents[1],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert "import minidl.models" in found.stderr.splitlines()[-1]


FILES = sorted({*dl.models.FAMILIES, *dl.models.BLOCKS})


@pytest.mark.parametrize("name", ["", *(f".{file}" for file in FILES)])
def test_examples(name):
    module = importlib.import_module(f"minidl.models{name}")
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
