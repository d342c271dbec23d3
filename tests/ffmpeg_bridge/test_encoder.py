"""Encoders that open, and what is said of those that do not."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from ffmpeg_bridge.encoder import add_video_stream, check_encoder
from nervplay.errors import CapabilityError, UnknownNameError, UsageError
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=64, height=64, frame_count=1, rate=Fraction(25))


def test_options():
    assert check_encoder("libx264", SPEC, "yuv420p", None, None) == {"crf": "18"}
    assert check_encoder("libx264", SPEC, "yuv420p", 23.5, "slow") == {"crf": "23.5", "preset": "slow"}
    assert check_encoder("libx264", SPEC, "yuv420p", 0, None) == {"crf": "0"}
    assert check_encoder("ffv1", SPEC, "yuv444p", None, None) == {}


def test_no_such_encoder():
    with pytest.raises(CapabilityError, match=r"no encoder 'libx266' here; these open: libx264"):
        check_encoder("libx266", SPEC, "yuv420p", None, None)


def test_listed_but_not_here():
    with pytest.raises(CapabilityError, match=r"h264_qsv does not open here.*these open: libx264"):
        check_encoder("h264_qsv", SPEC, "nv12", None, None)


def test_no_video_encoder():
    with pytest.raises(UsageError, match="aac does not encode video"):
        check_encoder("aac", SPEC, "yuv420p", None, None)


def test_what_an_encoder_does_not_take():
    with pytest.raises(UsageError, match="ffv1 has no option crf"):
        check_encoder("ffv1", SPEC, "yuv420p", 20, None)
    with pytest.raises(UsageError, match="libx264 has no --crf 60; its scale goes from 0, the best, to 51"):
        check_encoder("libx264", SPEC, "yuv420p", 60, None)
    with pytest.raises(UsageError, match="libsvtav1 does not take yuv444p; it takes yuv420p"):
        check_encoder("libsvtav1", SPEC, "yuv444p", None, None)
    with pytest.raises(UsageError, match="libsvtav1 does not accept --crf 24 --preset 99"):
        check_encoder("libsvtav1", SPEC, "yuv420p", None, "99")


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_presets(encoder):
    with pytest.raises(UnknownNameError, match="unknown preset 'verfast'; did you mean veryfast"):
        check_encoder(encoder, SPEC, "yuv420p", None, "verfast")


NOISY = """
from fractions import Fraction
from ffmpeg_bridge.encoder import check_encoder
from nervplay.errors import CapabilityError, UsageError
from nervplay.video import VideoSpec
spec = VideoSpec(width=64, height=64, frame_count=1, rate=Fraction(25))
for encoder, preset in (("no such", None), ("libx264", "wrong"), ("libx265", "fast"), ("libsvtav1", "8")):
    try:
        check_encoder(encoder, spec, "yuv420p", None, preset)
    except (CapabilityError, UsageError):
        pass
"""


def test_encoders_do_not_talk():
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no encoder does that")
def test_no_encoder_makes_real_time_threads(tmp_path: Path):
    """SVT-AV1 does, for root: all of this process and its children would go before anything else of the machine."""

    def threads() -> list[int]:
        return [int(thread.name) for thread in Path("/proc/self/task").iterdir()]

    def policies() -> set[int]:
        return {os.sched_getscheduler(thread) for thread in threads()}

    assert policies() == {os.SCHED_OTHER}
    options = check_encoder("libsvtav1", SPEC, "yuv420p", None, "12")
    assert policies() == {os.SCHED_OTHER}
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        count = len(threads())
        stream = add_video_stream(output, "libsvtav1", SPEC, "yuv420p", options)
        assert len(threads()) > count, "the encoder has threads of its own"
        output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        assert policies() == {os.SCHED_OTHER}
        output.mux(stream.encode(None))
