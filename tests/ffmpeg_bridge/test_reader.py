"""Every frame of every kind of file by its index, and what is said of files that cannot be used."""

import hashlib
import os
import random
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ffmpeg_bridge import VideoFileSource, open_source
from nervplay.errors import FrameIndexError, InputError, MissingInputError, UsageError, VideoInputError
from nervplay.video import FrameSource

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
GOP = ("-g", "12", "-bf", "3", "-sc_threshold", "0")

FILES = {
    "mp4 with B-frames": (".mp4", *X264, *GOP),
    "mp4 without B-frames": (".mp4", *X264, "-bf", "0", "-g", "7"),
    "one long GOP": (".mp4", *X264, "-g", "999", "-bf", "2"),
    "open GOP": (".mp4", *X264, *GOP, "-x264-params", "open-gop=1"),
    "gradual refresh": (".mp4", *X264, "-g", "12", "-bf", "0", "-x264-params", "intra-refresh=1"),
    "matroska": (".mkv", *X264, *GOP),
    "transport stream": (".ts", *X264, *GOP),
    "late start": (".mkv", *X264, *GOP, "-output_ts_offset", "7"),
    "raw H.264": (".h264", *X264, *GOP),
    "avi with B-frames": (".avi", *X264, *GOP),
    "mpeg4 with B-frames": (".avi", "-c:v", "mpeg4", "-q:v", "2", "-g", "12", "-bf", "2"),
    "HEVC, open GOP": (
        ".mp4", "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", "log-level=error:keyint=12:bframes=3:open-gop=1",
    ),
    "VP8 with hidden frames": (".webm", "-c:v", "libvpx", "-b:v", "300k", "-auto-alt-ref", "1", "-lag-in-frames", "9"),
    "VP9": (".webm", "-c:v", "libvpx-vp9", "-b:v", "200k", "-g", "12", "-deadline", "realtime"),
    "interlaced": (".ts", *X264, "-flags", "+ildct+ilme", "-g", "12"),
    "MJPEG": (".mov", "-c:v", "mjpeg", "-q:v", "3"),
    "FFV1": (".mkv", "-c:v", "ffv1"),
    "GIF": (".gif",),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_every_frame_by_index(encoded, read_number, kind):
    with open_source(encoded(*FILES[kind])) as source:
        assert isinstance(source, FrameSource)
        assert len(source) == 40
        in_order = [(read_number(frame), hashlib.sha256(frame).digest()) for frame in source.frames()]
        assert [number for number, _ in in_order] == list(range(40))
        jumps = [39, 0, 13, 12, 11, 38, 1, *random.Random(kind).sample(range(40), 20)]
        for index in jumps:
            frame = source.frame(index)
            assert (read_number(frame), hashlib.sha256(frame).digest()) == in_order[index], index
        for index in (-1, 40):
            with pytest.raises(FrameIndexError, match="0 to 39"):
                source.frame(index)


def test_variable_rate(encoded, read_number):
    path = encoded(
        ".mp4", "-vf", "select='not(eq(mod(n,5),1))'", "-vsync", "vfr", *X264, *GOP, "-video_track_timescale", 90000
    )
    kept = [index for index in range(40) if index % 5 != 1]
    with open_source(path) as source:
        assert [read_number(frame) for frame in source.frames()] == kept
        assert [read_number(source.frame(i)) for i in (30, 2, 17)] == [kept[30], kept[2], kept[17]]
        assert 19 < source.spec.rate < 21


def test_edit_list_hides_frames(encoded, run_ffmpeg, read_number, tmp_path):
    cut = tmp_path / "cut.mp4"
    run_ffmpeg("-ss", "0.6", "-i", encoded(*FILES["mp4 with B-frames"]), "-c", "copy", cut)
    with av.open(str(cut)) as container:
        packets = sum(1 for packet in container.demux(video=0) if packet.size)
    with open_source(cut) as source:
        assert packets > len(source) == 25
        assert [read_number(frame) for frame in source.frames()] == list(range(15, 40))
        assert [read_number(source.frame(i)) for i in (24, 0, 11)] == [39, 15, 26]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "25", "12.5", "120"])
def test_rate_is_exact(encoded, suffix, rate):
    with open_source(encoded(suffix, *X264, *GOP, count=16, rate=rate)) as source:
        assert source.spec.rate == Fraction(rate)


