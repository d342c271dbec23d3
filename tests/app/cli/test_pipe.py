"""`nervplay pipe`: frames and nothing else on stdout; readers that leave early; no terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from nervplay.decode import open_decoder

Start = Callable[..., subprocess.Popen[bytes]]


def test_a_reader_gets_every_frame(start: Start, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a"
    arguments = ("-v", "pipe", small_nerv, "--pix-fmt", "yuv444p")
    with target.open("wb") as stream, start(*arguments, stdout=stream) as process:
        log = process.stderr.read().decode()
    assert process.returncode == 0
    assert "read it with: ffmpeg -i -" in log
    assert "INFO app.cli.work.decoding: decoding 10 frames of 64x48 on " in log
    with av.open(str(target)) as container, open_decoder(small_nerv, device="cpu") as decoder:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        got = [frame.to_ndarray(format="rgb24", src_colorspace="ITU601") for frame in container.decode(video=0)]
        expected = list(decoder.frames())
    assert len(got) == 10
    assert np.abs(np.stack(got).astype(int) - np.stack(expected)).mean() < 2


def test_a_reader_that_leaves_early(start: Start, small_nerv: Path) -> None:
    with start("pipe", small_nerv) as process:
        assert process.stdout.read(4) == bytes.fromhex("1A45DFA3")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_ctrl_c_is_silent(start: Start) -> None:
    sample = Path(__file__).resolve().parents[3] / "samples" / "bunny-320x180.nerv"  # more than a pipe holds
    with start("pipe", sample, "--format", "raw") as process:
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)  # while the pipe is full, or while the next frame is decoded
        assert process.stderr.read() == b""
    assert process.returncode == 130


def test_without_sound_and_as_y4m(nervplay, small_nerv: Path, tmp_path: Path, monkeypatch) -> None:
    for arguments in (("--audio", "none"), ("--format", "y4m")):
        with (tmp_path / "a").open("w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert nervplay("pipe", small_nerv, *arguments).code == 0
        with av.open(str(tmp_path / "a")) as container:
            assert [stream.type for stream in container.streams] == ["video"]


def test_a_full_disk(start: Start, small_nerv: Path) -> None:
    with Path("/dev/full").open("wb") as full, start("pipe", small_nerv, stdout=full) as process:
        errors = process.stderr.read().decode().splitlines()
    assert process.returncode == 4
    assert len(errors) == 1
    assert "No space left" in errors[0]


def test_a_terminal_is_refused(start: Start, small_nerv: Path) -> None:
    ours, theirs = os.openpty()
    try:
        with start("pipe", small_nerv, stdout=theirs) as process:
            errors = process.stderr.read().decode().splitlines()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 2
    assert len(errors) == 1
    assert "terminal" in errors[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--pix-fmt", "yuv411p"], "unknown pixel format 'yuv411p'"), (["--format", "avi"], "'avi' is not")],
)
def test_refused(nervplay, *, small_nerv: Path, arguments, words: str) -> None:
    ran = nervplay("pipe", small_nerv, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.error


def test_ffmpeg_counts_the_frames(start: Start, small_nerv: Path) -> None:
    """FFmpeg's own reader on the other end of the pipe, in a process of its own."""
    code = "import av, sys; print(sum(1 for _ in av.open(sys.stdin.buffer, format='matroska').decode(video=0)))"
    with start("pipe", small_nerv) as process:
        reader = subprocess.run([sys.executable, "-c", code], stdin=process.stdout, capture_output=True, check=True)
    assert reader.stdout.split() == [b"10"]
    assert process.returncode == 0
