"""Frames that are kept."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice

import numpy as np
import pytest
import torch

from nervplay.decode import Decoder, NativeDecoder, TorchDecoder
from nervplay.decode.cache import CachedDecoder
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import CapabilityError, FrameIndexError, UsageError
from nervplay.models import build_model, resolve_preset
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


def test_a_stream_asks_for_what_is_not_there() -> None:
    behind = Counting()
    decoder = CachedDecoder(behind, 10 * FRAME)
    for indices in ([2, 4], [1, 2, 3, 4, 2, 0, 5], range(6)):
        for index, frame in zip(indices, decoder.frames(indices), strict=True):
            np.testing.assert_array_equal(frame, FakeDecoder(SPEC).frame(index))
            frame[:] = 0
    assert behind.asked == [2, 4, 1, 3, 0, 5]
    assert next(islice(decoder.frames(cycle([0, 1])), 100, None)).any(), "kept frames are yielded as they are asked for"
    with pytest.raises(FrameIndexError):
        list(decoder.frames([0, 6]))


def test_a_stream_decodes_ahead() -> None:
    entry, preset = resolve_preset("nerv-tiny")
    model = build_model(entry.name, preset.configure(64, 32, 6)).eval()
    pulled: list[int] = []

    def indices() -> Iterator[int]:
        for index in (3, 1, 2, 1):
            pulled.append(index)
            yield index

    with (
        CachedDecoder(NativeDecoder(model, SPEC), 10 * FRAME) as decoder,
        TorchDecoder(model, SPEC, device=torch.device("cpu")) as exact,
    ):
        stream = decoder.frames(indices())
        frames = [next(stream)]
        assert pulled == [3, 1], "the second one is under way"
        frames += stream
        assert decoder.kept_bytes == 3 * FRAME
        for index, frame in zip((3, 1, 2, 1), frames, strict=True):
            assert np.abs(frame.astype(int) - exact.frame(index)).max() <= 1


def test_a_precision_that_changes_meanwhile_keeps_nothing_wrong() -> None:
    class Changing(Counting):
        def frame(self, index: int, out: np.ndarray | None = None) -> np.ndarray:
            made = super().frame(index, out)
            if len(self.asked) == 1:
                decoder.set_precision("int8")  # as another thread may
            return made

    behind = Changing()
    decoder = CachedDecoder(behind, 10 * FRAME)
    for _ in range(3):
        decoder.frame(1)
    assert behind.asked == [1, 1], "of the first nobody knows what it was made in"


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