def test_sample_aspect(encoded):
    with open_source(encoded(".mp4", "-vf", "setsar=8/9", *X264, count=3)) as source:
        assert source.spec.sample_aspect == Fraction(8, 9)
    with open_source(encoded(".mp4", *X264, count=3)) as source:
        assert source.spec.sample_aspect == 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_the_one_that_ffmpeg_makes(encoded, run_ffmpeg, tmp_path, degrees):
    turned, upright = tmp_path / "turned.mp4", tmp_path / "upright.rgb"
    run_ffmpeg("-i", encoded(".mp4", *X264, count=3), "-c", "copy", "-metadata:s:v", f"rotate={degrees}", turned)
    run_ffmpeg("-i", turned, "-f", "rawvideo", "-pix_fmt", "rgb24", upright)
    with open_source(turned) as source:
        shape = (64, 128) if degrees == 180 else (128, 64)
        assert (source.spec.height, source.spec.width) == shape
        expected = np.fromfile(upright, np.uint8).reshape(3, *shape, 3)[1]
        assert np.abs(source.frame(1).astype(int) - expected).max() <= 3


def test_a_turn_turns_the_sample_aspect(encoded, run_ffmpeg, tmp_path):
    turned = tmp_path / "turned.mp4"
    wide = encoded(".mp4", "-vf", "setsar=8/9", *X264, count=3)
    run_ffmpeg("-i", wide, "-c", "copy", "-metadata:s:v", "rotate=90", turned)
    with open_source(turned) as source:
        assert source.spec.sample_aspect == Fraction(9, 8)


@pytest.mark.parametrize(
    ("tags", "conversion", "colour"),
    [
        ((), "smpte170m tv", "smpte170m smpte170m smpte170m tv"),
        (("bt709", "bt709", "bt709", "tv"), "bt709 tv", "bt709 bt709 bt709 tv"),
        (("bt709", "bt709", "bt709", "pc"), "bt709 pc", "bt709 bt709 bt709 pc"),
        (("bt470bg", "bt470bg", "gamma28", "tv"), "bt470bg tv", "bt470bg bt470bg bt470bg tv"),
        (("bt2020nc", "bt2020", "smpte2084", "tv"), "bt2020nc tv", "bt2020nc bt2020 smpte2084 tv"),
    ],
    ids=["untagged", "709", "709 full", "601", "2020"],
)
def test_colour_tags_are_read_and_honoured(encoded, tags, conversion, colour):
    matrix, levels = conversion.split()
    blue = np.zeros((2, 64, 64, 3), np.uint8)
    blue[...] = (30, 60, 200)
    scale = f"scale=out_color_matrix={matrix.removesuffix('nc')}:out_range={levels}:flags=accurate_rnd+full_chroma_inp"
    names = ("-colorspace", "-color_primaries", "-color_trc", "-color_range")
    options = [part for pair in zip(names, tags, strict=False) for part in pair]
    path = encoded(".mp4", "-vf", scale, *X264, "-crf", "1", *options, frames=blue)
    with open_source(path) as source:
        c = source.spec.colour
        assert f"{c.matrix} {c.primaries} {c.transfer} {c.range}" == colour
        assert np.abs(source.frame(1).astype(int) - blue[0]).max() <= 2


def test_untagged_frames_are_those_that_ffmpeg_makes(clip, tmp_path):
    with open_source(clip) as source:
        assert (len(source), source.spec.rate, source.spec.duration) == (132, 25, Fraction(132, 25))
        assert source.spec.colour.matrix == "bt709"
        frame = source.frame(77)
    with av.open(str(clip)) as container:
        theirs = next(picture for i, picture in enumerate(container.decode(video=0)) if i == 77)
        difference = np.abs(frame.astype(int) - theirs.to_ndarray(format="rgb24"))
    assert difference.max() <= 3  # 0 on x86; FFmpeg's portable code differs by up to 3


def test_folder(tmp_path):
    Image.new("RGB", (6, 4), (9, 8, 7)).save(tmp_path / "0.png")
    source = open_source(tmp_path, rate=Fraction(24))
    assert (len(source), source.spec.rate) == (1, 24)


def test_frames_are_the_callers_own(encoded):
    with open_source(encoded(*FILES["mp4 with B-frames"])) as source:
        first = source.frame(3)
        copy = first.copy()
        first[:] = 0
        np.testing.assert_array_equal(source.frame(3), copy)


