"""`nervplay encode`: what the file says and decodes to, what is refused at once, and going on after any stop."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.options import parse_parameters
from ffmpeg_bridge.audio import audio_packets
from nervplay.bitstream import peek_nerv, read_nerv
from nervplay.errors import UsageError
from nervplay.training import resume_path

TINY = ("--preset", "hnerv-tiny")


def test_summary_is_measured_on_the_written_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "2", "--json")
    assert ran.code == 0
    summary = json.loads(ran.out)
    report = json.loads(nervplay("eval", target, small_clip, "--json", "--device", "cpu").out)
    assert summary["psnr_db"] == pytest.approx(report["metrics"]["psnr"]["mean"])
    assert summary["psnr_db_min"] == pytest.approx(report["metrics"]["psnr"]["min"])
    assert summary["bpp"] == report["bpp"]
    assert summary["file_bytes"] == target.stat().st_size
    assert summary["weights_sha256"] == peek_nerv(target).weights_sha256
    assert f"{report['bpp']:.4f} bits per pixel" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]


def test_same_seed_same_file_other_seed_another(nervplay, small_clip: Path, small_nerv: Path, tmp_path: Path) -> None:
    for seed, same in (("1", True), ("2", False)):
        target = tmp_path / f"{seed}.nerv"
        assert nervplay("encode", small_clip, target, *TINY, "--epochs", "2", "--seed", seed).code == 0
        assert (target.read_bytes() == small_nerv.read_bytes()) is same


def test_options_reach_the_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    cut = ("--frames", "3:7", "--crop", "48x32", "--scale", "32x16")
    ran = nervplay("encode", small_clip, target, *TINY, *cut, "--epochs", "1", "--bits", "5", "--embed-bits", "4")
    assert ran.code == 0
    header = peek_nerv(target)
    assert (header.video.width, header.video.height, header.video.frame_count) == (32, 16, 4)
    assert header.source["transform"] == {"crop": [48, 32], "scale": [32, 16], "frames": [3, 7]}
    assert {tensor.bits for segment in header.segments for tensor in segment.tensors} == {4, 5}
    assert header.recipe["training"]["epochs"] == 1
    assert 3 < header.recipe["psnr_db"] < 60, "decoders choose by it how near to float32 integers must come"


def test_weights_that_pay_for_their_bits_are_smaller(nervplay, small_clip: Path, tmp_path: Path) -> None:
    sizes = []
    for price in ("1e-6", "0.1"):
        target = tmp_path / f"{price}.nerv"
        ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "25", "--rate-lambda", price, "--audio", "none")
        assert ran.code == 0, ran.err
        assert peek_nerv(target).recipe["rate_lambda"] == float(price)
        sizes.append(target.stat().st_size)
    assert sizes[1] < 0.85 * sizes[0]
    for wrong in (("--rate-lambda", "0"), ("--rate-lambda", "1", "--bits", "32")):
        assert nervplay("encode", small_clip, tmp_path / "a.nerv", *TINY, *wrong).code == 2


def sound_of(path: Path) -> tuple[float, list[bytes]]:
    """Return the seconds and the packets of a file's sound."""
    audio = read_nerv(path).audio
    assert audio is not None
    with audio_packets(audio) as (stream, packets):
        kept = [(packet.duration * stream.time_base, bytes(packet)) for packet in packets]
    return float(sum(duration for duration, _ in kept)), [data for _, data in kept]


def test_sound_is_that_of_the_chosen_frames(nervplay, small_clip: Path, small_nerv: Path, tmp_path: Path) -> None:
    seconds, whole = sound_of(small_nerv)
    assert seconds == pytest.approx(0.4, abs=0.05)
    target = tmp_path / "a.nerv"
    assert nervplay("encode", small_clip, target, *TINY, "--frames", "5:9", "--epochs", "1").code == 0
    seconds, part = sound_of(target)
    assert seconds == pytest.approx(4 / 25, abs=0.05)
    first = whole.index(part[0])
    assert whole[first : first + len(part)] == part
    assert first * 1024 / 44100 == pytest.approx(5 / 25, abs=0.05)
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "1", "--audio", "none", "--overwrite")
    assert ran.code == 0
    assert read_nerv(target).audio is None


@pytest.mark.parametrize("architecture", ["nerv", "hnerv"])
def test_made_to_size(nervplay, small_clip: Path, tmp_path: Path, architecture: str) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("encode", small_clip, target, "--arch", architecture, "--size", "60k", "--epochs", "1")
    assert ran.code == 0, ran.err
    header = peek_nerv(target)
    assert header.architecture == architecture
    assert header.weight_count == pytest.approx(60_000, rel=0.1)
    assert header.recipe["preset"] is None


@pytest.mark.parametrize(
    ("text", "count"), [("350k", 350_000), ("1.5M", 1_500_000), ("0.75m", 750_000), ("1234", 1234), (" 2K ", 2000)]
)
def test_parameters(text: str, count: int) -> None:
    assert parse_parameters(text) == count


