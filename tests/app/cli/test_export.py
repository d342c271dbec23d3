"""`nervplay export`: a file that others play, with the right tags, length, pictures and sound."""

import signal
import time
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from nervplay.decode import open_decoder


class Opened(NamedTuple):
    """A video file as others see it: pictures in RGB, length, (matrix, range) code points, number of sound packets."""

    pictures: list[np.ndarray]
    seconds: float
    tags: tuple[int, int]
    sound: int


def opened(path: Path) -> Opened:
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        video = container.streams.video[0]
        seconds = float((video.duration or 0) * video.time_base)
        tags = (video.codec_context.colorspace, video.codec_context.color_range)
    with av.open(str(path)) as container:
        sound = sum(packet.size > 0 for packet in container.demux(audio=0)) if container.streams.audio else 0
    return Opened(pictures, seconds, tags, sound)


def test_mp4(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    ran = nervplay("export", small_nerv, target, "--crf", "1")
    assert (ran.code, ran.out) == (0, "")
    assert "sound: aac" in ran.err
    written = opened(target)
    with open_decoder(small_nerv, device="cpu") as decoder:
        expected = list(decoder.frames())
        assert decoder.spec.colour.matrix == "smpte170m"
    assert len(written.pictures) == 10
    assert written.seconds == pytest.approx(0.4)
    assert written.tags == (6, 1)
    assert np.abs(np.stack(written.pictures).astype(int) - np.stack(expected)).mean() < 4
    assert written.sound > 10


@pytest.mark.parametrize(("layout", "size"), [(None, (128, 48)), ("stacked", (64, 96)), ("difference", (64, 48))])
def test_beside_the_source(nervplay, *, small_nerv: Path, small_clip: Path, tmp_path: Path, layout, size) -> None:
    target = tmp_path / "a.mkv"
    extra = ["--layout", layout] if layout else []
    ran = nervplay("export", small_nerv, target, "--side-by-side", small_clip, *extra)
    assert ran.code == 0, ran.err
    written = opened(target)
    assert len(written.pictures) == 10
    assert written.pictures[0].shape == (size[1], size[0], 3)
    assert written.sound > 10


def test_where_the_sound_comes_from(nervplay, small_clip: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.nerv"
    made = nervplay("encode", small_clip, silent, "--preset", "hnerv-tiny", "--epochs", "1", "--audio", "none")
    assert made.code == 0
    cases = {
        "none": [],
        "from": ["--audio-from", small_clip],
        "beside": ["--side-by-side", small_clip],
        "off": ["--side-by-side", small_clip, "--audio", "none"],
    }
    for name, arguments in cases.items():
        target = tmp_path / f"{name}.mp4"
        assert nervplay("export", silent, target, *arguments).code == 0
        assert (opened(target).sound > 0) is (name in ("from", "beside")), name


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.avi"], 2, "must end with .mp4 or .mov or .mkv or .webm or .gif or .png"),
        (["a.mp4", "--encoder", "libx265x"], 6, "no encoder 'libx265x'"),
        (["a.mp4", "--preset", "warp"], 2, "warp"),
        (["a.mp4", "--pix-fmt", "nv12"], 2, "unknown pixel format"),
        (["a.mp4", "--pix-fmt", "rgb24"], 2, "libx264 does not take rgb24"),
        (["a.mp4", "--burn-psnr"], 2, "--burn-psnr needs a second clip"),
        (["a.mp4", "--range", "5:50"], 2, "frame 49 is outside the clip"),
        (["a.mp4", "--fps", "0"], 2, "0"),
        (["a.mp4", "--filter", "nosuch"], 2, "no filter nosuch"),
        (["a.mp4", "--lossless", "--crf", "3"], 2, "contradict"),
        (["a.gif", "--lossless"], 2, "without loss"),
        (["a.png"], 2, "frame_%05d.png"),
        (["a.mp4", "--layout", "stacked"], 2, "needs a second clip"),
        (["none/a.mp4"], 4, "does not exist"),
    ],
)
def test_refused(nervplay, *, small_nerv: Path, tmp_path: Path, monkeypatch, arguments, code: int, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    ran = nervplay("export", small_nerv, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == []


def test_unknown_layout(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    ran = nervplay("export", small_nerv, tmp_path / "a.mp4", "--side-by-side", small_clip, "--layout", "stack")
    assert ran.code == 2
    assert "did you mean stacked" in ran.error


def test_range_rate_and_size(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    shape = ["--range", "2:8", "--fps", "50", "--scale", "32x24", "--crf", "1"]
    assert nervplay("export", small_nerv, target, *shape).code == 0
    written = opened(target)
    assert (len(written.pictures), written.pictures[0].shape, written.seconds) == (12, (24, 32, 3), 0.24)
    assert 3 < written.sound < 16, "sound is cut with the pictures"
    exact = tmp_path / "a.mkv"
    assert nervplay("export", small_nerv, exact, "--range", "2:8", "--fps", "50", "--lossless").code == 0
    with open_decoder(small_nerv, device="cpu") as decoder:
        expected = np.stack(list(decoder.frames([2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7])))
    np.testing.assert_array_equal(np.stack(opened(exact).pictures), expected)


def test_lossless_pictures_are_the_decoder_s(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    ran = nervplay("export", small_nerv, target, "--lossless", "--audio", "none", "--encoder", "auto")
    assert ran.code == 0, ran.err
    with open_decoder(small_nerv, device="cpu") as decoder:
        np.testing.assert_array_equal(np.stack(opened(target).pictures), np.stack(list(decoder.frames())))


def test_words_in_the_picture(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    pictures = {}
    for name, options in {"bare": ["--no-labels"], "named": [], "psnr": ["--no-labels", "--burn-psnr"]}.items():
        command = ["--side-by-side", small_clip, "--layout", "wipe", "--lossless", "--audio", "none", *options]
        assert nervplay("export", small_nerv, tmp_path / f"{name}.mkv", *command).code == 0
        pictures[name] = opened(tmp_path / f"{name}.mkv").pictures[4]
    named, psnr = ((pictures[name] != pictures["bare"]).any((1, 2)) for name in ("named", "psnr"))
    assert named[:20].any()
    assert not named[30:].any()
    assert psnr[-20:].any()
    assert not psnr[:15].any()


def test_a_replaced_encoder_is_named(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    ran = nervplay("export", small_nerv, tmp_path / "a.mp4", "--encoder", "hevc_nvenc")
    assert ran.code == 0, ran.err
    assert "hevc_nvenc does not open here; libx265 is used instead" in ran.err or "hevc_nvenc yuv420p" in ran.err


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_ctrl_c_and_a_kill_leave_nothing(start, small_nerv: Path, tmp_path: Path, number: signal.Signals) -> None:
    target = tmp_path / "a.mkv"
    slow = ["--fps", "100000", "--scale", "640x480", "--preset", "placebo"]
    process = start("export", small_nerv, target, *slow)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".nervplay-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode().splitlines()[-1]) == (130, "nervplay: interrupted")
    assert list(tmp_path.iterdir()) == []
