"""What every decoder has from its base: length, streams that can be cancelled, the end."""

from fractions import Fraction

import numpy as np
import pytest

from nervplay.decode.base import DecoderBase
from nervplay.errors import FrameIndexError, UnknownNameError, UsageError
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))


class Grey(DecoderBase):
    """Frame i is grey of value i."""

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        self._check_position(index)
        assert out is None
        return np.full((32, 64, 3), index, np.uint8)

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        self._check_position(index)
        out[0][:] = index
        return out


def test_a_stream_gives_what_was_asked_for() -> None:
    with Grey(SPEC, note="grey") as decoder:
        assert (len(decoder), decoder.spec, decoder.precision, decoder.backend_note) == (6, SPEC, "fp32", "grey")
        assert [int(frame[0, 0, 0]) for frame in decoder.frames()] == [0, 1, 2, 3, 4, 5]
        assert [int(frame[0, 0, 0]) for frame in decoder.frames([4, 4, 1])] == [4, 4, 1]


def test_there_is_nothing_to_prepare_but_names_are_checked() -> None:
    decoder = Grey(SPEC)
    decoder.prepare("int8")
    with pytest.raises(UnknownNameError):
        decoder.prepare("int9")
    decoder.close()
    with pytest.raises(UsageError):
        decoder.prepare("fp32")


def test_planes_are_filled_as_their_turn_comes() -> None:
    decoder, planes = Grey(SPEC), [np.zeros((32, 64), np.uint8)] * 3
    filled = decoder.yuv_frames((index, planes) for index in (3, 1))
    assert [int(out[0][0, 0]) for out in filled] == [3, 1]
    for _ in decoder.yuv_frames((index, planes) for index in range(6)):
        decoder.cancel()
    assert planes[0][0, 0] == 0, "nothing is filled behind a cancel"


def test_cancel_ends_the_stream_that_runs_and_no_other() -> None:
    decoder = Grey(SPEC)
    seen = 0
    for _ in decoder.frames():
        seen += 1
        decoder.cancel()
    assert seen == 1
    assert len(list(decoder.frames())) == 6


def test_outside_and_after_the_end() -> None:
    decoder = Grey(SPEC)
    for index in (-1, 6):
        with pytest.raises(FrameIndexError, match=f"frame {index} is outside the clip; its frames are 0 to 5"):
            decoder.frame(index)
    with pytest.raises(UnknownNameError, match="precision"):
        decoder._check_precision("fp33")
    with decoder:
        pass
    decoder.close()
    with pytest.raises(UsageError, match="closed"):
        next(decoder.frames())
    with pytest.raises(UsageError, match="closed"):
        decoder._check_precision("fp32")
