"""Segments that are opened in advance: in time, few, silently, and never what nobody plays."""

import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nervplay.bitstream import Segment
from nervplay.decode import Decoder
from nervplay.decode.calibration import Progress
from nervplay.decode.segmented import SegmentedDecoder
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import CapabilityError, Interrupted, UsageError
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=40, rate=Fraction(24))
LENGTH = 8
WAIT = 30
"""Seconds that a thread may take; far more than it needs."""


class Opener:
    """Opens fake segments and remembers how. `gate` holds up what is opened in another thread than the test's."""

    def __init__(self, work: Callable[[Progress], None] = lambda _told: None) -> None:
        self.opened: list[tuple[int, str, bool]] = []
        self.decoders: dict[int, Decoder] = {}
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()
        self._work, self._main = work, threading.get_ident()

    def __call__(self, number: int, precision: str, told: Progress) -> Decoder:
        own = threading.get_ident() == self._main
        self.opened.append((number, precision, own))
        if not own:
            self.begun.set()
            assert self.gate.wait(WAIT)
        self._work(told)
        decoder = FakeDecoder(replace(SPEC, frame_count=LENGTH))
        decoder.set_precision(precision)
        self.decoders[number] = decoder
        return decoder

    def clip(self, progress: Progress | None = None) -> SegmentedDecoder:
        """Five segments of eight frames."""
        segments = tuple(Segment(first_frame=LENGTH * i, frame_count=LENGTH, tensors={}) for i in range(5))
        return SegmentedDecoder(segments, SPEC, self, progress=progress)


def test_the_next_segment_is_opened_from_the_middle() -> None:
    opener = Opener()
    with opener.clip() as decoder:
        for index in range(4):
            decoder.frame(index)
        assert [number for number, _, _ in opener.opened] == [0]
        decoder.frame(4)
        assert opener.begun.wait(WAIT)
        assert opener.opened[1:] == [(1, "fp32", False)]
        for index in range(5, SPEC.frame_count):
            decoder.frame(index)
        assert [(number, own) for number, _, own in opener.opened] == [(0, True), *((i, False) for i in range(1, 5))]


def test_jumps_and_steps_back_open_nothing() -> None:
    opener = Opener()
    with opener.clip() as decoder:
        for index in (7, 22, 38, 15, 14, 13):
            decoder.frame(index)
        assert [number for number, _, _ in opener.opened] == [0, 2, 4, 1]
        assert all(own for _, _, own in opener.opened)


@pytest.mark.parametrize("kind", ["frames", "yuv_frames"])
def test_streams_open_in_advance_and_give_the_same(kind: str) -> None:
    opener = Opener()
    expected = FakeDecoder(replace(SPEC, frame_count=LENGTH))
    with opener.clip() as decoder:
        if kind == "frames":
            for index, frame in enumerate(decoder.frames()):
                np.testing.assert_array_equal(frame, expected.frame(index % LENGTH))
        else:
            fresh = [tuple(np.empty((32, 64), np.uint8) for _ in range(3)) for _ in range(SPEC.frame_count)]
            same = tuple(np.empty((32, 64), np.uint8) for _ in range(3))
            for index, planes in enumerate(decoder.yuv_frames(enumerate(fresh))):
                np.testing.assert_array_equal(planes, expected.yuv_frame(index % LENGTH, same))
    assert index == SPEC.frame_count - 1
    assert sorted(number for number, _, _ in opener.opened) == [0, 1, 2, 3, 4], "each once"


def test_a_frame_waits_for_its_segment_and_the_precision_is_the_newest() -> None:
    opener = Opener()
    opener.gate.clear()
    with opener.clip() as decoder:
        for index in range(3, 6):
            decoder.frame(index)
        assert opener.begun.wait(WAIT)
        decoder.set_precision("int8")
        threading.Timer(0.05, opener.gate.set).start()
        decoder.frame(8)
        assert opener.opened == [(0, "fp32", True), (1, "fp32", False)]
        assert {opener.decoders[0].precision, opener.decoders[1].precision} == {"int8"}


def test_what_nobody_waits_for_is_silent() -> None:
    heard: list[tuple[int, int]] = []
    half = threading.Event()
    gate = threading.Event()

    def calibrate(told: Progress) -> None:
        told(1, 2)
        half.set()
        assert gate.wait(WAIT)
        told(2, 2)

    opener = Opener(calibrate)
    gate.set()
    with opener.clip(lambda done, total: heard.append((done, total))) as decoder:
        assert heard == [(1, 2), (2, 2)], "somebody waits for the first one"
        half.clear(), gate.clear()
        for index in range(3, 6):
            decoder.frame(index)
        assert half.wait(WAIT)
        assert len(heard) == 2
        threading.Timer(0.05, gate.set).start()
        decoder.frame(8)
        assert heard[2:] == [(2, 2)], "from when it is waited for"


def test_closing_ends_what_is_on_its_way() -> None:
    ended = threading.Event()

    def calibrate(told: Progress) -> None:
        if len(opener.opened) == 1:
            return
        pause = threading.Event()
        try:
            for step in range(100 * WAIT):
                told(step, 100 * WAIT)
                pause.wait(0.01)
        except Interrupted:
            ended.set()
            raise

    opener = Opener(calibrate)
    decoder = opener.clip()
    for index in range(3, 6):
        decoder.frame(index)
    assert opener.begun.wait(WAIT)
    decoder.close()
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nervplay-segment")]
    with pytest.raises(UsageError, match="closed"):
        decoder.frame(0)


def test_one_that_came_for_nobody_is_closed() -> None:
    opener = Opener()
    decoder = opener.clip()
    for index in range(3, 6):
        decoder.frame(index)
    assert opener.begun.wait(WAIT)
    decoder.close()
    for number in {0} | opener.decoders.keys():
        with pytest.raises(UsageError, match="closed"):
            opener.decoders[number].frame(0)


def test_a_segment_that_cannot_be_opened_says_so_when_it_is_its_turn() -> None:
    def refuse(_told: Progress) -> None:
        if len(opener.opened) > 1:
            raise CapabilityError("no such thing here; do without")

    opener = Opener(refuse)
    with opener.clip() as decoder:
        for index in range(3, 8):
            decoder.frame(index)
        for _ in range(2):
            with pytest.raises(CapabilityError, match="do without"):
                decoder.frame(8)
        decoder.frame(7)
    assert [own for _, _, own in opener.opened] == [True, False, True, True]
