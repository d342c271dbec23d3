"""The entry point: speed, help, and how every kind of failure becomes one line and an exit code."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from app.cli import main as entry
from app.cli.table import COMMANDS, EXIT_CODES, CommandRow
from nervplay import __version__, errors
from nervplay.errors import NervplayError

HEAVY = {"torch", "numpy", "av", "PIL", "rich", "safetensors"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom app.cli.main import main\ncode = main(['--help'])\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, modules = json.loads(ran.stderr)
    assert status == 0
    assert "Commands:" in ran.stdout
    assert HEAVY & set(modules) == set()
    assert {row.module for row in COMMANDS} & set(modules) == set()


def test_help_is_fast(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    """The best of five, measured in processor time of the child, so that a busy machine does not fail it."""
    resource = pytest.importorskip("resource")
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start("--help").communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3


WALK = """
import contextlib, io, json, sys
from app.cli.main import group, main
from app.cli.table import COMMANDS

helps = [[row.name, "--help"] for row in COMMANDS]
helps += [["hub", name, "--help"] for name in group.get_command(None, "hub").commands]
told, seen = [], set()
for call in [*helps, ["--version"], *json.loads(sys.argv[1])]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(call)
    heavy = {"torch", "av", "PySide6", "huggingface_hub", "app.cli.work"} & set(sys.modules) - seen
    told.append([" ".join(call), code, sorted(heavy)])
    seen |= heavy
print(json.dumps(told))
"""

REFUSED = {
    "decode none.nerv -o x": 3,
    "decode clip.nerv": 2,
    "decode clip.nerv -o x --nope": 2,
    "decode clip.nerv -o there.npy": 4,
    "decode clip.nerv -o x --frames 5:2": 2,
    "decode clip.nerv -o x --at 1//2": 2,
    "decode clip.nerv -o x --precision fp33": 2,
    "decode clip.nerv -o x --backend best": 2,
    "encode clip.mp4 x.nerv": 2,
    "encode clip.mp4 x.nerv --preset hnerv-tiny --frames 5": 2,
    "encode clip.mp4 x.nerv --preset hnerv-tiny --bits 40": 2,
    "encode clip.mp4 x.nerv --preset hnerv-tiny --speed most": 2,
    "encode clip.mp4 x.nerv --preset hnerv-tiny --segments many": 2,
    "encode clip.mp4 x.nerv --preset hnerv-tiny --task nope": 2,
    "encode clip.mp4 x.nerv --arch hnerv --size huge": 2,
    "encode clip.mp4 there.nerv --preset hnerv-tiny": 4,
    "compress clip.nerv x.nerv --target-bytes few": 2,
    "compress clip.nerv x.nerv --qat-epochs 3": 2,
    "sweep clip.mp4 -o x --arch hnerv --sizes 100k,big": 2,
    "eval clip.nerv clip.mp4 --metrics nope": 2,
    "bench clip.nerv --precision fp33": 2,
    "rd clip.mp4 none.nerv -o x": 3,
    "export clip.nerv x.txt": 2,
    "export clip.nerv x.mp4 --fps 0": 2,
    "import clip.mp4 --official a -o x.nerv --embed-bits 1": 2,
    "push clip.nerv alone": 2,
    "hub info alone": 2,
    "pipe clip.nerv --pix-fmt nope": 2,
    "serve none.nerv": 3,
    "ffmpeg": 2,
    "frei0r graph": 2,
    "play a b c d e": 2,
}


def test_help_and_refusals_come_before_anything_heavy(tmp_path: Path) -> None:
    """Every command and its subcommands, in one process; the first call to load something is the one that fails."""
    for name in ("clip.nerv", "clip.mp4", "there.npy", "there.nerv"):
        (tmp_path / name).touch()
    command = [sys.executable, "-c", WALK, json.dumps([words.split() for words in REFUSED])]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = {words: (code, heavy) for words, code, heavy in json.loads(ran.stdout)}
    assert {words: heavy for words, (_, heavy) in told.items() if heavy} == {}
    assert {words: told[words][0] for words in REFUSED} == REFUSED
    assert len(told) > len(COMMANDS) + len(REFUSED)
    assert not any(code for words, (code, _) in told.items() if words not in REFUSED)


def test_what_commands_import_is_not_searched_for_garbage() -> None:
    """Neither while it is imported, nor later, nor when the process ends; all else is collected as ever."""
    code = """
import gc, importlib, sys
from app.cli.main import main
searches = []
gc.callbacks.append(lambda phase, _: searches.append("torch" in sys.modules))
import app.cli.work
assert "torch" in sys.modules and not any(searches), searches
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
gc.disable()
importlib.reload(app.cli.work)
assert not gc.isenabled(), "the caller's own choice"
gc.enable()
frozen = gc.get_freeze_count()
kept = [[] for _ in range(10_000)]
main(["--version"])
assert gc.get_freeze_count() <= frozen, "the caller goes on"
sys.argv = ["nervplay", "--version"]
main()
assert gc.get_freeze_count() > frozen
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_lists_commands_and_exit_codes(nervplay) -> None:
    ran = nervplay("--help")
    assert (ran.code, ran.err) == (0, "")
    for row in COMMANDS:
        assert f"  {row.name} " in ran.out
    for code, meaning in EXIT_CODES.items():
        assert f"  {code:<4} {meaning}" in ran.out


