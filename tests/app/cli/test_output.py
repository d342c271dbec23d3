"""Data on stdout, words on stderr, no colour where nobody looks, and a log line now and then instead of a bar."""

import io
import json
import math
import re
import sys

import pytest

from app.cli import output


def test_json_has_words_for_what_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"psnr": math.inf, "low": -math.inf, "rows": [math.nan, 1.5, (2, "ü")]})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"psnr": "inf", "low": "-inf", "rows": [None, 1.5, [2, "ü"]]}
    assert err == ""


def test_table_is_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_table(["name", "bytes"], [["[bold]a[/bold]", "12"], ["b", "3"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "bytes"], ["[bold]a[/bold]", "12"], ["b", "3"]]
    assert lines[1].endswith("12")
    assert lines[2].endswith(" 3")
    assert "\x1b" not in "".join(lines)


def test_fields_leave_out_what_has_no_value_and_do_not_wrap(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_fields([("size", "a" * 150), ("none", ""), ("weights", "b")], title="clip")
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [["clip"], ["size", "a" * 150], ["weights", "b"]]


def test_note_goes_to_stderr_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.note("[x] " * 100)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "[x] " * 100 + "\n"


class Closed(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_closed_stderr_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Closed())
    output.note("nobody reads this")


def test_closed_stdout_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        output.emit_table(["name"], [["a"]])


def test_progress_in_a_log_is_a_line_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress("fitting", 20, "epochs") as show:
        for done in (5, 5, 5, 5, 6.5, 8.9, 9):
            show(done, "30.1 dB")
            now[0] += 4
    out, err = capsys.readouterr()
    assert out == ""
    # in the first 12 s nothing was done; in 24 s 4 epochs, so that the other 11 need 66 s
    assert err == "fitting: 5/20 epochs, 30.1 dB\nfitting: 9/20 epochs, 30.1 dB, 1:06 left\n"


def test_uneven_units_are_no_measure_before_one_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress("measuring", 5, "configurations", uneven=True) as show:
        for seconds, done in ((0, 0), (11, 0), (10, 0.1), (10, 1), (10, 1.5)):
            now[0] += seconds
            show(done)
    lines = capsys.readouterr().err.splitlines()
    # the first configuration began at 11 s: 20 s for one, 30 s for one and a half
    assert [line.partition("configurations")[2] for line in lines] == ["", "", ", 1:20 left", ", 1:10 left"]


class Terminal(io.StringIO):
    """A stream in front of a person."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with output.progress("fitting", 20, "epochs") as show:
        show(7.5, "30.1 dB")
    assert "fitting" in screen.getvalue()
    assert "7/20 epochs 30.1 dB" in re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def test_bytes_in_a_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.byte_progress("pulling alice/bunny") as tell:
        for done in (0, 500, 1000):
            tell(done, 2000)
            now[0] += 6
    assert capsys.readouterr() == ("", "pulling alice/bunny: 1000/2000 bytes, 0:12 left\n")


def test_bytes_on_a_terminal_are_a_bar_that_makes_room_for_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with output.byte_progress("pulling alice/bunny") as tell:
        tell(0, 4_000_000)
        output.note("the connection broke; going on from byte 0")
        tell(2_000_000, 4_000_000)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "2.0/4.0 MB" in shown
    assert "the connection broke; going on from byte 0\n" in shown


def test_foreign_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\x9b\udcff"
    output.emit_table(["name"], [[evil]])
    output.emit_fields([(evil, evil)], title=evil)
    output.note(evil)
    output.emit_json({evil: evil})
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x9b", "\udcff"} & set(out + err)
