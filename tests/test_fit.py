"""The loop: what it promises about bits, crashes, Ctrl-C and checkpoints."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import minidl as dl
from minidl import files, npz, resume

RULES = {
    "sgd": dl.optim.SGD(0.05, 1e-3), "nesterov": dl.optim.SGD(0.05, nesterov=True),
    "adam": dl.optim.Adam(), "adamw": dl.optim.AdamW(),
    "rmsprop": dl.optim.RMSprop(1e-3, momentum=0.5),
}  # fmt: skip


def network(seed=0):
    """Convolution, batch norm, dropout: parameters, statistics and draws."""
    z = dl.Input((8, 8, 1), name="image")
    x = dl.relu(dl.batch_norm(dl.conv(z, 4, 3, bias=False, name="C1"), name="bn"))
    x = dl.dropout(dl.flatten(dl.max_pool(x, 2)), 0.2)
    return dl.Model(z, dl.dense(x, 10, name="F2"), seed=seed)


def data(n=100):
    train, test = dl.data.digits(size=8)
    return train[:n], test[:40]


def quiet(_):
    """A report that nobody reads."""


def run(rule, path=None, resume=False, net=None, average=0.9, **more):
    net = net or network()
    net.compile(optimiser=rule, clip=2.0, average=average, smoothing=0.1)
    train, test = data()
    settings = {
        "epochs": 3, "batch": 16, "validation": test, "schedule": "one_cycle",
        "augment": [dl.data.Shift(1), dl.data.Flip()], "seed": 5, "log": quiet,
    } | more  # fmt: skip
    history = net.fit(train, checkpoint=path, resume=resume, **settings)
    return net, history


def bits(net):
    return {k: v.tobytes() for k, v in net.store.arrays.items()}


class Stop(Exception):
    """A crash."""


@pytest.mark.parametrize("name", RULES)
def test_a_resumed_run_ends_with_the_same_bits(name, tmp_path, monkeypatch):
    whole, history = run(RULES[name])
    path = tmp_path / "run.npz"
    steps = 0
    step = dl.Model.train_step

    def failing(self, x, labels):
        nonlocal steps
        steps += 1
        if steps == 11:  # in the middle of the second epoch
            raise Stop
        return step(self, x, labels)

    monkeypatch.setattr(dl.Model, "train_step", failing)
    with pytest.raises(Stop):
        run(RULES[name], path, every=2)
    monkeypatch.undo()
    net, again = run(RULES[name], path, resume=True, net=network(seed=7))
    assert bits(net) == bits(whole)
    strip = [{**row, "seconds": 0} for row in history.rows()]
    assert [{**row, "seconds": 0} for row in again.rows()] == strip


def test_another_process_resumes_to_the_same_bits(tmp_path):
    code = """
import sys, hashlib
sys.path.insert(0, "tests")
from minidl import fit as loop
from test_fit import *
if sys.argv[1] == "stop":
    finish = loop.Run.finish
    def stopping(self, lr):
        finish(self, lr)
        if self.progress.epoch == 2:
            os._exit(9)
    loop.Run.finish = stopping
path = None if sys.argv[1] == "whole" else sys.argv[2]
net, _ = run(RULES["adam"], path, resume=sys.argv[1] == "on")
print(hashlib.sha256(b"".join(bits(net).values())).hexdigest())
"""

    def one(*words):
        return subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    path = str(tmp_path / "run.npz")
    assert one("stop", path).returncode == 9
    found = [one(word, path) for word in ("on", "whole")]
    assert [each.stderr for each in found] == ["", ""]
    assert found[0].stdout == found[1].stdout


KILLED = """
import sys
sys.path.insert(0, "tests")
from test_fit import *
run(RULES["adam"], sys.argv[1], resume=True, epochs=40, every=1,
    log=lambda line: print(line, flush=True))
