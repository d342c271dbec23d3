"""Frames through real filters: which come out, when, in which colours."""

from collections import deque
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge.frame_filter import FrameFilter
from ffmpeg_bridge.frames import FrameConverter
from nervplay.errors import UsageError
from nervplay.video.spec import Colour

TICK = Fraction(1001, 30000)
BT601 = Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")


def made(text, colour=BT601):
    return FrameFilter(text, size=(64, 48), tick=TICK, sample_aspect=Fraction(1), pix_fmt="yuv420p", colour=colour)


def through(text, count=5, colour=BT601):
    """Push `count` frames whose left half is bright and whose level counts up; return what comes out."""
    graph, converter, out = made(text, colour), FrameConverter(colour, "yuv420p"), []
    for index in range(count):
        picture = np.full((48, 64, 3), 20 * index, np.uint8)
        picture[:, :32] = 250
        frame = converter.convert(picture)
        frame.pts, frame.duration, frame.time_base = index, 1, TICK
        out.extend(graph.run(frame))
    out.extend(graph.run(None))
    return out


def luma(frame):
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def test_a_chain():
    out = through("hflip,scale=32:24")
    assert [(f.width, f.height, f.format.name, f.pts, f.time_base) for f in out] == [
        (32, 24, "yuv420p", index, TICK) for index in range(5)
    ]
    assert luma(out[2])[0, -1] > 200 > luma(out[2])[0, 0]


def test_time_of_other_rates():
    out = through("fps=60")
    assert {f.time_base for f in out} == {Fraction(1, 60)}
    assert [f.pts for f in out] == list(range(len(out)))
    assert len(out) == round(5 * TICK * 60)
    assert [f.pts for f in through("trim=start_frame=2,setpts=PTS-STARTPTS")] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "split[a][b];[a]hflip[c];[b][c]hstack",
        "[in]split[a][b];[a]hflip[c];[b][c]hstack[out]",
        "[0:v]split[a][b];[b]hflip[c];[a][c]hstack",
    ],
)
def test_labels(text):
    out = through(text)
    assert [(f.width, f.pts) for f in out] == [(128, index) for index in range(5)]
    row = luma(out[1])[0]
    assert min(row[0], row[127]) > 200 > max(row[63], row[64])


def test_a_source_of_its_own():
    out = through("color=white:s=64x48:r=30000/1001[w];[in][w]hstack=shortest=1")
    assert len(out) == 5
    assert luma(out[0])[0, 127] == 235


@pytest.mark.parametrize("colour", [BT601, Colour(), Colour(range="pc")])
@pytest.mark.parametrize(
    "text",
    ["null", "format=gbrp,hflip,hflip", "format=rgb24,null", "hue=b=0", "scale=out_color_matrix=bt2020:out_range=pc"],
)
def test_colours_come_out_as_they_went_in(colour, text):
    converter, graph = FrameConverter(colour, "yuv420p"), made(text, colour)
    frame = converter.convert(np.full((48, 64, 3), (200, 30, 60), np.uint8))
    frame.pts, frame.time_base = 0, TICK
    before = [np.frombuffer(memoryview(plane), np.uint8)[0] for plane in frame.planes]
    (after,) = [*graph.run(frame), *graph.run(None)]
    assert (after.colorspace, after.color_range) == (frame.colorspace, frame.color_range)
    for plane, level in zip(after.planes, before, strict=True):
        assert abs(int(np.frombuffer(memoryview(plane), np.uint8)[0]) - int(level)) <= 3, "swscale rounds every way"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nosuch", "nosuch cannot be made"),
        ("hflip=3", "hflip cannot be made"),
        ("split[a][b]", "2 open ends"),
        ("hflip;vflip", "2 open ends"),
        ("[x]hflip", r"nothing makes \[x\]"),
        ("split[a][a]", "made twice"),
        ("hflip[a];[a]vflip[b];[a]null[c];[b][c]hstack", "use split"),
        ("color=red", "does not use the frames"),
        ("hflip,color=red", "cannot be linked"),
        ("hstack", "cannot be used"),
    ],
)
def test_refused(text, words):
    with pytest.raises(UsageError, match=words):
        made(text)


def test_a_graph_without_end():
    graph = made("color=red:s=64x48[r];[in][r]hstack")
    frame = FrameConverter(BT601, "yuv420p").convert(np.zeros((48, 64, 3), np.uint8))
    frame.pts, frame.time_base = 0, TICK
    deque(graph.run(frame), maxlen=0)
    with pytest.raises(UsageError, match="does not end"):
        deque(graph.run(None), maxlen=0)
