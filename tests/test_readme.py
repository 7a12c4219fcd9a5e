"""What the README says is so."""

import re
from pathlib import Path

import pytest

import minidl as dl
from minidl import draw
from minidl.ops import TABLE

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = {}
    for block in BLOCKS:
        exec(block, space)
    assert "kernel 5 is larger than the padded height 4" in capsys.readouterr().out
    assert (tmp_path / "small.svg").exists()


def test_an_op_of_ones_own_takes_fifteen_lines():
    (own,) = (block for block in BLOCKS if "dl.Op" in block)
    lines = [line for line in own.splitlines() if line.strip()]
    assert len(lines) - 1 <= 15  # the import is not the op


@pytest.mark.parametrize("name", TABLE)
def test_every_op_is_listed(name):
    assert f"`{name}`" in TEXT.split("## Ops")[1].split("## An op")[0]


def test_no_op_is_invented():
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.M)
    for name in re.findall(r"`(\w+)`", " ".join(rows)):
        assert hasattr(dl, name), name


def test_the_picture_is_what_is_drawn():
    picture = (ROOT / "docs" / "lenet5.svg").read_bytes()
    assert picture == draw.encode(dl.models.lenet5(), ".svg")


def test_the_code_on_the_zoo_runs(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "zoo.md").read_text()
    monkeypatch.chdir(tmp_path)
    space = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(block, space)
    assert (tmp_path / "five.safetensors").exists()
    for name in (*dl.models.list(), *dl.models.PARTS):
        assert name in text or name.endswith("_bn"), name


def test_the_code_on_diagrams_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "diagrams.md").read_text()
    monkeypatch.chdir(tmp_path)
    space = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(block, space)
    assert '"pad": 1' in capsys.readouterr().out
    made = {path.suffix for path in tmp_path.iterdir()}
    assert made == set(draw.FORMATS) - {".gv"}
    for suffix in draw.FORMATS:
        assert f"`{suffix}`" in text
