"""How much decoding and seeking a way through a clip costs."""

from dataclasses import replace

import av
import pytest

from ffmpeg_bridge.cursor import FrameCursor
from ffmpeg_bridge.stream_index import build_index

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "2", "-sc_threshold", "0")


class Watched(FrameCursor):
    """A cursor that counts what it does."""

    def __init__(self, path):
        self.opened, self.landed, self.decoded = 0, 0, 0

        def open_stream():
            self.opened += 1
            container = av.open(str(path))
            return container, container.streams.video[0]

        super().__init__(open_stream, build_index(open_stream))
        self.opened = 0

    def _land(self, time, order):
        self.landed += 1
        return super()._land(time, order)

    def _decode(self, packets, first):
        for item in super()._decode(packets, first):
            self.decoded += 1
            yield item


@pytest.fixture
def cursor(encoded):
    made = Watched(encoded(".mp4", *X264, "-g", "20", count=120))
    yield made
    made.close()


def test_rising_order_is_one_pass(cursor):
    times = [cursor.seek(frame).pts for frame in range(120)]
    assert times == sorted(times)
    assert (cursor.opened, cursor.landed, cursor.decoded) == (1, 0, 120)


def test_the_current_frame_costs_nothing(cursor):
    first = cursor.seek(5)
    assert cursor.seek(5) is first
    assert cursor.decoded == 6


def test_a_jump_decodes_from_the_key_frame_on(cursor):
    cursor.seek(0)
    cursor.seek(105)
    assert (cursor.opened, cursor.landed) == (1, 1)
    assert cursor.decoded <= 1 + 6
    cursor.seek(103)
    assert cursor.landed == 2
    assert cursor.decoded <= 1 + 6 + 4


def test_a_short_step_forward_does_not_seek(cursor):
    cursor.seek(18)
    cursor.seek(22)
    assert cursor.landed == 0
    cursor.seek(25)
    cursor.seek(47)
    assert cursor.landed == 0


def test_where_a_seek_lands_is_checked(cursor):
    cursor.seek(0)
    assert cursor._land(40 * 512, order=40)
    assert cursor._land(40 * 512, order=90), "earlier than needed will do"
    assert not cursor._land(40 * 512, order=20), "later will not"


def test_frames_that_the_index_leaves_out_are_passed_over(encoded):
    path = encoded(".mp4", *X264, "-g", "20", count=120)

    def open_stream():
        container = av.open(str(path))
        return container, container.streams.video[0]

    index = build_index(open_stream)
    hidden = replace(index, count=119, times=index.times[:3] + index.times[4:])
    cursor = FrameCursor(open_stream, hidden)
    assert [cursor.seek(frame).pts // 512 for frame in range(5)] == [0, 1, 2, 4, 5]
    cursor.close()


def test_closing_twice_and_going_on(cursor):
    cursor.seek(7)
    cursor.close()
    cursor.close()
    assert cursor.seek(7).pts == 7 * 512
