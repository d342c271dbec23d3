"""Which encoder an export gets, and what is said when another one stands in."""

from fractions import Fraction
from pathlib import Path

import pytest

from ffmpeg_bridge import encoder_choice
from ffmpeg_bridge.encoder_choice import choose_encoder
from ffmpeg_bridge.targets import find_target
from nervplay.errors import CapabilityError, GeometryError, UnknownNameError, UsageError
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=64, height=64, frame_count=1, rate=Fraction(25))


def choose(suffix=".mp4", spec=SPEC, **asked):
    return choose_encoder(find_target(Path(f"a{suffix}")), spec, **asked)


@pytest.mark.parametrize(
    ("suffix", "encoder", "pix_fmt"),
    [
        (".mp4", "libx264", "yuv420p"),
        (".MOV", "libx264", "yuv420p"),
        (".mkv", "libx264", "yuv420p"),
        (".webm", "libvpx-vp9", "yuv420p"),
        (".gif", "gif", "pal8"),
        (".png", "png", "rgb24"),
    ],
)
def test_the_usual_one(suffix, encoder, pix_fmt):
    choice = choose(suffix)
    assert (choice.encoder, choice.pix_fmt, choice.word) == (encoder, pix_fmt, "")


@pytest.mark.parametrize(
    ("suffix", "asked", "encoder", "pix_fmt"),
    [
        (".mp4", None, "libx264rgb", "rgb24"),
        (".mkv", None, "ffv1", "bgr0"),
        (".mkv", "libx265", "libx265", "gbrp"),
        (".webm", None, "libvpx-vp9", "gbrp"),
        (".png", None, "png", "rgb24"),
    ],
)
def test_lossless(suffix, asked, encoder, pix_fmt):
    choice = choose(suffix, encoder=asked, lossless=True)
    assert (choice.encoder, choice.pix_fmt) == (encoder, pix_fmt)
    assert "crf" not in choice.options


@pytest.mark.parametrize(("asked", "used"), [("auto", "libx264"), ("h264_nvenc", "libx264"), ("hevc_nvenc", "libx265")])
def test_hardware_that_is_not_here(monkeypatch, asked, used):
    real, opened = encoder_choice.check_encoder, []

    def without_hardware(name, *rest, **options):
        opened.append(name)
        if name.endswith("nvenc"):
            raise CapabilityError("does not open")
        return real(name, *rest, **options)

    monkeypatch.setattr(encoder_choice, "check_encoder", without_hardware)
    choice = choose(encoder=asked, preset="p4" if asked != "auto" else None)
    hardware = "h264_nvenc" if asked == "auto" else asked
    assert opened == [hardware, used]
    assert choice.encoder == used
    assert choice.word == f"{hardware} does not open here; {used} is used instead"
    assert "preset" not in choice.options, "p4 is a word of NVENC alone"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"encoder": "libx265x"}, CapabilityError, "no encoder 'libx265x'"),
        ({"pix_fmt": "nv12"}, UnknownNameError, "pixel format 'nv12'"),
        ({"pix_fmt": "rgb24"}, UsageError, "libx264 does not take rgb24"),
        ({"lossless": True, "crf": 3.0}, UsageError, "--crf 3 and --lossless"),
        ({"lossless": True, "encoder": "libx264"}, UsageError, "take one of libx264rgb"),
        ({"lossless": True, "pix_fmt": "yuv444p"}, UsageError, "needs --pix-fmt rgb24"),
        ({"lossless": True, "suffix": ".gif"}, UsageError, "gif cannot hold frames without loss"),
        ({"spec": VideoSpec(width=63, height=64, frame_count=1, rate=Fraction(25))}, GeometryError, "yuv444p"),
    ],
)
def test_refused(asked, error, words):
    with pytest.raises(error, match=words):
        choose(**asked)
