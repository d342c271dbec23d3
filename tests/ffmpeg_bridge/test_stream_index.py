"""What is known of a stream before a frame of it is decoded."""

from fractions import Fraction

import av
import pytest

from ffmpeg_bridge.stream_index import StreamIndex, build_index, damaged

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "2", "-sc_threshold", "0")


def opener(path, calls=None):
    def open_stream():
        container = av.open(str(path))
        if calls is not None:
            calls.append(container)
        return container, container.streams.video[0]

    return open_stream


def test_packets_suffice_for_an_mp4(encoded):
    calls = []
    index = build_index(opener(encoded(".mp4", *X264), calls))
    assert len(calls) == 1
    assert index.count == len(index.times) == 40
    assert [time // 512 for time in index.times] == list(range(40))
    assert [entry.first_frame for entry in index.entries] == [0, 10, 20, 30]
    assert [entry.order for entry in index.entries] == [0, 10, 20, 30]
    assert len(index.packets) == 40


def test_raw_streams_are_decoded_and_known_by_place(encoded):
    calls = []
    index = build_index(opener(encoded(".h264", *X264), calls))
    assert len(calls) == 2
    assert (index.count, index.times, index.entries) == (40, None, ())
    assert index.entry_before(7) == -1


def test_entry_before(encoded):
    index = build_index(opener(encoded(".mp4", *X264)))
    assert [index.entry_before(frame) for frame in (0, 9, 10, 11, 39)] == [0, 0, 1, 1, 3]


def of_times(*times):
    return StreamIndex(count=len(times), times=times, entries=(), packets={})


@pytest.mark.parametrize(
    ("index", "time_base", "average", "rate"),
    [
        (of_times(0, 1001, 2002), Fraction(1, 30000), Fraction(30), Fraction(30000, 1001)),
        (of_times(-512, 0, 512), Fraction(1, 12800), None, Fraction(25)),
        (of_times(0, 42, 83), Fraction(1, 1000), Fraction(24000, 1001), Fraction(24000, 1001)),
        (of_times(0, 40, 80), Fraction(1, 1000), Fraction(24999, 1000), Fraction(24999, 1000)),
        (of_times(0, 100, 400), Fraction(1, 12800), None, Fraction(64)),
        (of_times(0), Fraction(1, 12800), None, Fraction(25)),
        (of_times(0), Fraction(1, 12800), Fraction(50), Fraction(50)),
        (of_times(0, 1), None, Fraction(12), Fraction(12)),
    ],
)
def test_rate(index, time_base, average, rate):
    assert index.rate(time_base, average) == rate


def test_words_for_damage():
    assert damaged(3) == "frame 3 is damaged; get the file again, or take the frames before it with --frames :3"
    error = av.error.InvalidDataError(1, "Invalid data found")
    assert damaged(3, error).startswith("frame 3 is damaged (Invalid data found);")
