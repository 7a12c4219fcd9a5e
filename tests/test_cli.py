"""The commands: what they print, where, and how they end."""

import json
import subprocess
import sys

import numpy as np
import pytest

import minidl as dl
from minidl import cli


@pytest.fixture
def few(monkeypatch):
    """Digits enough to see the commands at work."""
    whole = dl.data.digits

    def digits(*settings):
        return dl.data.Split(*(part[:48] for part in whole(*settings)))

    monkeypatch.setattr("minidl.data.sets.digits", digits)


def run(capsys, *words):
    """The exit code and what was printed."""
    code = cli.main(words)
    return (code, *capsys.readouterr())


def test_models(capsys, monkeypatch):
    monkeypatch.setattr("minidl.models.list", lambda: ("lenet5", "lecture_cnn5"))
    code, out, err = run(capsys, "models")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(dl.models.list())
    names = ("vgg11", "resnet20")
    rows = json.loads(run(capsys, "models", *names, "--batch", "2", "--json")[1])
    assert [row["name"] for row in rows] == list(names)
    # parameters, momentum and the gradients that are stored are the least
    assert rows[0]["bytes"] > 2 * 4 * rows[0]["parameters"] > 0
    plan = dl.models.resnet20().plan(batch=2, train=True)
    assert rows[1]["macs"] * 2 == plan.macs
    assert rows[1]["bytes"] > plan.bytes + 8 * rows[1]["parameters"]


@pytest.mark.parametrize("name", ["lenet5", "resnet50", "nasnet_mobile", "googlenet"])
def test_summary(capsys, name):
    code, out, _ = run(capsys, "summary", name)
    assert code == 0
    count = dl.models.get(name)().count
    *rows, last = out.splitlines()
    assert f"{count:,} parameters" in last
    assert max(map(len, rows)) <= 100
    at = rows[0].index("parameters") + len("parameters")  # where they end
    outer = [row for row in rows[1:] if not row.startswith(" ")]
    found = [row[:at].split()[-1].replace(",", "") for row in outer]
    assert sum(int(one) for one in found if one.isdigit()) == count, "blocks add up"


def test_summary_folds(capsys):
    folded, plain = (
        run(capsys, "summary", "resnet152", *more)[1] for more in ((), ("--fold", "0"))
    )
    assert len(folded.splitlines()) < 120 < len(plain.splitlines())
    assert "layer3.1  x 35" in folded
    assert folded.splitlines()[-1] == plain.splitlines()[-1]


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
    path, logs = str(tmp_path / "w.npz"), tmp_path / "logs"
    words = ("train", "lenet5", "--epochs", "2", "--batch", "16", "--threads", "1")
    words += ("--lr", "0.01", "--momentum", "0.5", "--seed", "3", "--logs", str(logs))
    code, out, err = run(capsys, *words, "--out", path)
    assert code == 0
    first, *lines = err.splitlines()
    assert first.startswith("lenet5: 6 steps of 16 images, about ")
    assert [line.split()[:2] for line in lines] == [["epoch", "1"], ["epoch", "2"]]
    assert out.startswith("lenet5: ")
    assert f"weights: {path}" in out
    assert sorted(one.name for one in logs.iterdir()) == [
        "curves.svg", "events.out.tfevents.0.minidl", "log.csv", "log.jsonl",
    ]  # fmt: skip

    code, out, err = run(capsys, *words, "--json")
    trained = json.loads(out)
    assert [row["epoch"] for row in trained["epochs"]] == [1, 2]
    for more in (("lenet5", "--weights", path), (path,)):  # the seed repeats it
        code, out, err = run(capsys, "eval", *more, "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert found["accuracy"] == trained["accuracy"]
        assert np.sum(found["confusion"]) == 48


def test_a_config_file_repeats_a_run(capsys, tmp_path, few):
    config = tmp_path / "run.toml"
    config.write_text('model = "lenet5"\nepochs = 1\nbatch = 24\nshift = 0\n')
    words = ("train", "lenet5", "--epochs", "1", "--batch", "24", "--shift", "0")
    by_words = json.loads(run(capsys, *words, "--json")[1])
    by_file = json.loads(run(capsys, "train", "--config", str(config), "--json")[1])
    for found in (by_words, by_file):
        found["epochs"][0].pop("seconds")
    assert by_words == by_file
    # the command line goes before the file
    more = run(capsys, "train", "--config", str(config), "--epochs", "2", "--json")
    assert len(json.loads(more[1])["epochs"]) == 2
    for text, error in (
        ("speed = 1", "unknown setting 'speed'"), ("epochs = 0", "epochs: expected a"),
        ("epochs = ", "is not TOML"), ('optimiser = "lbfgs"', "expected one of sgd"),
        ('shedule = "step"', "did you mean schedule?"), ("types = 1", "unknown"),
        ("data = 5", "expected text in quotes, got 5"), ("freeze = [1]", "freeze: exp"),
        ("variant = 1", "variant: expected text"), ("logs = 5", "logs: expected text"),
        ('flip = "no"', "flip: expected true or false, got 'no'"),
        ("workers = -1", "workers: expected a whole number"),
    ):  # fmt: skip
        config.write_text(text)
        code, _, err = run(capsys, "train", "lenet5", "--config", str(config))
        assert code == 1
        assert error in err


def test_the_command_line_goes_before_the_file_where_it_says_nothing_too(
    capsys, tmp_path, few
):
    config = tmp_path / "run.toml"
    config.write_text('model = "lenet5"\nshift = 3\nflip = true\nseed = 5\nepochs=1')
    words = ("--shift", "0", "--no-flip", "--seed", "0", "--json")
    found = [
        json.loads(run(capsys, "train", *more, *words)[1])["loss"]
        for more in (("--config", str(config)), ("lenet5", "--epochs", "1"))
    ]
    assert found[0] == found[1]
    config.write_text('freeze = "C1.*"\nworkers = 0\nepochs = 1\noptimiser = "adam"')
    assert run(capsys, "train", "lenet5", "--config", str(config))[0] == 0


def test_predict(capsys, tmp_path, few):
    image = pytest.importorskip("PIL.Image", reason="Pillow is an extra")
    path, picture = str(tmp_path / "w.npz"), str(tmp_path / "x.png")
    image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8)).save(picture)
    assert run(capsys, "train", "lenet5", "--epochs", "1", "--out", path)[0] == 0
    code, out, _ = run(capsys, "predict", path, picture, "--json", "--top", "2")
    (row,) = json.loads(out)
    assert (code, row["picture"], len(row["classes"])) == (0, picture, 2)
    assert 0 < row["classes"][1]["share"] <= row["classes"][0]["share"] < 1
    code, out, _ = run(capsys, "predict", path, picture)
    assert out.startswith(f"{picture}: {row['classes'][0]['class']} (")