@pytest.mark.parametrize("text", ["", "big", "-3M", "1.5G", "0", "1e6", "0.4"])
def test_parameters_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no number of parameters"):
        parse_parameters(text)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no network chosen"),
        (["--arch", "hnerv"], 2, "no network chosen"),
        ([*TINY, "--size", "1M"], 2, "says everything"),
        (["--preset", "hnerv-tiney"], 2, "did you mean hnerv-tiny"),
        (["--arch", "hnerf", "--size", "1M"], 2, "did you mean hnerv"),
        (["--arch", "hnerv", "--size", "big"], 2, "is no number of parameters"),
        (["--preset", "hnerv-1.5m-640x1280"], 2, "64x48"),
        ([*TINY, "--epochs", "0"], 2, "epochs 0"),
        ([*TINY, "--bits", "1"], 2, "bits is 1"),
        ([*TINY, "--frames", "0:11"], 2, "frame 10 is outside"),
        ([*TINY, "--frames", "4"], 2, "is no range"),
        ([*TINY, "--crop", "65x48"], 2, "larger than the frame"),
        ([*TINY, "--scale", "0x8"], 2, "holds no pixel"),
        ([*TINY, "--scale", "53x47"], 2, "53x47"),
        ([*TINY, "--device", "cuda:99"], 6, "no CUDA device"),
    ],
)
def test_refused_before_the_work(
    nervplay, *, small_clip: Path, tmp_path: Path, arguments, code: int, words: str
) -> None:
    ran = nervplay("encode", small_clip, tmp_path / "a.nerv", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_fit_asks_which_of_both(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    state = resume_path(target)
    state.write_bytes(b"a stopped fit")
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "1")
    assert ran.code == 4
    assert "--resume" in ran.error
    assert "--overwrite" in ran.error
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "1", "--resume")
    assert ran.code == 3, "it is no resume file"
    assert "cannot be read as a resume file" in ran.error
    assert state.read_bytes() == b"a stopped fit"
    assert nervplay("encode", small_clip, target, *TINY, "--epochs", "1", "--overwrite").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]


def test_a_folder_in_place_of_the_state_is_left_alone(nervplay, small_clip: Path, tmp_path: Path) -> None:
    state = resume_path(tmp_path / "a.nerv")
    state.mkdir()
    ran = nervplay("encode", small_clip, tmp_path / "a.nerv", *TINY, "--epochs", "1", "--overwrite")
    assert ran.code == 4
    assert "is a folder, and the fit keeps its state there" in ran.error
    assert state.is_dir()


def test_resume_without_a_stopped_fit_starts(nervplay, small_clip: Path, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "2", "--resume")
    assert ran.code == 0
    assert "starting from the beginning" in ran.err
    assert target.read_bytes() == small_nerv.read_bytes()


LONG = (*TINY, "--epochs", "12", "--save-every", "0.05", "--device", "cpu")


class Chain:
    """The same fit, stopped again and again."""

    def __init__(self, start: Callable[..., subprocess.Popen[bytes]], clip: Path, folder: Path) -> None:
        self._start, self._clip = start, clip
        self.target = folder / "a.nerv"
        self.state = resume_path(self.target)

    def run(self, *arguments: str, target: Path | None = None) -> subprocess.Popen[bytes]:
        return self._start("encode", self._clip, target or self.target, *LONG, *arguments)

    def stop(self, process: subprocess.Popen[bytes], number: signal.Signals) -> tuple[int, bytes]:
        """Send a signal once the resume file has been written anew, that is, in the middle of the fit."""
        before = self.state.stat().st_mtime_ns if self.state.exists() else 0
        deadline = time.monotonic() + 120
        while not self.state.exists() or self.state.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        _, errors = process.communicate()
        return process.returncode, errors


def test_stopped_killed_and_resumed_is_the_same_file(
    nervplay, start: Callable[..., subprocess.Popen[bytes]], small_clip: Path, tmp_path: Path
) -> None:
    chain = Chain(start, small_clip, tmp_path)
    whole = chain.run(target=tmp_path / "whole.nerv")
    code, errors = chain.stop(chain.run(), signal.SIGINT)
    assert code == 130
    line = errors.decode().splitlines()[-1]
    assert line.startswith("nervplay: stopped in epoch")
    assert "--resume" in line
    assert not chain.target.exists()

    before = chain.state.read_bytes()
    ran = nervplay("encode", small_clip, chain.target, *LONG, "--resume", "--seed", "5")
    assert (ran.code, ran.out) == (3, "")
    assert "seed is 1, not 5" in ran.error
    assert chain.state.read_bytes() == before

    code, _ = chain.stop(chain.run("--resume"), signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not chain.target.exists()

    last = chain.run("--resume")
    for process in (last, whole):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert chain.target.read_bytes() == (tmp_path / "whole.nerv").read_bytes()
    assert not chain.state.exists()
