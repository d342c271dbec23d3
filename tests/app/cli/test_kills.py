"""kill -9 at random moments: the file is the one of a fit that nobody disturbed, and nothing is left beside it."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kin import descendants

from app.encoding.parts import parts_folder
from nervplay.bitstream import read_nerv
from nervplay.training import resume_path

Start = Callable[..., subprocess.Popen[bytes]]
STARTING = 8.0
"""Seconds that a run may take before it computes, at most; a moment in them is a moment, too."""


def settings(epochs: int, *more: str) -> tuple[str, ...]:
    return ("--preset", "hnerv-tiny", "--epochs", str(epochs), "--save-every", "0.05", "--device", "cpu", *more)


def states(target: Path) -> dict[Path, int]:
    """All saved states and finished parts of a target, with the time of their last change."""
    paths = [resume_path(target), *parts_folder(target).glob("0*")]
    found = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def wait_for_work(process: subprocess.Popen[bytes], target: Path) -> None:
    """Wait until the process has saved something."""
    before, deadline = states(target), time.monotonic() + 120
    while states(target) == before:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline, "nothing was ever saved"
        time.sleep(0.005)


def nothing_half_written(target: Path) -> None:
    """The target is not there; parts that are there are whole."""
    assert not target.exists()
    for part in parts_folder(target).glob("0*.nerv"):
        assert len(read_nerv(part).segments) == 1


def finish(start: Start, clip: Path, target: Path, *how: str) -> bytes:
    process = start("encode", clip, target, *how)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert [path.name for path in target.parent.iterdir()] == [target.name], "nothing is left beside the file"
    return target.read_bytes()


@pytest.mark.slow
def test_a_fit(start: Start, small_clip: Path, tmp_path: Path) -> None:
    """Ten kills; test_encode.py has one that is always run."""
    moments, how = random.Random(9), settings(120)
    target = tmp_path / "killed" / "a.nerv"
    target.parent.mkdir()
    for number in range(10):
        process = start("encode", small_clip, target, *how, *(["--resume"] if number else []))
        if number and moments.random() < 0.2:
            time.sleep(moments.uniform(0, 0.2 * STARTING))
        else:
            wait_for_work(process, target)
            time.sleep(moments.uniform(0, 0.25))
        assert process.poll() is None, "the fit is too short for so many kills"
        process.kill()
        process.communicate()
        nothing_half_written(target)
    (tmp_path / "whole").mkdir()
    expected = finish(start, small_clip, tmp_path / "whole" / "a.nerv", *how)
    assert finish(start, small_clip, target, *how, "--resume") == expected


@pytest.mark.slow
def test_a_run_on_ray(start: Start, small_clip: Path, tmp_path: Path) -> None:
    """Ten kills, of workers and of the program itself; the parts of a run on Ray are those of a run without it."""
    pytest.importorskip("ray")
    how = settings(500, "--segments", "3", "--engine")
    moments, target = random.Random(2), tmp_path / "killed" / "a.nerv"
    target.parent.mkdir()
    for victim in ("worker", "program", "worker", "program", "program", "worker", "program"):  # the program every time
        process = start("encode", small_clip, target, *how, "ray", *(["--resume"] if states(target) else []))
        wait_for_work(process, target)
        time.sleep(moments.uniform(0, 0.5))
        assert process.poll() is None
        if victim == "worker":
            while not (workers := descendants(process.pid, b"ray::_fit_remotely")):
                assert process.poll() is None, "the fit is too short for so many kills"
                time.sleep(0.01)
            os.kill(moments.choice(workers), signal.SIGKILL)
            wait_for_work(process, target)
            assert process.poll() is None, "another worker goes on"
        process.kill()
        process.communicate()
        nothing_half_written(target)
    (tmp_path / "whole").mkdir()
    expected = finish(start, small_clip, tmp_path / "whole" / "a.nerv", *how, "local")
    assert finish(start, small_clip, target, *how, "ray", "--resume") == expected
