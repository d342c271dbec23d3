"""`nervplay completion`: a real bash, at a terminal, completes commands, names and files."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from app.cli.command import COMPLETION, State
from app.cli.encode import command as encode
from app.cli.main import group
from app.cli.options import NERV


@pytest.fixture
def press_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that types words and Tab at a bash that has our script; it returns the line as it then is."""
    program, start = tmp_path / "bin" / "nervplay", tmp_path / "start"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli "$@"\n')
    program.chmod(0o755)
    start.write_text(
        'stty columns 200; bind "set enable-bracketed-paste off"; eval "$(nervplay completion bash)"; PS1="ready> "\n'
    )
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "dumb")
    ours, its = pty.openpty()
    command = ["bash", "--noprofile", "--rcfile", start, "-i"]
    child = subprocess.Popen(command, cwd=tmp_path, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)

    def read_until(end: str) -> str:
        shown = ""
        while (found := re.search(end, shown)) is None:
            shown += os.read(ours, 4096).decode()
        return found[1]

    def typed(words: str) -> list[str]:
        os.write(ours, f"{words}\t\x01printf '<%s>' \n".encode())
        return read_until(r"\n<(.*)>ready> $").split("><")

    read_until("(ready> )$")
    yield typed
    child.kill()
    child.wait()
    os.close(ours)


def test_a_real_bash(press_tab, tmp_path: Path) -> None:
    (tmp_path / "a clip.nerv").touch()
    assert press_tab("nervplay comple") == ["nervplay", "completion"]
    assert press_tab("nervplay info a") == ["nervplay", "info", "a clip.nerv"]
    words = ["nervplay", "decode", "hf://nobody/nothing", "--precision"]
    assert press_tab(" ".join([*words, "i"])) == [*words, "int8"]


def test_nothing_is_fetched_meanwhile() -> None:
    context = click.Context(encode, resilient_parsing=True)
    assert NERV.convert("hf://nobody/nothing", None, context) == Path("hf://nobody/nothing")


def test_presets_are_asked_of_the_registry_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    option = next(param for param in encode.params if param.name == "preset")

    def offered() -> list[str]:
        return [item.value for item in option.shell_complete(click.Context(encode), "hnerv-t")]

    assert offered() == ["hnerv-tiny"]
    (kept,) = (tmp_path / "nervplay").iterdir()
    kept.write_text(kept.read_text().replace("hnerv-tiny", "hnerv-toy"))
    assert offered() == ["hnerv-toy"]


def test_behind_a_command_that_there_is_not_nothing_is_offered() -> None:
    shell = BashComplete(group, {"obj": State()}, "nervplay", COMPLETION)
    assert shell.get_completions(["bogus"], "x") == []
