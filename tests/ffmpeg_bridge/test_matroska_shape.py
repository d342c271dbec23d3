"""The shape of pixels in exported Matroska and WebM files, as ffprobe and our own reader see it."""

import zlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge import export_video, extract_audio, open_source
from ffmpeg_bridge.ebml import children
from nervplay.video import ArraySource

SHAPE = Fraction(64, 45)


@pytest.fixture
def oblong(numbered):
    """Three frames of pixels that are no squares."""
    frames = numbered(3)
    return ArraySource(np.stack(list(frames.frames())), spec=replace(frames.spec, sample_aspect=SHAPE))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("out.webm", {"crf": 60}),
        ("out.mkv", {"lossless": True}),
        ("out.mkv", {"encoder": "libvpx-vp9", "filter_graph": "hflip"}),
    ],
)
def test_encoders_that_do_not_say_it(oblong, ffprobe, tmp_path, name, options):
    export_video(oblong, tmp_path / name, **options)
    assert ffprobe(tmp_path / name, "stream=sample_aspect_ratio") == ["sample_aspect_ratio=64:45"]
    with open_source(tmp_path / name) as back:
        assert back.spec.sample_aspect == SHAPE


def test_the_file_stays_sound(clip, oblong, tmp_path):
    """Its index finds what it names, its checksums are right, frames and sound are where they were."""
    out, sound = tmp_path / "out.mkv", extract_audio(clip, duration=Fraction(1, 10))
    export_video(oblong, out, audio=sound, lossless=True)
    data = out.read_bytes()
    segment = dict(children(data))["18538067"]
    parts = dict(children(segment))
    seeks = [dict(children(content)) for name, content in children(parts["114D9B74"]) if name == "4DBB"]
    places = {seek["53AB"]: int.from_bytes(seek["53AC"], "big") for seek in seeks}
    assert len(places) >= 4
    assert all(segment[place:].startswith(name) for name, place in places.items())
    for name in ("114D9B74", "1654AE6B"):
        assert dict(children(parts[name]))["BF"] == zlib.crc32(parts[name][6:]).to_bytes(4, "little")
    with open_source(out) as back:
        assert all(map(np.array_equal, back.frames(), oblong.frames()))
    assert extract_audio(out) is not None
