"""The cache of raw pictures: bounded, shared, and one decode at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ffmpeg_bridge.frame_cache import FrameCache
from nervplay.decode.testing import FakeDecoder
from nervplay.errors import FrameIndexError

BYTES = 128 * 72 * 3


class Counting(FakeDecoder):
    """Notes which frames are decoded, and fails where two threads decode at once."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self._busy = threading.Lock()

    def frame(self, index, out=None):
        assert self._busy.acquire(blocking=False), "two threads in one decoder"
        try:
            self.asked.append(index)
            return super().frame(index, out)
        finally:
            self._busy.release()


def test_the_pictures_used_last_are_kept():
    source = Counting()
    cache = FrameCache(source, "rgb24", 3 * BYTES)
    with cache.reader() as picture:
        for index in (0, 1, 2, 0, 3, 0, 2, 1):  # 3 pushes 1 out, for 0 was used after it
            assert bytes(picture(index)) == FakeDecoder().frame(index).tobytes()
            assert len(cache) <= 3
    assert source.asked == [0, 1, 2, 3, 1]


def test_a_budget_below_one_picture_keeps_one():
    source = Counting()
    cache = FrameCache(source, "yuv444p10le", 1)
    with cache.reader() as picture:
        picture(4)
        picture(4)
    assert (source.asked, len(cache), cache.frame_bytes) == ([4], 1, 2 * BYTES)


def test_what_a_reader_uses_is_not_overwritten():
    cache = FrameCache(Counting(), "rgb24", BYTES)
    with cache.reader() as slow, cache.reader() as fast:
        held = slow(7)
        for index in range(20):
            fast(index)
        assert bytes(held) == FakeDecoder().frame(7).tobytes()
        assert len(cache) <= 3
    with cache.reader() as picture:
        for index in range(20):
            picture(index)
        assert len(cache) <= 3, "the memory of readers that left is used again"


def test_many_readers_share_one_decoder():
    source = Counting()
    cache = FrameCache(source, "rgb24")

    def read(first):
        with cache.reader() as picture:
            return [bytes(picture((first + step) % 20)) for step in range(20)]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(read, range(8)))
    assert sorted(source.asked) == list(range(20))
    expected = [FakeDecoder().frame(index).tobytes() for index in range(20)]
    assert all(read == expected[first:] + expected[:first] for first, read in enumerate(got))


def test_many_readers_in_little_memory():
    cache = FrameCache(Counting(), "rgb24", 2 * BYTES)

    def read(first):
        with cache.reader() as picture:
            return all(
                bytes(picture((first * 7 + step) % 48)) == FakeDecoder().frame((first * 7 + step) % 48).tobytes()
                for step in range(30)
            )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


def test_a_picture_cannot_be_changed():
    with FrameCache(FakeDecoder(), "yuv420p").reader() as read:
        picture = read(0)
        with pytest.raises(TypeError):
            picture[0] = 1
        assert np.frombuffer(picture, np.uint8).shape == (BYTES // 2,)


def test_errors_come_through_and_leave_the_cache_usable():
    with FrameCache(FakeDecoder(), "yuv420p", BYTES).reader() as picture:
        picture(46)
        with pytest.raises(FrameIndexError):
            picture(48)
        assert picture(47)
