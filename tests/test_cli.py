"""The commands: what they print, where, and how they end."""

import json
import subprocess
import sys

import pytest

import minidl as dl
from minidl import cli


@pytest.fixture
def few(monkeypatch):
    """Digits enough to see the commands at work."""
    whole = dl.data.digits
    parts = dl.data.Part, dl.data.Split

    def digits(*settings):
        part, split = parts
        return split(*(part(p.images[:48], p.labels[:48]) for p in whole(*settings)))

    monkeypatch.setattr("minidl.data.digits", digits)


def run(capsys, *words):
    """The exit code and what was printed."""
    code = cli.main(words)
    return (code, *capsys.readouterr())


def test_models(capsys):
    code, out, err = run(capsys, "models")
    assert (code, err) == (0, "")
    assert all(name in out for name in dl.models.list())
    rows = json.loads(run(capsys, "models", "--json")[1])
    assert {row["name"]: row["parameters"] for row in rows}["lenet5"] == 60_000
    assert all(row["macs"] > 0 for row in rows)


def test_summary(capsys):
    code, out, _ = run(capsys, "summary", "lenet5")
    assert code == 0
    assert "60,000 parameters" in out
    assert max(map(len, out.splitlines())) <= 100


def test_draw(capsys, tmp_path):
    path = tmp_path / "x.svg"
    assert run(capsys, "draw", "lenet5", "--variant", "modern", "-o", str(path))[0] == 0
    assert "max_pool" in path.read_text()


def test_check(capsys, monkeypatch):
    code, out, _ = run(capsys, "check", "lenet5")
    assert code == 0
    assert "connection_conv" in out
    monkeypatch.setattr("minidl.check.adjoint", lambda *_, **__: dl.check.Report(()))
    assert run(capsys, "check", "lenet5")[0] == 1


def test_train_and_eval(capsys, tmp_path, few):
    path = str(tmp_path / "w.npz")
    words = ("train", "lenet5", "--epochs", "2", "--batch", "16", "--threads", "1")
    words += ("--lr", "0.01", "--momentum", "0.5", "--seed", "3", "--copies", "2")
    code, out, err = run(capsys, *words, "--out", path)
    assert code == 0
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["epoch", "1"], ["epoch", "2"],
    ]  # fmt: skip
    assert out.startswith("lenet5: ")
    assert f"weights: {path}" in out

    code, out, err = run(capsys, *words, "--json")
    trained = json.loads(out)
    assert [row["epoch"] for row in trained["epochs"]] == [1, 2]
    code, out, err = run(capsys, "eval", "lenet5", "--weights", path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["accuracy"] == trained["accuracy"]  # the seed repeats it


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("summary lenet", "did you mean lenet5"),
        ("summary lenet5 --variant x", "variant: expected one of"),
        ("summary lecture_cnn5 --variant x", "has no variants"),
        ("draw lenet5 -o x.docx", "no format for the suffix '.docx'"),
        ("draw lenet5 -o none/x.svg", "cannot write 'none/x.svg'"),
        ("train lenet5 --out none/w.npz", "cannot write 'none/w.npz'"),
        ("train lecture_cnn5 --epochs 1", "must make 10 scores of ?x?x1"),
        ("eval lenet5 --weights none.npz", "none.npz: cannot be read"),
    ],
)
def test_errors_are_one_line(capsys, words, error):
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (1, "")
    assert err.startswith("minidl: error: ")
    assert len(err.splitlines()) == 1
    assert error in err


@pytest.mark.parametrize(
    "words",
    [
        "", "fly", "summary", "draw lenet5", "train lenet5 --epochs 0",
        "train lenet5 --epochs 1.5", "train lenet5 --lr nan", "train lenet5 --lr x",
        "train lenet5 --momentum -1", "train lenet5 --data cats", "eval lenet5",
    ],
)  # fmt: skip
def test_a_command_that_is_not_understood(capsys, words):
    with pytest.raises(SystemExit) as end:
        cli.main(words.split())
    assert end.value.code == 2
    assert "usage: minidl" in capsys.readouterr().err


def test_ctrl_c(capsys, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("minidl.models.get", stop)
    assert run(capsys, "summary", "lenet5") == (130, "", "minidl: interrupted\n")


def test_a_reader_that_leaves():
    shell = f"({sys.executable} -m minidl summary lenet5; echo $? >&2) | true"
    found = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True
    )
    assert found.stderr == "0\n"


def test_it_is_a_module():
    found = subprocess.run(
        [sys.executable, "-m", "minidl", "draw", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "-o FILE.svg" in found.stdout
