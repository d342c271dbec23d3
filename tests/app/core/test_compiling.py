"""Who compiles kernels says so, once, and only while somebody listens."""

import contextlib
import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.compiling import told_of_compiling
from nervplay.decode.native import build as decoding
from nervplay.training.native import build as training


def failing_compiler(folder: Path) -> str:
    path = folder / "cc"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("module", [decoding, training])
def test_compiling_is_told(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", failing_compiler(tmp_path))
    heard: list[str] = []
    logger = logging.getLogger("nervplay.compiling")
    before = list(logger.handlers), logger.level
    for tell in (heard.append, lambda _words: None):
        with told_of_compiling(tell), pytest.raises(module.BuildError):
            module.build(tmp_path / "kernels")
        assert len(heard) == 1
    assert heard[0].startswith("compiling the ")
    assert (logger.handlers, logger.level) == before


def test_who_listens_is_told_when_another_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", failing_compiler(tmp_path))
    heard: list[str] = []
    first, second = told_of_compiling(lambda _words: None), told_of_compiling(heard.append)
    with contextlib.ExitStack() as listening:
        with first:
            listening.enter_context(second)
        with pytest.raises(decoding.BuildError):
            decoding.build(tmp_path / "kernels")
    assert len(heard) == 1


@pytest.mark.parametrize(("options", "line"), [((), "nervplay: compiling"), (("-v",), "INFO nervplay.compiling: ")])
def test_commands_say_it_once(small_nerv: Path, tmp_path: Path, options, line: str) -> None:
    environment = {"PATH": "", "CC": failing_compiler(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "app.cli", "decode", str(small_nerv), "--frames", "0:1", *options]
    target = str(tmp_path / "a.npy")
    result = subprocess.run([*command, "-o", target], env=environment, capture_output=True, text=True, check=True)
    said = [words for words in result.stderr.splitlines() if "compiling the native kernels" in words]
    assert len(said) == 1
    assert said[0].startswith(line)
    missed = [words for words in result.stderr.splitlines() if "PyTorch decodes instead" in words]
    assert len(missed) == 1
    assert f"there are no native kernels: the compiler {environment['CC']} failed" in missed[0]
