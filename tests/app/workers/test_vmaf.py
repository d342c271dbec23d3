"""VMAF by a child process: the values of the meter; a clear word where nothing computes it."""

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from app.core.slot import Alignment, OpenRequest
from app.core.sources import parse_source
from app.core.vmaf import VmafRequest
from app.workers.vmaf import start_vmaf
from ffmpeg_bridge import open_source
from ffmpeg_bridge.vmaf import VmafMeter, find_vmaf
from nervplay.decode import open_decoder
from nervplay.errors import CapabilityError


class Heard:
    def __init__(self) -> None:
        self.values: list[float] = []
        self.message = ""
        self.told: list[tuple[int, int]] = []

    def progressed(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def measured(self, values) -> None:
        self.values = list(values)

    def failed(self, message: str) -> None:
        self.message = message


def asked(a: Path, b: Path, **more) -> VmafRequest:
    like = more.pop("like", None)
    first = OpenRequest(parse_source(str(a)), like=like, device="cpu")
    return VmafRequest(first, OpenRequest(parse_source(str(b)), device="cpu", **more), (0, 0), 10)


def test_the_values_of_the_meter(qtbot, small_nerv: Path, small_clip: Path) -> None:
    try:
        find_vmaf()
    except CapabilityError as error:
        pytest.skip(str(error))
    heard, parent = Heard(), QObject()
    with open_decoder(small_nerv, device="cpu") as decoder, open_source(small_clip) as source:
        like = Alignment(decoder.spec, {})
        stop = start_vmaf(parent, asked(small_clip, small_nerv, like=like), heard)
        with VmafMeter(decoder.spec) as meter:
            for frame in range(10):
                meter.add(decoder.frame(frame), source.frame(frame))
            expected = meter.values()
    qtbot.waitUntil(lambda: bool(heard.values or heard.message), timeout=60_000)
    assert heard.message == ""
    assert heard.values == pytest.approx(expected, abs=1e-4)
    assert heard.told[-1] == (10, 10)
    stop(wait=True)


def test_no_program(qtbot, small_nerv: Path, small_clip: Path, monkeypatch, tmp_path: Path) -> None:
    """Without imageio-ffmpeg, and with an ffmpeg on PATH that lacks libvmaf."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "imageio_ffmpeg.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    assert shutil.which("ffmpeg") == str(program)
    heard, parent = Heard(), QObject()
    start_vmaf(parent, asked(small_clip, small_nerv), heard)
    qtbot.waitUntil(lambda: bool(heard.message), timeout=60_000)
    assert heard.message == (f"{program} cannot compute VMAF; install one with libvmaf: pip install 'nervplay[vmaf]'")


def test_stopped(qtbot, clip: Path) -> None:
    nerv = clip.parent / "bunny-320x180.nerv"
    heard, parent = Heard(), QObject()
    request = asked(clip, nerv)
    stop = start_vmaf(parent, request, heard)
    stop(wait=False)
    stop(wait=True)
    qtbot.wait(10)
    assert (heard.values, heard.message, heard.told) == ([], "", [])