def test_no_arguments_show_the_help(nervplay) -> None:
    assert nervplay() == nervplay("--help")


def test_version(nervplay) -> None:
    assert nervplay("--version") == (0, f"nervplay {__version__}\n", "")


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_each_command_explains_itself(nervplay, row: CommandRow) -> None:
    ran = nervplay(row.name, "--help")
    assert ran.code == 0
    assert f"Usage: nervplay {row.name} " in ran.out
    assert "Example" in ran.out
    assert f"  nervplay {row.name}" in ran.out
    assert "Exit codes:\n  0    done" in ran.out
    for option in ("--verbose", "--debug", "--help"):
        assert option in ran.out
    assert ran.out == nervplay(row.name, "-h").out


def test_the_table_names_commands_once() -> None:
    names = [row.name for row in COMMANDS]
    assert len(set(names)) == len(names)
    for row in COMMANDS:
        command = entry.group.get_command(click.Context(entry.group), row.name)
        assert command is not None
        assert command.name == row.name
        assert len(row.summary) <= 68


def test_every_exit_code_of_the_error_tree_is_listed() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert {cls.exit_code for cls in classes} | {0} == set(EXIT_CODES)


def test_unknown_command_names_the_nearest(nervplay) -> None:
    ran = nervplay("inof")
    assert ran.code == 2
    assert "unknown command 'inof'; did you mean info?" in ran.error


@pytest.mark.parametrize(
    "arguments", [["--nope"], ["info"], ["info", "--nope"], ["models", "a", "b"], ["-v"], ["encode", "--epochs", "x"]]
)
def test_wrong_calls_are_one_line(nervplay, arguments: list[str]) -> None:
    ran = nervplay(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "--help`)" in ran.error


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `nervplay models` raise `error`."""

    @click.command("models", params=entry.common_options())
    def command() -> None:
        raise error

    monkeypatch.setattr(entry.CommandGroup, "get_command", lambda *_: command)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.UsageError("x is 3"), 2, "nervplay: error: x is 3"),
        (errors.BitstreamError("cut\n short"), 3, "nervplay: error: cut short"),
        (errors.MissingInputError("no a.nerv"), 3, "nervplay: error: no a.nerv"),
        (errors.OutputExistsError("there"), 4, "nervplay: error: there"),
        (errors.RemoteError("far"), 5, "nervplay: error: far"),
        (errors.CapabilityError("none"), 6, "nervplay: error: none"),
        (errors.Interrupted("saved; go on with --resume"), 130, "nervplay: saved; go on with --resume"),
        (KeyboardInterrupt(), 130, "nervplay: interrupted"),
        (MemoryError(), 1, "nervplay: error: not enough memory; close other programs, or take a smaller frame size"),
        (
            ZeroDivisionError("a\nb"),
            1,
            "nervplay: internal error: ZeroDivisionError: a b; run again with --debug to see where",
        ),
        (
            OSError(errno.EIO, "bad disk"),
            1,
            "nervplay: internal error: OSError: [Errno 5] bad disk; run again with --debug to see where",
        ),
        (
            OSError(errno.ENOSPC, "no space"),
            4,
            "nervplay: error: the output was not written: the disk is full; make room or choose another disk",
        ),
        (SystemExit(7), 7, ""),
        (BrokenPipeError(), 0, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failures(nervplay, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str) -> None:
    failing(monkeypatch, error)
    monkeypatch.setattr(entry, "_forget_stdout", lambda: None)  # it would silence the stdout of the whole test run
    ran = nervplay("models")
    assert (ran.code, ran.out, ran.err.rstrip("\n")) == (code, "", line)


@pytest.mark.parametrize("arguments", [["--debug", "models"], ["models", "--debug"]])
def test_debug_shows_the_traceback_before_and_behind(nervplay, monkeypatch: pytest.MonkeyPatch, arguments) -> None:
    failing(monkeypatch, NervplayError("x is 3"))
    ran = nervplay(*arguments)
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1] == "nervplay: error: x is 3"


def test_no_character_of_an_error_steers_the_terminal() -> None:
    code, line = entry._explain(errors.BitstreamError("a\x1b[2J\n\x9bb"))
    assert (code, line) == (3, "error: a\ufffd[2J \ufffdb")


@pytest.mark.parametrize("arguments", [["--help"], ["models", "nerv-tiny", "--json"]])
def test_closed_stdout_is_silent(start: Callable[..., subprocess.Popen[bytes]], arguments: list[str]) -> None:
    with start(*arguments) as process:
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")


def test_a_stdout_that_was_never_open_is_no_error(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    with start("--version", preexec_fn=lambda: os.close(1)) as process:
        assert (process.wait(), process.stderr.read()) == (0, b"")
