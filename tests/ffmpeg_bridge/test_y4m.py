"""Pipes into the real ffmpeg, and pipes that close early."""

import io
import os
import shlex
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge import write_y4m
from ffmpeg_bridge.y4m import matrix_options
from nervplay.errors import GeometryError, OutputError, UnknownNameError
from nervplay.video import ArraySource, Colour

WRITER = """
import sys
from pathlib import Path
from ffmpeg_bridge import open_source, write_y4m
write_y4m({stream}, open_source(Path(sys.argv[1])))
"""


def shell(clip, stream, rest, last_words=""):
    script = shlex.quote(WRITER.format(stream=stream) + last_words)
    command = f"set -o pipefail; {sys.executable} -c {script} {clip} | {rest}"
    return subprocess.run(["bash", "-c", command], capture_output=True, check=False)


def with_spec(source, **changes):
    return ArraySource(np.stack(list(source.frames())), spec=replace(source.spec, **changes))


@pytest.mark.parametrize(
    ("changes", "pix_fmt", "header"),
    [
        ({}, "yuv420p", "W128 H64 F25:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED"),
        ({"rate": Fraction(30000, 1001)}, "yuv444p", "W128 H64 F30000:1001 Ip A1:1 C444 XCOLORRANGE=LIMITED"),
        (
            {"sample_aspect": Fraction(8, 9), "colour": Colour(range="pc")},
            "yuv420p",
            "W128 H64 F25:1 Ip A8:9 C420mpeg2 XCOLORRANGE=FULL",
        ),
    ],
)
def test_header_and_size(numbered, changes, pix_fmt, header):
    file = io.BytesIO()
    assert write_y4m(file, with_spec(numbered(3), **changes), pix_fmt) == 3
    first, rest = file.getvalue().split(b"\n", 1)
    assert first.decode() == f"YUV4MPEG2 {header}"
    assert len(rest) == 3 * (6 + 128 * 64 * (3 if pix_fmt == "yuv444p" else 3 / 2))


def test_ffmpeg_reads_every_frame(numbered, read_number, run_ffmpeg, tmp_path):
    read_end, write_end = os.pipe()
    raw = tmp_path / "out.raw"

    def read():
        tagged = matrix_options(Colour()).split()
        filters = "scale=in_color_matrix=bt709:in_range=tv"
        command = [
            "ffmpeg",
            "-v",
            "error",
            *tagged,
            "-i",
            "-",
            "-vf",
            filters,
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            raw,
        ]
        subprocess.run(command, stdin=read_end, check=True)
        os.close(read_end)

    reader = threading.Thread(target=read)
    reader.start()
    source = numbered(20)
    assert write_y4m(write_end, source) == 20
    os.close(write_end)
    reader.join()
    frames = np.fromfile(raw, np.uint8).reshape(20, 64, 128, 3)
    assert [read_number(frame) for frame in frames] == list(range(20))
    assert np.abs(frames[7, 24:].astype(int) - source.frame(7)[24:]).mean() < 3


def test_chosen_frames_of_padded_lines(numbered, run_ffmpeg, tmp_path, read_number):
    source = numbered(9, width=130, height=66)
    with (tmp_path / "a.y4m").open("wb") as file:
        assert write_y4m(file, source, frames=[8, 2, 5]) == 3
    run_ffmpeg("-i", tmp_path / "a.y4m", "-f", "rawvideo", "-pix_fmt", "rgb24", tmp_path / "a.raw")
    frames = np.fromfile(tmp_path / "a.raw", np.uint8).reshape(3, 66, 130, 3)
    assert [read_number(frame) for frame in frames] == [8, 2, 5]


@pytest.fixture
def long_clip(encoded):
    return encoded(".mp4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", count=132)


def test_132_frames_through_a_shell_pipe(long_clip):
    done = shell(long_clip, "1", "ffmpeg -hide_banner -i - -f null - 2>&1")
    assert done.returncode == 0
    assert b"frame=  132" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize("stream", ["1", "sys.stdout.buffer"])
@pytest.mark.parametrize("rest", ["head -c 100000 > /dev/null", "true", "ffmpeg -v error -i - -frames:v 3 -f null -"])
def test_a_pipe_that_closes_early_ends_in_silence(long_clip, stream, rest):
    done = shell(long_clip, stream, rest, last_words="print('flushed when the interpreter ends')")
    assert (done.returncode, done.stderr) == (0, b"")


def test_short_writes_are_continued(numbered, monkeypatch, tmp_path):
    whole, pieces = tmp_path / "whole.y4m", tmp_path / "pieces.y4m"
    with whole.open("wb") as file:
        write_y4m(file, numbered(2))
    with pieces.open("wb") as file:
        monkeypatch.setattr(os, "writev", lambda fd, parts: os.write(fd, b"".join(parts)[:1000]))
        write_y4m(file.fileno(), numbered(2))
    assert pieces.read_bytes() == whole.read_bytes()


def test_a_full_disk(numbered):
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OutputError, match="No space left"):  # noqa: PTH123
        write_y4m(file, numbered(2))


def test_what_cannot_be_piped(numbered):
    with pytest.raises(GeometryError, match="yuv444p"):
        write_y4m(io.BytesIO(), ArraySource(np.zeros((1, 5, 5, 3), np.uint8)))
    with pytest.raises(UnknownNameError, match="yuv420p"):
        write_y4m(io.BytesIO(), numbered(1), "yuv422p")
