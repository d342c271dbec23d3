"""`nervplay ffmpeg`: the real ffmpeg with neural inputs; exit codes, words, and nothing left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from app.cli.ffmpeg import neural_inputs
from app.cli.work import serving
from nervplay.bitstream import read_nerv
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import BitstreamError

Start = Callable[..., subprocess.Popen[bytes]]
pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed (apt-get install ffmpeg)")

ENCODER = ("-c:v", "libx264", "-preset", "ultrafast")


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def running(word: str) -> list[str]:
    """The processes whose command line holds a word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.parametrize("name", ["it's 50%|a:b,c [x]; 日本\n.nerv", "-i.NERV", "C:\\x y.nerv"])
def test_a_neural_input_like_any_other(nervplay, small_nerv: Path, tmp_path: Path, name: str, monkeypatch) -> None:
    shutil.copy(small_nerv, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.mp4"
    ran = nervplay("ffmpeg", "--device=cpu", "-v", "error", "-i", name, *ENCODER, "-c:a", "copy", out)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.average_rate, stream.pix_fmt) == (10, 25, "yuv420p")
        assert stream.codec_context.colorspace == 6  # smpte170m: 48 lines
    audio = read_nerv(small_nerv).audio
    (tmp_path / "sound.mp4").write_bytes(audio.data)
    assert sound(out) == sound(tmp_path / "sound.mp4")


def test_our_options_and_its_options(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    ours = ("--pix-fmt", "yuv444p10le", "--audio", "none", "--cache", "1")
    ran = nervplay(
        "ffmpeg", *ours, "-v", "error", "-i", small_nerv, "-i", small_nerv, "-map", 0, "-map", 1, "-c:v", "ffv1", out
    )
    assert (ran.code, ran.err) == (0, "")
    with av.open(str(out)) as container:
        assert [(stream.type, stream.codec_context.pix_fmt) for stream in container.streams] == [
            ("video", "yuv444p10le")
        ] * 2


def test_only_inputs_are_replaced() -> None:
    assert neural_inputs(["-i", "a.nerv", "-i", "b.mp4", "-map", "0", "-i", "C.NERV", "out.nerv"]) == [1, 7]
    assert neural_inputs(["a.nerv", "-i"]) == []
    assert neural_inputs(["-v", "error", "a.nerv"], "/usr/bin/ffprobe") == [2]
    assert neural_inputs(["-i", "a.nerv"], "ffprobe") == [1]
    assert neural_inputs(["a.nerv", "-loop", "0"], "ffplay") == [0]
    assert neural_inputs(["a.mp4"], "ffprobe") == []


def test_its_exit_code_is_ours(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    ran = nervplay("ffmpeg", "-v", "error", "-i", small_nerv, "-c:v", "no-such-encoder", tmp_path / "out.mp4")
    assert ran.code not in (0, 3)
    assert ran.err.startswith("Unknown encoder")
    full = nervplay("ffmpeg", "-v", "error", "-stream_loop", "9", "-i", small_nerv, "-f", "rawvideo", "-y", "/dev/full")
    assert full.code not in (0, 3)
    assert "No space left" in full.err


def test_files_that_cannot_be_read(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.nerv"
    cut.write_bytes(small_nerv.read_bytes()[:-9])
    for name in (cut, tmp_path / "none.nerv"):
        ran = nervplay("ffmpeg", "-i", name, tmp_path / "out.mp4")
        assert ran.code == 3
        assert name.name in ran.error or "truncated" in ran.error
        assert not (tmp_path / "out.mp4").exists()


def test_a_decoder_that_fails_is_no_short_clip(nervplay, small_nerv: Path, tmp_path: Path, monkeypatch) -> None:
    class Failing(FakeDecoder):
        def frame(self, index, out=None):
            if index == 5:
                raise BitstreamError("the weights of frame 5 are damaged; get the file again")
            return super().frame(index, out)

    monkeypatch.setattr(serving, "open_logged", lambda *_, **__: Failing())
    ran = nervplay("ffmpeg", "-v", "quiet", "-i", small_nerv, *ENCODER, tmp_path / "out.mp4")
    assert (ran.code, ran.error) == (3, "nervplay: error: the weights of frame 5 are damaged; get the file again")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing to run"),
        (["--program", "no-such-ffmpeg", "-i", "x"], 6, "no program 'no-such-ffmpeg'"),
        (["--pix-fmt", "nv12", "-i", "FILE", "x.mp4"], 2, "unknown pixel format 'nv12'"),
        (["--audio", "loud", "-i", "FILE"], 2, "'loud' is not"),
    ],
)
def test_wrong_calls(nervplay, small_nerv: Path, arguments, code: int, words: str) -> None:
    ran = nervplay("ffmpeg", *[small_nerv if word == "FILE" else word for word in arguments])
    assert ran.code == code
    assert words in ran.error


def test_help_is_ours_and_h_behind_it_is_its_own(nervplay) -> None:
    assert "nervplay ffmpeg doctor" in nervplay("ffmpeg", "--help").out
    assert "nervplay ffmpeg doctor" in nervplay("ffmpeg", "-h").out
    assert nervplay("ffmpeg", "-version").out.startswith("ffmpeg version")


@pytest.fixture
def endless(start: Start, small_nerv: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """An ffmpeg of ours that would never end, and the file that it is writing; both have begun."""
    out = tmp_path / "endless.mkv"
    arguments = ("-v", "error", "-re", "-stream_loop", "-1", "-i", small_nerv, *ENCODER, "-flush_packets", "1", out)
    with start("ffmpeg", *arguments, start_new_session=True, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: out.exists() and out.stat().st_size > 0)
            yield process, out
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_interrupt_ends_both_and_leaves_a_whole_file(endless) -> None:
    process, out = endless
    process.send_signal(signal.SIGINT)
    assert b"Traceback" not in process.stderr.read()
    assert process.wait() == 255  # what ffmpeg ends with
    with av.open(str(out)) as container:
        assert container.duration
    assert running(str(out)) == []


@pytest.mark.slow
def test_a_killed_host_leaves_nothing_running(endless) -> None:
    process, out = endless
    process.kill()
    process.wait()
    wait_for(lambda: not running(str(out)))


def test_doctor(nervplay) -> None:
    ran = nervplay("ffmpeg", "doctor", "--json")
    assert ran.code == 0
    reports = json.loads(ran.out)
    works = {report["route"] for report in reports if report["program"] == shutil.which("ffmpeg") and report["works"]}
    assert works >= {"pipe", "url", "seek", "movie="}
