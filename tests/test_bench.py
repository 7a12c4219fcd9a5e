"""The benchmarks: options, tables, plot; a contest of minidl with nobody."""

import importlib
import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minidl as dl
from minidl import cli
from minidl.profile import peak, profile

HOME = Path(__file__).parents[1] / "benchmarks"
PLAIN = ("bench", "contest", "machine", "plot", "report", "worker")


@pytest.fixture(scope="module")
def bench():
    """The files of benchmarks/ that need no peers."""
    sys.path.insert(0, str(HOME))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in PLAIN})
    sys.path.remove(str(HOME))
    for name in PLAIN:
        del sys.modules[name]


@pytest.fixture
def found(bench):
    """Results as bench.py makes them."""
    told = {
        name: {
            "version": "1", "times": times, "peak": peak, "first": 1.0, "found": [1.0],
        }
        for name, times, peak in (
            ("minidl", [1.0, 3.0, 2.0], 50e6),
            ("torch", [2.0, 3.0, 6.0], 200e6),
            ("openvino", [0.004, 0.012, 0.016], 100e6),
        )
    }  # fmt: skip
    cases = [
        {
            "network": network, "mode": mode, "batch": batch,
            "skipped": {"ncnn": "ncnn is not installed"},
            **bench.contest.compared(told),
        }
        for network in ("lenet5", "vgg16")
        for mode, batch in (("infer", 1), ("infer", 8), ("train", 8))
    ]  # fmt: skip
    machine = {"cpu": "A <CPU>", "level": "v4", "date": "2026-01-01"}
    return {"machine": machine, "rounds": 3, "threads": 2, "cases": cases}


def test_ratios_are_medians_of_pairs(found):
    one = found["cases"][0]
    assert one["fastest"] == "openvino"
    assert one["contestants"]["torch"]["ratio"] == 0.5
    assert one["contestants"]["torch"]["seconds"] == 3.0
    assert one["ratio"] == one["contestants"]["openvino"]["ratio"] == 250
    assert json.loads(json.dumps(found)) == found


def test_text(bench, found):
    text = "\n".join(bench.report.lines(found["cases"][0]))
    assert "3.00e+03 ms" in text
    assert "fastest peer" in text
    assert "left out: ncnn is not installed" in text
    table = bench.report.summary(found)
    assert "| vgg16 | 250.00 openvino, 0.25 MB/MB |" in table
    assert "| inference, one | inference, several | training |" in table


def test_plot(bench, found):
    picture = ET.fromstring(bench.plot.plot(found))
    dots = [one for one in picture.iter() if one.tag.endswith("circle")]
    assert len(dots) == 2 + 2 * len(found["cases"])
    width = float(picture.attrib["width"])
    assert all(0 < float(one.attrib["cx"]) < width for one in dots)
    found["cases"] = []
    ET.fromstring(bench.plot.plot(found))


def test_options(bench):
    options = bench.bench.parser().parse_args(["--only", "vgg16", "--mode", "infer"])
    cases = list(bench.bench.cases(options, "folder"))
    assert [(one["network"], one["batch"]) for one in cases] == [
        ("vgg16", 1), ("vgg16", 8),
    ]  # fmt: skip
    assert bench.bench.names("train", ["torch", "ncnn"]) == ["minidl", "torch"]
    known = ["minidl", "converter", "ncnn"]
    assert bench.bench.names("infer", ["ncnn"]) == known


def test_difference(bench):
    assert bench.contest.difference([1.0, 2.0], [1.0, 2.0]) == 0
    assert bench.contest.difference([1.0], [1.0, 2.0]) == math.inf
    assert bench.contest.difference([3.0, 4.0], [0.0, 0.0]) == 5


def test_a_contest(tmp_path):
    """Minidl runs; a peer whose interpreter fails is left out by name."""
    words = ("--quick", "--only", "lenet5", "--batch", "2", "--peers", "torch")
    out = tmp_path / "found.json"
    subprocess.run(
        [
            sys.executable, str(HOME / "bench.py"), *words, "--threads", "1",
            "--out", str(out), "--python", "false",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    found = json.loads(out.read_text())
    assert [case["mode"] for case in found["cases"]] == ["infer", "train"]
    for case in found["cases"]:
        assert list(case["contestants"]) == ["minidl"]
        assert case["contestants"]["minidl"]["peak"] > 10e6
        assert "torch" in case["skipped"]
    assert out.with_suffix(".svg").exists()


@pytest.mark.parametrize("train", [False, True])
def test_profile(train):
    net = dl.models.lenet5("modern")
    before = {name: np.copy(w) for name, w in net.parameters.items()}
    found = profile(net, batch=3, train=train, seconds=0.02)
    for name, w in net.parameters.items():
        np.testing.assert_array_equal(w, before[name])
    forward = sum(line.flops for line in found.lines if line.do == "forward")
    assert forward == 2 * net.plan(3).macs
    assert all(line.seconds > 0 and line.bytes > 0 for line in found.lines)
    back = {line.node: line.flops for line in found.lines if line.do == "adjoint"}
    ahead = {line.node: line.flops for line in found.lines if line.do == "forward"}
    assert not train or back["C1"] == ahead["C1"]  # nobody wants the image's delta
    assert not train or back["C3"] == 2 * ahead["C3"]
    total = sum(line.seconds for line in found.lines)
    assert sum(line.seconds for line in found.kinds()) == pytest.approx(total)


def test_profile_command(capsys):
    words = ["profile", "lenet5", "--variant", "modern", "--batch", "2"]
    words += ["--threads", "1"]
    kept = dl.get_threads()
    try:
        assert cli.main([*words, "--train"]) == 0
        assert "GFLOP/s" in capsys.readouterr().out
        assert cli.main([*words, "--json"]) == 0
    finally:
        dl.set_threads(kept)
    found = json.loads(capsys.readouterr().out)
    assert (found["batch"], found["train"], found["threads"]) == (2, False, 1)
    assert {"lines", "kinds", "peak"} <= set(found)


def test_peak():
    assert peak(0.01) > peak(0.01, "float64") / 2 > 0
