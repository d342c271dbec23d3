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
    for index in (0, 1, 2, 0, 3, 0, 2, 1):  # 3 pushes 1 out, for 0 was used after it
        assert bytes(cache.picture(index)) == FakeDecoder().frame(index).tobytes()
        assert len(cache) <= 3
    assert source.asked == [0, 1, 2, 3, 1]


def test_a_budget_below_one_picture_keeps_one():
    source = Counting()
    cache = FrameCache(source, "yuv444p10le", 1)
    cache.picture(4)
    cache.picture(4)
    assert (source.asked, len(cache), cache.frame_bytes) == ([4], 1, 2 * BYTES)


def test_many_readers_share_one_decoder():
    source = Counting()
    cache = FrameCache(source, "rgb24")
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda index: bytes(cache.picture(index % 20)), range(160)))
    assert sorted(source.asked) == list(range(20))
    assert got[140] == FakeDecoder().frame(0).tobytes()


def test_a_picture_cannot_be_changed():
    picture = FrameCache(FakeDecoder(), "yuv420p").picture(0)
    with pytest.raises(TypeError):
        picture[0] = 1
    assert np.frombuffer(picture, np.uint8).shape == (BYTES // 2,)


def test_errors_come_through_and_leave_the_cache_usable():
    cache = FrameCache(FakeDecoder(), "yuv420p")
    with pytest.raises(FrameIndexError):
        cache.picture(48)
    assert cache.picture(47)
