"""Every carrier into the real ffmpeg: pixels, tags, rate and sound arrive; pipes that close early end in silence."""

import io
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge import write_pipe
from ffmpeg_bridge.audio import extract_audio
from ffmpeg_bridge.pipe import input_options
from nervplay.choices import CARRIERS, RAW_FORMATS
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import GeometryError, Interrupted, OutputError, UnknownNameError
from nervplay.video import ArraySource, Colour, VideoSpec

SPEC = VideoSpec(width=130, height=66, frame_count=7, rate=Fraction(24000, 1001))
HD = Colour()
SD = Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")
EVERY = [
    (carrier, pix_fmt) for carrier in CARRIERS for pix_fmt in RAW_FORMATS if (carrier, pix_fmt) != ("y4m", "rgb24")
]

WRITER = """
import sys
from pathlib import Path
from ffmpeg_bridge import open_source, write_pipe
write_pipe({stream}, open_source(Path(sys.argv[1])), "{carrier}")
"""


def shell(clip, carrier, stream, rest):
    last_words = "print('flushed when the interpreter ends')"
    script = shlex.quote(WRITER.format(stream=stream, carrier=carrier) + last_words)
    command = f"set -o pipefail; {sys.executable} -c {script} {clip} | {rest}"
    return subprocess.run(["bash", "-c", command], capture_output=True, check=False)


def piped(path, source, carrier, pix_fmt, audio=None):
    with path.open("wb") as file:
        assert write_pipe(file, source, carrier, pix_fmt, audio) == len(source)
    return input_options(source.spec, carrier, pix_fmt)


def words(lines, *keys):
    """What ffprobe said about `keys`, in that order, each as often as it said it."""
    pairs = [line.split("=", 1) for line in lines]
    return [value for key in keys for name, value in pairs if name == key]


def decoded(run_ffmpeg, tmp_path, options, path, matrix):
    """The frames as FFmpeg turns them into RGB by the matrix that they should have."""
    raw = tmp_path / "out.rgb"
    filters = f"scale=in_color_matrix={matrix}:in_range=tv:out_range=pc,format=rgb24"
    run_ffmpeg(*options, "-i", path, "-vf", filters, "-fps_mode", "passthrough", "-f", "rawvideo", raw)
    return np.fromfile(raw, np.uint8).reshape(-1, SPEC.height, SPEC.width, 3)


@pytest.mark.parametrize(("carrier", "pix_fmt"), EVERY)
def test_ffmpeg_reads_every_frame_of_every_carrier(carrier, pix_fmt, run_ffmpeg, tmp_path):
    source = FakeDecoder(SPEC)
    options = piped(tmp_path / "a", source, carrier, pix_fmt)
    frames = decoded(run_ffmpeg, tmp_path, options, tmp_path / "a", "bt709")
    assert [read_index(frame) for frame in frames] == list(range(7))
    errors = np.abs(frames[5, 24:].astype(int) - source.frame(5)[24:])
    assert errors.max() == 0 if pix_fmt == "rgb24" else errors.mean() < 4


@pytest.mark.parametrize("pix_fmt", RAW_FORMATS)
@pytest.mark.parametrize(("colour", "matrix"), [(HD, "bt709"), (SD, "smpte170m")])
def test_matroska_says_everything_of_itself(pix_fmt, colour, matrix, ffprobe, tmp_path):
    spec = replace(SPEC, colour=colour, sample_aspect=Fraction(8, 9))
    piped(tmp_path / "a.mkv", FakeDecoder(spec), "mkv", pix_fmt)
    keys = "pix_fmt color_range color_space color_transfer color_primaries r_frame_rate sample_aspect_ratio start_pts"
    told = words(ffprobe(tmp_path / "a.mkv", f"stream={keys.replace(' ', ',')}"), *keys.split())
    usual = ["pc", "gbr"] if pix_fmt == "rgb24" else ["tv", matrix]
    assert told == [pix_fmt, *usual, matrix, matrix, "24000/1001", "8:9", "0"]


@pytest.mark.parametrize("carrier", ["y4m", "nut", "raw"])
def test_options_say_what_the_carrier_does_not(carrier, run_ffmpeg, ffprobe, tmp_path):
    options = piped(tmp_path / "a", FakeDecoder(replace(SPEC, colour=SD)), carrier, "yuv420p10le")
    run_ffmpeg(*options, "-i", tmp_path / "a", "-c:v", "libx264", "-pix_fmt", "yuv420p10le", tmp_path / "a.mp4")
    keys = "color_range color_space color_transfer color_primaries r_frame_rate"
    told = ffprobe(tmp_path / "a.mp4", f"stream={keys.replace(' ', ',')}")
    assert words(told, *keys.split()) == ["tv", "smpte170m", "smpte170m", "smpte170m", "24000/1001"]


@pytest.mark.parametrize(
    "rate",
    ["24000/1001", "30000/1001", "60000/1001", "24", "25", "30", "50", "60", "120", "25/2", "10/3", "15000/1001"],
)
def test_matroska_keeps_the_rate(rate, ffprobe, tmp_path):
    source = FakeDecoder(replace(SPEC, rate=Fraction(rate), frame_count=30, width=64, height=16))
    piped(tmp_path / "a.mkv", source, "mkv", "yuv420p")
    told = ffprobe(tmp_path / "a.mkv", "stream=r_frame_rate,avg_frame_rate")
    assert [Fraction(word) for word in words(told, "r_frame_rate", "avg_frame_rate")] == [Fraction(rate)] * 2
    times = ffprobe(tmp_path / "a.mkv", "packet=pts_time")
    assert words(times, "pts_time") == [f"{round(k * 1_000_000 / Fraction(rate)) / 1e6:.6f}" for k in range(30)]