def test_predict_says_the_names_of_the_classes(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is an extra")
    home, path = tmp_path / "pets", str(tmp_path / "w.npz")
    for name, grey in (("cat", 20), ("dog", 230)):
        (home / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((32, 32, 3), grey + i, "uint8")
            image.fromarray(pixels).save(home / name / f"{i}.png")
    words = ("resnet20", "--data", f"folder:{home}", "--size", "32", "--epochs", "1")
    assert run(capsys, "train", *words, "--out", path)[0] == 0
    assert dl.load(path).classes == ("cat", "dog")
    out = run(capsys, "predict", path, str(home / "cat" / "0.png"))[1]
    assert sorted(word for word in out.split() if word.isalpha()) == ["cat", "dog"]
    code, _, err = run(capsys, "predict", path, str(home / "bird.png"))
    assert (code, "bird.png: there is no such file" in err) == (1, True)


def test_data_that_a_network_does_not_take(capsys, tmp_path, few):
    rng, path = np.random.default_rng(0), str(tmp_path / "w.npz")
    dl.models.lenet5(variant="modern").save(path)
    floats, alone = (str(tmp_path / name) for name in ("floats.npz", "one.npz"))
    np.savez(floats, images=rng.random((8, 5, 6, 2)), labels=np.arange(8) % 2)
    np.savez(alone, images=rng.random((8, 32, 32, 1)), labels=np.zeros(8, int))
    for words, error in (
        (("alexnet", "--data", floats), "does not take images of 5x6x2"),
        (("lenet5", "--data", floats, "--size", "9"), "comes in 5x6 for lenet5; leave"),
        (("lenet5", "--data", alone), "has one class; expected two"),
        ((path, "--data", floats), f"takes floats of 32x32x1, {floats} has floats of"),
        ((path, "--data", "shapes"), "shapes has bytes of 32x32x1"),
        ((path, "--variant", "x"), "has no variants"),
    ):
        code, _, err = run(capsys, "train", *words, "--epochs", "1")
        assert (code, len(err.splitlines())) == (1, 1)
        assert error in err


def test_no_memory_and_no_room(capsys, monkeypatch):
    def fail(error):
        def get(_):
            raise error

        monkeypatch.setattr("minidl.models.get", get)
        monkeypatch.setattr("os.dup2", lambda *_: None)
        monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)
        return run(capsys, "summary", "lenet5")

    code, _, err = fail(MemoryError("8 GiB"))
    assert (code, "not enough memory: 8 GiB; use fewer" in err) == (1, True)
    code, _, err = fail(OSError(28, "No space left on device"))
    assert (code, "cannot write the result: [Errno 28] No space" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("summary lenet", "did you mean lenet5"),
        ("summary lenet5 --variant x", "variant: expected one of"),
        ("summary lecture_cnn5 --variant x", "has no variants"),
        ("draw lenet5 -o x.docx", "no format for the suffix '.docx'"),
        ("draw lenet5 -o none/x.svg", "cannot write 'none/x.svg'"),
        ("train lenet5 --out none/w.npz", "cannot write 'none/w.npz'"),
        ("train lenet5 --out w", "a name that ends in .npz, got 'w'"),
        ("train lenet5 --out w.npz --checkpoint w.npz", "give each a file of its own"),
        ("train lenet5 --resume a.npz --checkpoint b.npz", "leave out --checkpoint"),
        ("train lenet5 --optimiser adam --nesterov", "adam: unknown nesterov"),
        ("train lenet5 --optimiser adam --momentum 0.5", "adam: unknown momentum"),
        ("train lecture_cnn5 --epochs 1", "network must make 10 scores"),
        ("train --epochs 1", "which network?"),
        ("train lenet5 --data cats", "data: expected one of digits, shapes"),
        ("train lenet5 --data mnist:nowhere", "there is no such file"),
        ("eval lenet5", "which parameters of lenet5?"),
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
        "train lenet5 --momentum -1", "train lenet5 --optimiser x", "predict",
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