"""


def test_killed_at_any_moment_it_goes_on(tmp_path):
    path, rng = tmp_path / "run.npz", np.random.default_rng(0)
    before = (0, 0)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()  # it has begun
        threading.Event().wait(rng.uniform(0, 0.15))
        child.kill()
        child.wait()
        child.stdout.close()
        about = json.loads(npz.read(path)[resume.RUN].tobytes())["progress"]
        assert (about["epoch"], about["number"]) >= before
        before = about["epoch"], about["number"]
    assert before > (0, 0)


def test_ctrl_c_ends_the_step_and_saves(tmp_path, monkeypatch):
    whole, _ = run(RULES["sgd"])
    path, step = tmp_path / "run.npz", dl.Model.train_step
    seen, before = [], signal.getsignal(signal.SIGINT)

    def pressing(self, x, labels):
        seen.append(len(seen))
        if len(seen) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, x, labels)

    monkeypatch.setattr(dl.Model, "train_step", pressing)
    with pytest.raises(KeyboardInterrupt, match=r"epoch 0, step 4 of 7: saved .*res"):
        run(RULES["sgd"], path)
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    net, _ = run(RULES["sgd"], path, resume=True)
    assert bits(net) == bits(whole)
    seen.clear()
    monkeypatch.setattr(dl.Model, "train_step", pressing)
    with pytest.raises(KeyboardInterrupt, match="nothing saved"):
        run(RULES["sgd"])


def test_a_run_in_another_thread_leaves_signals_alone():
    found = []
    one = threading.Thread(target=lambda: found.append(run(RULES["sgd"], epochs=1)))
    one.start()
    one.join()
    assert len(found[0][1]) == 1


FAILURES = ["write", "flush", "fsync", "replace", "folder"]


@pytest.mark.parametrize("where", FAILURES)
def test_a_disk_that_fails_leaves_the_old_checkpoint(where, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    run(RULES["sgd"], path, epochs=1)
    old = path.read_bytes()
    full = OSError(28, "No space left on device")

    def fail(*_, **__):
        raise full

    opened = type(path).open

    def failing_open(self, *words, **more):
        file = opened(self, *words, **more)

        class Bad:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def fileno(self):
                return file.fileno()

            def writelines(self, given):
                return fail() if where == "write" and given else file.writelines(given)

            def flush(self):
                return fail() if where == "flush" else file.flush()

        return Bad() if "x" in (words[0] if words else "") else file

    trainer_net = network()
    trainer_net.train_step(*next(dl.data.Loader(data()[0]).epoch(0)))
    if where in ("write", "flush"):
        monkeypatch.setattr(type(path), "open", failing_open)
    elif where == "fsync":
        monkeypatch.setattr(files.os, "fsync", fail)
    elif where == "replace":
        monkeypatch.setattr(type(path), "replace", fail)
    else:
        monkeypatch.setattr(files, "_sync", fail)
    with pytest.raises(dl.DataError, match=r"cannot write.*No space left"):
        resume.save(path, trainer_net.trainer, resume.Progress(), {}, {})
    monkeypatch.undo()
    if where != "folder":  # then the new one is there, whole
        assert path.read_bytes() == old
    assert resume.RUN in npz.read(path)
    assert [one.name for one in tmp_path.iterdir()] == ["run.npz"]


def test_a_run_that_does_not_fit_its_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    run(RULES["sgd"], path, epochs=1)
    with pytest.raises(dl.CheckpointError, match="epochs was 1, now 3"):
        run(RULES["sgd"], path, resume=True)
    with pytest.raises(dl.CheckpointError, match="optimiser was "):
        run(RULES["adam"], path, resume=True, epochs=1)
    net, (train, test) = network(), data()
    net.compile(optimiser=RULES["sgd"], clip=2.0, average=0.9, smoothing=0.2)
    with pytest.raises(dl.CheckpointError, match=r"labels was .*weights of the loss"):
        net.fit((train.images, train.labels[::-1]), validation=test, epochs=1,
                checkpoint=path, resume=True, log=quiet)  # fmt: skip
    network().save(path)
    with pytest.raises(dl.CheckpointError, match="not the checkpoint of a run"):
        run(RULES["sgd"], path, resume=True)
    for settings in ({"resume": True}, {"every": 3}):
        with pytest.raises(dl.Error, match="give the checkpoint"):
            run(RULES["sgd"], **settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": -1}, "-1 steps"), ({"number": 3}, "3 steps of 0 images"),
        ({"epoch": "x"}, "cannot be read"), ({"steps": None}, "cannot be read"),
        ({"rows": 3}, "cannot be read"), ({"best.C1.w": 3}, "best epoch: C1.w: exp"),
    ],
)
def test_checkpoints_that_lie(change, words, tmp_path):
    path = tmp_path / "run.npz"
    run(RULES["sgd"], path, epochs=1, keep_best=True)
    arrays = npz.read(path)
    about = json.loads(arrays[resume.RUN].tobytes())
    for name, value in change.items():
        if name in arrays:
            arrays[name] = np.zeros(value, "f4")
        else:
            about["progress"][name] = value
    arrays[resume.RUN] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    npz.write(path, arrays)
    net = network()
    before = bits(net)
    with pytest.raises(dl.CheckpointError, match=words):
        run(RULES["sgd"], path, resume=True, epochs=1, keep_best=True, net=net)
    assert bits(net) == before


def test_data_that_break_on_the_way_end_a_run_that_can_go_on(tmp_path):
    """A picture of the third step, or of the validation, is broken; then mended."""
    path, broken = tmp_path / "run.npz", [True]
    train, test = data()

    class Breaks:
        dtype = train.images.dtype

        def __init__(self, images, bad):
            self.images, self.shape, self.bad = images, images.shape, bad

        def __len__(self):
            return len(self.images)

        def __getitem__(self, rows):
            found = np.arange(len(self.images))[rows]
            if broken[0] and self.bad in found:
                raise dl.DataError("x.png: is not a picture")
            return self.images[rows]

    def one(train_bad, test_bad, resume, checkpoint=path):
        net = network()
        history = net.fit(
            (Breaks(train.images, train_bad), train.labels), epochs=2, log=quiet,
            validation=(Breaks(test.images, test_bad), test.labels), resume=resume,
            checkpoint=checkpoint, schedule="cosine",
        )  # fmt: skip
        return bits(net), [{**row, "seconds": 0} for row in history.rows()]

    broken[0] = False
    whole = one(-1, -1, False, None)
    bad = dl.data.Loader(train).order(0)[70]
    for where in ((bad, -1), (-1, 5)):
        broken[0] = True
        with pytest.raises(dl.DataError, match=r"x.png.*; saved .*run.npz; resume to"):
            one(*where, False)
        broken[0] = False
        assert one(*where, True) == whole


def test_wrong_settings_are_told_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(dl.Model, "train_step", None)
    (tmp_path / "file").write_text("")
    train, test = data()
    for settings, words in (
        ({"lr": -0.1}, "lr: expected"), ({"lr": "fast"}, "lr: expected"),
        ({"lr": lambda _: float("nan")}, r"lr\(0\): expected"),
        ({"logs": tmp_path / "file"}, "cannot make the folder"),
        ({"logs": "a\0"}, "cannot make the folder"),
        ({"validation": (test.images, test.labels + 3)}, "a class from 0 to 9"),
        ({"data": (train.images, train.labels + 3)}, "expected classes 0 to 9"),
        ({"data": (train.images, train.labels / 2)}, "an integer array"),
    ):  # fmt: skip
        given = {"data": train, "validation": test, "log": quiet} | settings
        with pytest.raises(dl.Error, match=words):
            network().fit(**given)


def test_resuming_what_is_not_there_says_so(tmp_path):
    lines = []
    run(RULES["sgd"], tmp_path / "x.npz", resume=True, epochs=1, log=lines.append)
    assert "no such file yet" in lines[0]


def test_a_second_fit_begins_with_the_optimisers_rate():
    net, (train, _) = network(), data()
    net.compile(optimiser=dl.optim.SGD(0.5))
    for _ in range(2):
        history = net.fit(train, epochs=2, schedule="cosine", log=quiet)
        assert history.epochs[0].lr > 0.25


def test_freezing_leaves_what_compile_chose():
    net = network()
    net.compile(optimiser=RULES["adam"], clip=2.0)
    net.freeze("C1.*")
    assert (net.trainer.optimiser, net.trainer.clip) == (RULES["adam"], 2.0)
    with pytest.raises(dl.Error, match="loss: expected one of"):
        net.compile("huber")
    assert net.trainer.optimiser == RULES["adam"]


def test_a_temporary_file_that_a_crash_left_is_no_hindrance(tmp_path):
    (tmp_path / f".x.{os.getpid()}.new").write_bytes(b"old")
    files.write_atomic(tmp_path / "x", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x", b"new")]


def test_a_diverging_run_keeps_the_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    run(RULES["sgd"], path, epochs=1)
    old, (train, _) = path.read_bytes(), data()
    bad = train.images.copy()
    bad[3] = np.inf
    net = network()
    with pytest.raises(dl.DivergedError, match=r"first at node image.*run.npz, stays"):
        net.fit((bad, train.labels), log=quiet, checkpoint=path)
    assert path.read_bytes() == old


def test_a_model_knows_the_names_of_what_it_learned(tmp_path):
    train, _ = dl.data.shapes(12, 4, size=16, classes=3)
    z = dl.Input((16, 16, 1), dtype="uint8")
    net = dl.Model(z, dl.dense(dl.flatten(dl.normalise(z, 0, 255)), 3))
    net.fit(tuple(train), log=quiet)
    assert net.classes == ()
    for given in (train, dl.data.Loader(train)):
        net.classes = ("of", "another", "set")
        net.fit(tuple(train), log=quiet)  # which names none
        assert net.classes == ("of", "another", "set")
        net.fit(given, log=quiet)
        assert net.classes == train.classes
    net.save(tmp_path / "w.npz")
    assert dl.load(tmp_path / "w.npz").classes == train.classes
