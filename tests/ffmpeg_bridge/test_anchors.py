"""Anchors by the real encoders: size, frames, cache, cancelling."""

import threading
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from ffmpeg_bridge import open_source
from ffmpeg_bridge.anchor_cache import AnchorCache
from ffmpeg_bridge.anchors import ANCHORS, AnchorEncoder, encode_anchor
from nervplay.errors import GeometryError, Interrupted, UnknownNameError, UsageError
from nervplay.metrics import psnr
from nervplay.video import ArraySource

FAST = {"x264": "ultrafast", "x265": "ultrafast", "svtav1": "12"}


@pytest.fixture(scope="module")
def moving():
    """24 frames of soft noise that moves, 128x64."""
    noise = np.random.default_rng(3).integers(0, 256, (30, 60, 3)).astype(np.float32)
    big = np.kron(noise, np.ones((4, 4, 1), np.float32))
    soft = (big + np.roll(big, 2, 0) + np.roll(big, 2, 1) + np.roll(big, (1, 1), (0, 1))) / 4
    frames = np.stack([soft[i : i + 64, 2 * i : 2 * i + 128] for i in range(24)]).astype(np.uint8)
    return ArraySource(frames, Fraction(24000, 1001))


@pytest.fixture
def cache(tmp_path):
    return AnchorCache(tmp_path / "cache")


def stream_bytes(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        extra = len(stream.codec_context.extradata or b"")
        return extra + sum(packet.size for packet in container.demux(stream))


@pytest.mark.parametrize("codec", ANCHORS)
def test_size_and_frames(moving, cache, codec):
    with AnchorEncoder(moving, cache=cache) as encoder:
        small, large = (encoder.at_size(codec, size, preset=FAST[codec]) for size in (6000, 12000))
    for anchor, target in ((small, 6000), (large, 12000)):
        assert abs(anchor.deviation) <= 0.05, anchor
        assert (anchor.codec, anchor.target, anchor.cached) == (codec, target, False)
        assert anchor.size == pytest.approx(stream_bytes(anchor.path), abs=80), "headers may be written in another form"
    with open_source(small.path) as low, open_source(large.path) as high:
        assert (low.spec, high.spec) == (moving.spec, moving.spec)
        quality = [np.mean([psnr(a, b) for a, b in zip(s.frames(), moving.frames(), strict=True)]) for s in (low, high)]
    assert 15 < quality[0] < quality[1] - 0.5


def test_the_second_time_it_comes_from_the_cache(moving, cache):
    first = encode_anchor(moving, "x264", 9000, preset="ultrafast", cache=cache)
    seen = []
    again = encode_anchor(
        moving, "x264", 9000, preset="ultrafast", cache=cache, progress=lambda what, *_: seen.append(what)
    )
    assert set(seen) == {"reading frames"}
    assert again == replace(first, cached=True)
    others = ArraySource(np.stack(list(moving.frames())), Fraction(25))
    for other in (
        encode_anchor(others, "x264", 9000, preset="ultrafast", cache=cache),
        encode_anchor(moving, "x264", 9000, preset="superfast", cache=cache),
        encode_anchor(moving, "x264", 8000, preset="ultrafast", cache=cache),
    ):
        assert not other.cached
        assert other.path != first.path


def test_progress(moving, cache):
    seen = []
    encode_anchor(moving, "x264", 9000, preset="ultrafast", cache=cache, progress=lambda *told: seen.append(told))
    assert seen[:24] == [("reading frames", done, 24) for done in range(1, 25)]
    assert seen[24:48] == [("x264 at CRF 26", done, 24) for done in range(1, 25)]


@pytest.mark.parametrize("moment", [("reading", 7), ("x264", 5)])
def test_cancelled(moving, cache, moment):
    cancel = threading.Event()

    def stop(what, done, _all):
        if what.startswith(moment[0]) and done == moment[1]:
            cancel.set()

    with pytest.raises(Interrupted, match=f"stopped after {moment[1]} of 24 frames"):
        encode_anchor(moving, "x264", 9000, preset="ultrafast", cache=cache, progress=stop, cancel=cancel)
    assert list(cache.folder.iterdir()) == []


def test_a_size_that_cannot_be_reached_says_how_far(moving, cache):
    anchor = encode_anchor(moving, "x264", 100, preset="ultrafast", cache=cache)
    assert anchor.crf == 51
    assert anchor.deviation > 1


def test_refused(moving, cache):
    with pytest.raises(GeometryError, match="127x64"):
        AnchorEncoder(ArraySource(np.zeros((2, 64, 127, 3), np.uint8)), cache=cache)
    with AnchorEncoder(moving, cache=cache) as encoder:
        with pytest.raises(UnknownNameError, match="did you mean x26"):
            encoder.at_size("x266", 1000)
        with pytest.raises(UnknownNameError, match="preset"):
            encoder.at_size("x264", 1000, preset="warp")
        with pytest.raises(UsageError, match="at least 1"):
            encoder.at_size("x264", 0)


def test_a_source_that_stops_early(cache, moving):
    source = ArraySource(np.stack(list(moving.frames())))
    source.frames = lambda: iter([source.frame(0)])
    with pytest.raises(Interrupted, match="1 of 24"):
        AnchorEncoder(source, cache=cache)
