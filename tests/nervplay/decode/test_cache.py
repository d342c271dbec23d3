"""Frames that are kept."""

from fractions import Fraction

import numpy as np
import pytest

from nervplay.decode import Decoder
from nervplay.decode.cache import CachedDecoder
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import CapabilityError, FrameIndexError, UsageError
from nervplay.video.source import FrameSource
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))
FRAME = 64 * 32 * 3


class Counting(FakeDecoder):
    """Counts what it decodes."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.asked: list[int] = []

    def frame(self, index: int, out: np.ndarray | None = None) -> np.ndarray:
        self.asked.append(index)
        return super().frame(index, out)


def test_frames_come_once_and_are_the_caller_s() -> None:
    behind = Counting()
    decoder: Decoder = CachedDecoder(behind, 10 * FRAME)
    assert isinstance(decoder, FrameSource)
    first = decoder.frame(2)
    kept = first.copy()
    first[:] = 0
    again = decoder.frame(2)
    np.testing.assert_array_equal(again, kept)
    again[:] = 0
    out = np.empty_like(kept)
    assert decoder.frame(2, out) is out
    np.testing.assert_array_equal(out, kept)
    assert behind.asked == [2]


def test_the_budget_holds_and_the_oldest_goes() -> None:
    behind = Counting()
    decoder = CachedDecoder(behind, 2 * FRAME + 5)
    for index in (0, 1, 0, 2, 0, 1):
        decoder.frame(index)
        assert decoder.kept_bytes <= 2 * FRAME
    assert behind.asked == [0, 1, 2, 1]


def test_a_budget_below_one_frame_keeps_nothing() -> None:
    behind = Counting()
    decoder = CachedDecoder(behind, FRAME - 1)
    assert len(list(decoder.frames([3, 3]))) == 2
    assert behind.asked == [3, 3]


def test_each_precision_has_its_own() -> None:
    behind = Counting()
    decoder = CachedDecoder(behind, 10 * FRAME)
    decoder.frame(1)
    decoder.set_precision("int8")
    decoder.frame(1)
    decoder.set_precision("fp32")
    decoder.frame_at(Fraction(1))
    assert behind.asked == [1, 1]


def test_refusals() -> None:
    with pytest.raises(UsageError, match="-1 bytes"):
        CachedDecoder(Counting(), -1)
    decoder = CachedDecoder(Counting(), 10 * FRAME)
    decoder.frame(0)
    with pytest.raises(FrameIndexError):
        decoder.frame(6)
    stream = decoder.frames()
    next(stream)
    decoder.cancel()
    assert list(stream) == []
    decoder.close()
    decoder.close()
    assert decoder.kept_bytes == 0
    with pytest.raises(UsageError, match="closed"):
        decoder.frame(0)


def test_precisions_are_prepared_behind() -> None:
    class Preparing(FakeDecoder):
        def prepare(self, precision: str) -> None:
            raise CapabilityError(f"no {precision} here")

    with pytest.raises(CapabilityError, match="no int8 here"):
        CachedDecoder(Preparing(SPEC), 0).prepare("int8")


def test_samples_of_yuv_are_passed_through() -> None:
    behind = FakeDecoder(SPEC)
    decoder: Decoder = CachedDecoder(behind, 10 * FRAME)
    given, same = (tuple(np.empty((32, 64), np.uint8) for _ in range(3)) for _ in range(2))
    np.testing.assert_array_equal(decoder.yuv_frame(2, given), behind.yuv_frame(2, same))
    stream = decoder.yuv_frames((index, given) for index in (3, 4))
    np.testing.assert_array_equal(next(stream), behind.yuv_frame(3, same))
    decoder.cancel()
    assert list(stream) == []