def test_names_that_look_like_protocols(encoded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nasty = "http:it's 50%|a,b;[c]\n映像.mp4"
    os.link(encoded(*FILES["mp4 with B-frames"]), nasty)
    with open_source(type(tmp_path)(nasty)) as source:
        assert len(source) == 40


def test_closed(encoded):
    source = open_source(encoded(*FILES["mp4 with B-frames"]))
    source.close()
    source.close()
    with pytest.raises(UsageError, match="is closed"):
        source.frame(0)


def one_line(info):
    return "\n" not in str(info.value)


def test_nothing_there(tmp_path):
    with pytest.raises(MissingInputError, match=r"none\.mp4 does not exist; give") as info:
        open_source(tmp_path / "none.mp4")
    assert one_line(info)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_right_to_read(encoded, tmp_path):
    path = tmp_path / "locked.mp4"
    path.write_bytes(encoded(*FILES["mp4 with B-frames"]).read_bytes())
    path.chmod(0)
    with pytest.raises(MissingInputError, match="rights"):
        open_source(path)


@pytest.mark.parametrize("content", [b"", b"hello\n" * 100, os.urandom(5000)], ids=["empty", "text", "noise"])
def test_no_media_file(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoInputError, match=r"a\.mp4") as info:
        open_source(tmp_path / "a.mp4")
    assert one_line(info)


def test_no_video_stream(run_ffmpeg, tmp_path):
    sound, cover = tmp_path / "sound.m4a", tmp_path / "cover.png"
    Image.new("RGB", (16, 16)).save(cover)
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", sound)
    run_ffmpeg(
        "-i",
        sound,
        "-i",
        cover,
        "-map",
        0,
        "-map",
        1,
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
        tmp_path / "covered.m4a",
    )
    for path in (sound, tmp_path / "covered.m4a"):
        with pytest.raises(VideoInputError, match="has no video stream") as info:
            open_source(path)
        assert one_line(info)


def test_no_frames(tmp_path):
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W16 H16 F25:1 C420mpeg2\n")
    with pytest.raises(VideoInputError, match="no frames"):
        open_source(tmp_path / "a.y4m")


@pytest.mark.parametrize("kind", ["mp4 with B-frames", "matroska", "mpeg4 with B-frames"])
def test_file_cut_short(encoded, tmp_path, kind):
    whole = encoded(*FILES[kind]).read_bytes()
    path = tmp_path / f"short{FILES[kind][0]}"
    path.write_bytes(whole[:-50])
    with pytest.raises(VideoInputError, match="cut short, 50 bytes are missing") as info:
        open_source(path)
    assert one_line(info)


def damage(path, target, number):
    """Copy a file with the payload of the packet of frame `number` overwritten."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        payload = bytes(sorted(packets, key=lambda p: p.pts)[number])
    data = bytearray(path.read_bytes())
    start = data.index(payload)
    data[start + 8 : start + len(payload)] = bytes([0xA5] * (len(payload) - 8))
    target.write_bytes(data)


@pytest.mark.parametrize("kind", ["mp4 with B-frames", "HEVC, open GOP", "MJPEG", "VP9"])
def test_damaged_frame_is_named_and_never_left_out(encoded, tmp_path, read_number, kind):
    target = tmp_path / f"damaged{FILES[kind][0]}"
    damage(encoded(*FILES[kind]), target, 16)
    with open_source(target) as source:
        assert len(source) == 40
        frames, read = source.frames(), []
        with pytest.raises(VideoInputError, match=r"frame 1\d is damaged") as info:
            read.extend(map(read_number, frames))
        assert read == list(range(len(read)))
        assert len(read) >= 10
        assert one_line(info)
        with pytest.raises(VideoInputError, match="is damaged"):
            source.frame(16)
        assert read_number(source.frame(3)) == 3
        assert read_number(source.frame(35)) == 35


def test_dropped_frames_are_found_where_frames_are_counted_by_decoding(encoded, run_ffmpeg, tmp_path):
    damage(encoded(*FILES["HEVC, open GOP"]), tmp_path / "damaged.mp4", 16)
    run_ffmpeg("-i", tmp_path / "damaged.mp4", "-c", "copy", tmp_path / "damaged.hevc")
    with pytest.raises(VideoInputError, match=r"1 of its 40 frames are damaged"):
        open_source(tmp_path / "damaged.hevc")


def test_damage_is_found_where_frames_are_counted_by_decoding(encoded, tmp_path):
    path = encoded(*FILES["raw H.264"])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes([0xA5] * 200)
    (tmp_path / "damaged.h264").write_bytes(data)
    with pytest.raises(VideoInputError, match=r"frame \d+ is damaged"):
        open_source(tmp_path / "damaged.h264")


def test_a_file_that_vanishes_while_in_use(encoded, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encoded(*FILES["mp4 with B-frames"]).read_bytes())
    with open_source(path) as source:
        source.frame(30)
        path.unlink()
        with pytest.raises(VideoInputError, match="can no longer be read"):
            source.frame(0)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@given(st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_all_frames_or_one_line(encoded, tmp_path, suffix, data):
    content = bytearray(encoded(suffix, *X264, *GOP).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    words = ""
    try:
        with open_source(path) as source:
            assert sum(1 for _ in source.frames()) == len(source)
    except InputError as error:
        words = str(error)
    assert "\n" not in words


def test_frames_of_two_sizes(encoded, tmp_path):
    small = np.zeros((5, 32, 64, 3), np.uint8)
    first, second = encoded(".h264", *X264, count=5), encoded(".h264", *X264, frames=small)
    joined = tmp_path / "joined.h264"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    source = VideoFileSource(joined)
    assert len(source) == 10
    with pytest.raises(VideoInputError, match="frame 5 is 64x32 but the first one is 128x64"):
        source.frame(5)
