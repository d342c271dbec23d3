"""Any part of the virtual file is that part of the whole file, and asks for no frame that it does not hold."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffmpeg_bridge.audio import extract_audio
from ffmpeg_bridge.ebml import children, element
from ffmpeg_bridge.matroska import VirtualMatroska
from ffmpeg_bridge.matroska_sound import sound_track
from nervplay.errors import GeometryError, UnknownNameError
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=16, height=4, frame_count=130, rate=Fraction(25))
BYTES = 16 * 4 * 3


def picture(index: int) -> memoryview:
    return np.full(BYTES // 2, index, np.uint16).view(np.uint8).data


@pytest.fixture(scope="module")
def layout(clip):
    return VirtualMatroska(SPEC, "rgb24", BYTES, extract_audio(clip))


@pytest.fixture(scope="module")
def whole(layout):
    return b"".join(layout.pieces(0, layout.size, picture))


def test_the_size_is_told_beforehand(layout, whole):
    assert len(whole) == layout.size
    (_, head), (name, segment) = children(whole)
    assert name == "18538067"
    assert whole == element("1A45DFA3", head) + whole[len(element("1A45DFA3", head)) : -len(segment)] + segment


@given(data=st.data())
def test_every_part_is_a_part_of_the_whole(layout, whole, data):
    start = data.draw(st.integers(0, layout.size))
    end = data.draw(st.integers(start, min(layout.size, start + 3000)))
    asked = []

    def noted(index):
        asked.append(index)
        return picture(index)

    part = b"".join(layout.pieces(start, end, noted))
    assert part == whole[start:end]
    shown = {index for index in range(130) if picture(index).tobytes() in part}
    assert shown <= set(asked)
    assert len(asked) <= len(shown) + 2


def test_every_edge_of_a_frame(layout, whole):
    first = whole.index(picture(7).tobytes())
    for start in range(first - 3, first + 3):
        for end in range(first + BYTES - 3, first + BYTES + 3):
            assert b"".join(layout.pieces(start, end, picture)) == whole[start:end]


def test_cues_lead_to_the_clusters_of_their_frames(whole):
    segment = dict(children(whole))["18538067"]
    cues = next(data for name, data in children(segment) if name == "1C53BB6B")
    points = [dict(children(data)) for _, data in children(cues)]
    assert len(points) == 130
    for index, point in enumerate(points):
        time = int.from_bytes(point["B3"], "big")
        position = int.from_bytes(dict(children(point["B7"]))["F1"], "big")
        cluster = dict(children(next(children(segment[position:]))[1]))
        assert time == int.from_bytes(cluster["E7"], "big") == index * 40_000
        assert cluster["A3"][4:] == picture(index).tobytes()


def test_sound_that_a_frame_needs_lies_behind_it(clip, whole):
    """Whoever goes to frame i and reads on finds the packets that sound from there on, and the one before."""
    segment = dict(children(whole))["18538067"]
    entry, blocks = sound_track(extract_audio(clip))
    assert entry
    frame = -1
    seen = []
    for name, data in children(segment):
        if name != "1F43B675":
            continue
        cluster = dict(children(data))
        if cluster["A3"][0] == 0x81:
            frame += 1
            continue
        start = int.from_bytes(cluster["E7"], "big")
        seen.append(element(name, data))
        assert start + 2 * 21_333 >= frame * 40_000 - 2, "later than its last frame needs"
        assert frame in (0, 129) or start <= (frame + 1) * 40_000, "earlier than useful"
    assert seen == [block.data for block in blocks]


def test_long_clips_have_a_bounded_index():
    layout = VirtualMatroska(replace(SPEC, frame_count=50_000), "rgb24", BYTES)
    head = b"".join(layout.pieces(0, 900_000, picture))
    cues = next(data for name, data in children(dict(children(head))["18538067"]) if name == "1C53BB6B")
    assert 16_000 <= len(list(children(cues))) <= 20_000


def test_refused():
    with pytest.raises(UnknownNameError, match="rgb24"):
        VirtualMatroska(SPEC, "rgb48le", 1)
    with pytest.raises(GeometryError, match="yuv444p"):
        VirtualMatroska(replace(SPEC, width=15), "yuv420p", 1)
