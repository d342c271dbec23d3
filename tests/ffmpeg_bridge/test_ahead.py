"""Reading ahead in a thread."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge.ahead import frames_ahead
from nervplay.video import ArraySource
from nervplay.video.source import BaseSource
from nervplay.video.spec import VideoSpec


class Slow(BaseSource):
    """Counts what is read; fails at a frame."""

    def __init__(self, count, fail_at=None):
        super().__init__(VideoSpec(width=4, height=4, frame_count=count, rate=Fraction(25)))
        self.read, self.fail_at, self.threads = [], fail_at, set()

    def _read(self, index):
        self.threads.add(threading.current_thread())
        if index == self.fail_at:
            raise ValueError(f"no frame {index}")
        self.read.append(index)
        return np.full((4, 4, 3), index, np.uint8)


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "frames-ahead"]


def test_frames_in_order_from_another_thread():
    source = Slow(30)
    with frames_ahead(source) as frames:
        assert [int(frame[0, 0, 0]) for frame in frames] == list(range(30))
    assert threading.current_thread() not in source.threads
    assert len(source.threads) == 1
    assert not alive()


def test_it_reads_ahead_but_not_far():
    source = Slow(30)
    with frames_ahead(source) as frames:
        next(frames)
        deadline = time.monotonic() + 5
        while len(source.read) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert 4 <= len(source.read) <= 6


def test_an_error_arrives_after_the_frames_before_it():
    taken = []
    with pytest.raises(ValueError, match="no frame 7"), frames_ahead(Slow(30, fail_at=7)) as frames:
        taken.extend(int(frame[0, 0, 0]) for frame in frames)
    assert taken == list(range(7))
    assert not alive()


def test_leaving_early_ends_the_thread():
    source = Slow(1000)
    with frames_ahead(source) as frames:
        next(frames)
    assert not alive()
    assert len(source.read) < 10


def test_arrays():
    clip = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    with frames_ahead(ArraySource(clip)) as frames:
        assert len(list(frames)) == 5
