"""What a run shows: bars, events, logs."""

import sys

import pytest
from test_fit import RULES, run

import minidl as dl
from minidl import logs, progress, resume


class Terminal:
    """A stream that says it is one."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_bar_moves_on_a_terminal_alone(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    report = progress.Reporter(stream=screen)
    report.bar("epoch 1/2", 5, 10, "loss 1")
    assert "5/10" in screen.text
    report.bar("epoch 1/2", 6, 10, "loss 1")  # too soon
    assert "6/10" not in screen.text
    report.line("done")
    assert screen.text.endswith("done\n")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = progress.Reporter(stream=Terminal())
    plain.bar("epoch", 1, 2, "")
    plain.line("done")
    assert plain.stream.text == "done\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "x"), ValueError()])
def test_a_terminal_that_is_gone_ends_no_run(error, monkeypatch):
    class Gone(Terminal):
        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stderr", Gone())
    assert len(run(RULES["sgd"], epochs=1, log=None)[1]) == 1
    monkeypatch.setattr(sys, "stderr", None)
    assert len(run(RULES["sgd"], epochs=1, log=None)[1]) == 1


def test_the_bar_of_a_run(monkeypatch, capsys):
    screen = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    run(RULES["sgd"], epochs=1, log=None)
    assert "model: 7 steps of 16 images, about " in screen.text
    assert " left" in screen.text
    assert "epoch   1  loss" in screen.text


def test_events_are_records_with_their_checksums():
    assert logs.checksum(b"123456789") == masked(0xE3069283)  # CRC-32C's check value
    rows = [resume.Epoch(1, 0.5, 0.1, 2.0, 0.75), resume.Epoch(2, 0.25, 0.1, 2.0)]
    rest, count = logs.events(rows), 0
    while rest:
        length = int.from_bytes(rest[:8], "little")
        body = rest[12 : 12 + length]
        assert rest[8:12] == logs.checksum(rest[:8])
        assert rest[12 + length : 16 + length] == logs.checksum(body)
        count += body.count(b"loss")
        rest = rest[16 + length :]
    assert count == 2


def masked(crc):
    value = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return value.to_bytes(4, "little")


def test_logs_go_where_they_can(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(dl.DataError, match="cannot make the folder"):
        logs.write(tmp_path / "file" / "logs", "net", [resume.Epoch(1, 1.0, 0.1, 1.0)])
