"""Whole files are whole; short ones are short by as much as is missing."""

import pytest

from ffmpeg_bridge.truncation import missing_bytes

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
KINDS = {
    "mp4": (".mp4", *X264),
    "moov first": (".mp4", *X264, "-movflags", "+faststart"),
    "fragments": (".mp4", *X264, "-movflags", "+frag_keyframe+empty_moov", "-g", "5"),
    "mov": (".mov", *X264),
    "matroska": (".mkv", *X264),
    "webm": (".webm", "-c:v", "libvpx", "-deadline", "realtime"),
    "avi": (".avi", "-c:v", "mpeg4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_and_short(encoded, tmp_path, kind):
    whole = encoded(*KINDS[kind], count=12)
    assert missing_bytes(whole) == 0
    short = tmp_path / whole.name
    data = whole.read_bytes()
    for missing in (1, 37):
        short.write_bytes(data[:-missing])
        if kind != "fragments":  # ends in a random access box, which nothing needs
            assert missing_bytes(short) == missing
    short.write_bytes(data[: len(data) * 2 // 3])
    assert missing_bytes(short) > 0


def test_kinds_that_do_not_state_a_size(encoded, tmp_path):
    stream = encoded(".ts", *X264, count=12)
    assert missing_bytes(stream) == 0
    live = tmp_path / "live.mkv"
    data = bytearray(encoded(".mkv", *X264, count=12).read_bytes())
    segment = data.index(bytes.fromhex("18538067")) + 4
    data[segment : segment + 8] = bytes.fromhex("01ffffffffffffff")
    live.write_bytes(data[:-100])
    assert missing_bytes(live) == 0


def test_rubbish_behind_the_last_box(encoded, tmp_path):
    path = tmp_path / "tail.mp4"
    path.write_bytes(encoded(".mp4", *X264, count=12).read_bytes() + b"\xff" * 11)
    assert missing_bytes(path) == 0


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\x00", b"\0\0\0\1mdat", b"hello, world" * 9]
)
def test_stubs_are_not_judged(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert missing_bytes(tmp_path / "a") >= 0