@pytest.fixture(scope="module")
def sounding(run_ffmpeg, tmp_path_factory):
    """A clip whose AAC sound has priming: its first packet lies before time 0."""
    path = tmp_path_factory.mktemp("sound") / "a.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "color=s=64x48:d=1", "-c:a", "aac", path)
    return path


@pytest.mark.parametrize("carrier", ["mkv", "nut"])
def test_sound_goes_along_packet_by_packet(carrier, sounding, ffprobe, tmp_path):
    piped(tmp_path / "a", FakeDecoder(replace(SPEC, frame_count=24)), carrier, "yuv420p", extract_audio(sounding))
    before, after = starts(ffprobe, sounding, "a:0"), starts(ffprobe, tmp_path / "a", "a:0")
    assert before[0] < 0
    np.testing.assert_allclose(after - starts(ffprobe, tmp_path / "a", "v:0")[0], before, atol=2e-5)
    assert packets(tmp_path / "a") == packets(sounding)


def starts(ffprobe, path, stream):
    return np.array([float(word) for word in words(ffprobe(path, "packet=pts_time", stream), "pts_time")])


def packets(path):
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-c", "copy", "-f", "framemd5", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(",")[5] for line in lines if not line.startswith("#")]


CODECS = ["aac", "ac3", "alac", "flac", "libmp3lame", "libopus", "libvorbis", "pcm_s16le", "pcm_s24be"]


@pytest.mark.parametrize("codec", CODECS)
def test_sound_of_every_usual_codec(codec, run_ffmpeg, tmp_path):
    original, out = tmp_path / "a.mov", tmp_path / "a.mkv"
    if codec in ("flac", "libopus", "libvorbis"):
        original = tmp_path / "b.mkv"
    source = ("-f", "lavfi", "-i", "sine=d=1:r=48000", "-f", "lavfi", "-i", "color=s=64x48:d=1:r=25")
    run_ffmpeg(*source, "-ac", 2, "-c:a", codec, "-c:v", "libx264", original)
    piped(out, FakeDecoder(replace(SPEC, frame_count=24)), "mkv", "yuv420p", extract_audio(original))
    assert packets(out) == packets(original)
    run_ffmpeg("-xerror", "-i", out, "-map", "0:a", "-f", "null", "-")  # and the decoder knows what they are


def test_a_late_sound_stays_late(sounding, run_ffmpeg, ffprobe, tmp_path):
    run_ffmpeg(
        "-i",
        sounding,
        "-itsoffset",
        "0.3",
        "-i",
        sounding,
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c",
        "copy",
        tmp_path / "b.mp4",
    )
    piped(tmp_path / "a.mkv", FakeDecoder(SPEC), "mkv", "yuv420p", extract_audio(tmp_path / "b.mp4"))
    assert starts(ffprobe, tmp_path / "a.mkv", "a:0")[0] == pytest.approx(0.3 - 1024 / 44100, abs=1e-3)


@pytest.fixture
def long_clip(encoded):
    return encoded(".mp4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", count=132)


@pytest.mark.parametrize("carrier", ["y4m", "mkv", "nut"])
def test_132_frames_through_a_shell_pipe(long_clip, carrier):
    done = shell(long_clip, carrier, "1", "ffmpeg -hide_banner -i - -f null - 2>&1")
    assert done.returncode == 0
    assert b"frame=  132" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize("stream", ["1", "sys.stdout.buffer"])
@pytest.mark.parametrize(
    ("carrier", "rest"),
    [
        ("y4m", "head -c 100000 > /dev/null"),
        ("y4m", "true"),
        ("mkv", "ffmpeg -v error -i - -frames:v 3 -f null -"),
        ("nut", "head -c 100000 > /dev/null"),
        ("raw", "head -c 100000 > /dev/null"),
    ],
)
def test_a_pipe_that_closes_early_ends_in_silence(long_clip, stream, carrier, rest):
    done = shell(long_clip, carrier, stream, rest)
    assert (done.returncode, done.stderr) == (0, b"")


def test_short_writes_are_continued(monkeypatch, tmp_path):
    whole, pieces = tmp_path / "whole.y4m", tmp_path / "pieces.y4m"
    piped(whole, FakeDecoder(SPEC), "y4m", "yuv420p")
    monkeypatch.setattr(os, "writev", lambda fd, parts: os.write(fd, b"".join(parts)[:1000]))
    piped(pieces, FakeDecoder(SPEC), "y4m", "yuv420p")
    assert pieces.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_full_disk(carrier):
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OutputError, match="No space left"):  # noqa: PTH123
        write_pipe(file, FakeDecoder(SPEC), carrier, "yuv420p")


def test_what_cannot_be_piped():
    with pytest.raises(GeometryError, match="yuv444p"):
        write_pipe(io.BytesIO(), ArraySource(np.zeros((1, 5, 5, 3), np.uint8)), "mkv")
    with pytest.raises(UnknownNameError, match="yuv420p"):
        write_pipe(io.BytesIO(), FakeDecoder(SPEC), "mkv", "yuv411p")
    with pytest.raises(UnknownNameError, match="yuv444p"):
        write_pipe(io.BytesIO(), FakeDecoder(SPEC), "y4m", "rgb24")
    with pytest.raises(UnknownNameError, match="mkv"):
        write_pipe(io.BytesIO(), FakeDecoder(SPEC), "avi")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_cancelled_decoder_is_no_short_clip(carrier):
    class Cancelled(FakeDecoder):
        def frame(self, index, out=None):
            self.cancel()
            return super().frame(index, out)

    with pytest.raises(Interrupted, match="after 1 of 7"):
        write_pipe(io.BytesIO(), Cancelled(SPEC), carrier)
