"""Exported files as ffprobe and our own reader see them, and that failures leave nothing behind."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ffmpeg_bridge import export_video, extract_audio, open_source
from nervplay.bitstream import folder_beside
from nervplay.bitstream.layout import Audio
from nervplay.errors import (
    CapabilityError,
    GeometryError,
    Interrupted,
    OutputError,
    OutputExistsError,
    UsageError,
)
from nervplay.video import ArraySource, Colour, VideoSpec

FAST = {"preset": "ultrafast"}


def packets(path):
    with av.open(str(path)) as container:
        return [(p.pts, p.dts, hashlib.md5(bytes(p)).hexdigest()) for p in container.demux(audio=0) if p.size]


def test_what_an_export_is(numbered, ffprobe, read_number, tmp_path):
    seen, out = [], tmp_path / "out.mp4"
    report = export_video(numbered(20), out, progress=lambda done, total: seen.append((done, total)), **FAST)
    assert seen == [(done, 20) for done in range(1, 21)]
    assert (report.path, report.size, report.frame_count) == (out, out.stat().st_size, 20)
    assert (report.duration, report.encoder, report.pix_fmt, report.audio) == (
        Fraction(4, 5),
        "libx264",
        "yuv420p",
        None,
    )
    entries = (
        "codec_name,pix_fmt,color_range,color_space,color_transfer,color_primaries,nb_frames,duration,r_frame_rate"
    )
    assert sorted(ffprobe(out, f"stream={entries}")) == sorted(
        [
            "codec_name=h264",
            "pix_fmt=yuv420p",
            "color_range=tv",
            "color_space=bt709",
            "color_transfer=bt709",
            "color_primaries=bt709",
            "r_frame_rate=25/1",
            "duration=0.800000",
            "nb_frames=20",
        ]
    )
    with open_source(out) as source:
        assert [read_number(frame) for frame in source.frames()] == list(range(20))
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "fast start"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "25", "60", "15/2"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_time_is_exact(numbered, ffprobe, tmp_path, rate, suffix):
    out, rate = tmp_path / f"out{suffix}", Fraction(rate)
    export_video(numbered(24, rate), out, **FAST)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        times = sorted(p.pts * stream.time_base for p in container.demux(stream) if p.size)
    if suffix == ".mkv":
        assert all(abs((time - times[0]) - index / rate) <= Fraction(1, 1000) for index, time in enumerate(times))
    else:
        assert times == [index / rate for index in range(24)]
        assert ffprobe(out, "stream=duration") == [f"duration={float(24 / rate):.6f}"]
    with open_source(out) as source:
        assert (source.spec.rate, len(source)) == (rate, 24)


SOLID = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (200, 150, 120),
    (30, 60, 90),
]


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_solid_colours_survive(tmp_path, matrix, pix_fmt):
    frames = np.empty((len(SOLID), 32, 32, 3), np.uint8)
    frames[:] = np.array(SOLID, np.uint8)[:, None, None]
    colour = Colour(matrix=matrix, primaries="bt709", transfer="smpte170m")
    spec = VideoSpec(width=32, height=32, frame_count=len(SOLID), rate=Fraction(25), colour=colour)
    export_video(ArraySource(frames, spec=spec), tmp_path / "out.mp4", crf=1, pix_fmt=pix_fmt)
    with open_source(tmp_path / "out.mp4") as source:
        assert source.spec.colour == colour
        for frame, expected in zip(source.frames(), SOLID, strict=True):
            assert np.abs(frame.astype(int) - expected).max() <= 1


def test_full_range_and_sample_aspect(numbered, ffprobe, tmp_path):
    clip = numbered(3)
    spec = replace(clip.spec, colour=Colour(range="pc"), sample_aspect=Fraction(8, 9))
    source = ArraySource(np.stack(list(clip.frames())), spec=spec)
    export_video(source, tmp_path / "out.mp4", **FAST)
    assert ffprobe(tmp_path / "out.mp4", "stream=color_range,sample_aspect_ratio") == [
        "sample_aspect_ratio=8:9",
        "color_range=pc",
    ]
    with open_source(tmp_path / "out.mp4") as back:
        assert back.spec == spec


def test_sound_is_identical_and_interleaved(clip, numbered, tmp_path):
    report = export_video(numbered(132), tmp_path / "out.mp4", audio=extract_audio(clip), **FAST)
    assert report.audio == "aac"
    assert packets(tmp_path / "out.mp4") == packets(clip)


def test_sound_lies_beside_its_pictures(numbered, run_ffmpeg, tmp_path):
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=40", "-c:a", "aac", tmp_path / "tone.mp4")
    out = tmp_path / "out.mp4"
    export_video(numbered(200, Fraction(5)), out, audio=extract_audio(tmp_path / "tone.mp4"), **FAST)
    with av.open(str(out)) as container:
        places = sorted((p.pos, p.stream.type, p.dts * p.time_base) for p in container.demux() if p.size)
    last = {"video": Fraction(0), "audio": Fraction(0)}
    for _, kind, time in places:
        last[kind] = time
        assert abs(last["video"] - last["audio"]) < 2


def test_priming_survives_the_whole_way(run_ffmpeg, numbered, tmp_path):
    original = tmp_path / "original.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", original)
    export_video(numbered(25), tmp_path / "out.mp4", audio=extract_audio(original), **FAST)
    assert packets(tmp_path / "out.mp4") == packets(original)
    assert packets(original)[0][0] == -1024
    export_video(numbered(25), tmp_path / "out.mkv", audio=extract_audio(original), **FAST)
    assert [p[2] for p in packets(tmp_path / "out.mkv")] == [p[2] for p in packets(original)]


def test_the_real_ffmpeg_decodes_it(numbered, run_ffmpeg, tmp_path):
    export_video(numbered(20), tmp_path / "out.mp4", **FAST)
    run_ffmpeg("-xerror", "-i", tmp_path / "out.mp4", "-f", "rawvideo", "-pix_fmt", "gray", tmp_path / "out.raw")
    assert (tmp_path / "out.raw").stat().st_size == 20 * 128 * 64


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp3", "out.mp4.part"])
def test_endings(numbered, tmp_path, name):
    with pytest.raises(UsageError, match=r"one of \.mp4, \.mov, \.mkv, \.webm, \.gif, \.png"):
        export_video(numbered(2), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


class Untouchable(ArraySource):
    """A clip that must not be read."""

    def _read(self, index):
        raise AssertionError("read before the checks were done")


def untouchable(width=128, height=64):
    return Untouchable(np.zeros((2, height, width, 3), np.uint8))


def test_everything_is_checked_before_work_begins(tmp_path):
    out = tmp_path / "out.mp4"
    with pytest.raises(GeometryError, match="yuv444p"):
        export_video(untouchable(127), out)
    with pytest.raises(CapabilityError, match="these open: libx264"):
        export_video(untouchable(), out, encoder="h266")
    with pytest.raises(UsageError, match="preset"):
        export_video(untouchable(), out, preset="none such")
    with pytest.raises(UsageError, match=r"mp4 cannot hold what utvideo makes; write \.mkv"):
        export_video(untouchable(), out, encoder="utvideo")
    with pytest.raises(OutputError, match="does not exist"):
        export_video(untouchable(), tmp_path / "no" / "out.mp4")
    out.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        export_video(untouchable(), out)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert out.read_bytes() == b"precious"


def test_overwrite(numbered, tmp_path):
    out = tmp_path / "out.mkv"
    out.write_bytes(b"old")
    export_video(numbered(3), out, overwrite=True, **FAST)
    assert len(open_source(out)) == 3


def test_sound_that_the_container_cannot_hold(numbered, run_ffmpeg, tmp_path):
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.3", "-c:a", "pcm_u8", tmp_path / "a.wav")
    audio = extract_audio(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="cannot hold sound in pcm_u8"):
        export_video(numbered(3), tmp_path / "out.mp4", audio=audio, **FAST)
    assert not (tmp_path / "out.mp4").exists()
    export_video(numbered(3), tmp_path / "out.mkv", audio=audio, **FAST)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("decoder broke"), MemoryError])
def test_failures_leave_nothing(numbered, tmp_path, error):
    def fail(done, total):
        if done == 5:
            raise error

    out = tmp_path / "out.mp4"
    with pytest.raises(error if isinstance(error, type) else type(error)):
        export_video(numbered(20), out, progress=fail, **FAST)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_stops_early_is_no_export(numbered, tmp_path):
    source = numbered(20)
    source.frames = lambda: (source.frame(index) for index in range(7))
    with pytest.raises(Interrupted, match="stopped after 7 of 20 frames"):
        export_video(source, tmp_path / "out.mp4", **FAST)
    assert list(tmp_path.iterdir()) == []


def test_damaged_sound_leaves_nothing(numbered, tmp_path):
    with pytest.raises(ValueError, match="damaged"):
        export_video(numbered(3), tmp_path / "out.mp4", audio=Audio(data=b"x" * 99, container="mp4", codec="aac"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.mkv", "out_%d.png"])
def test_what_a_killed_export_left_goes_with_the_next(numbered, tmp_path, name):
    out = tmp_path / name
    with folder_beside(out) as folder:
        left = folder.with_name(f"{folder.name}-of-one-that-was-killed")
        left.mkdir() if "%" in name else left.touch()
        export_video(numbered(2), out)
        assert not left.exists()
        assert folder.is_dir(), "its writer lives"


SMALL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from ffmpeg_bridge import export_video
from nervplay.errors import OutputError
from nervplay.video import ArraySource
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
noise = np.random.default_rng(0).integers(0, 256, (30, 128, 128, 3), np.uint8)
try:
    out = Path(sys.argv[1])
    quality = {"crf": 1, "preset": "ultrafast"} if out.suffix in (".mp4", ".mkv") else {}
    export_video(ArraySource(noise), out, **quality)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif", "out_%d.png"])
def test_a_disk_that_fills_up(tmp_path, name):
    out = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, out], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out} was not written: ")
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(numbered):
    with pytest.raises(OutputError):
        export_video(numbered(2), Path("/sys/out.mp4"))


def tags(ffprobe, path):
    entries = "pix_fmt,color_range,color_space,color_transfer,color_primaries"
    found = dict(line.split("=") for line in ffprobe(path, f"stream={entries}"))
    return [found[name] for name in entries.split(",")]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("standard", ["bt709", "smpte170m"])
def test_all_four_tags_in_every_pixel_format(numbered, ffprobe, tmp_path, pix_fmt, standard):
    clip, colour = numbered(2), Colour(matrix=standard, primaries=standard, transfer=standard)
    source = ArraySource(np.stack(list(clip.frames())), spec=replace(clip.spec, colour=colour))
    for out in (tmp_path / "out.mp4", tmp_path / "out.mkv"):
        export_video(source, out, pix_fmt=pix_fmt, **FAST)
        assert tags(ffprobe, out) == [pix_fmt, "tv", standard, standard, standard]


@pytest.mark.parametrize("encoder", ["libx265", "libsvtav1", "libvpx-vp9"])
def test_tags_and_time_of_other_encoders(numbered, ffprobe, tmp_path, encoder):
    out, rate = tmp_path / "out.mp4", Fraction(24000, 1001)
    preset = {"libx265": "ultrafast", "libsvtav1": "12"}.get(encoder)
    export_video(numbered(6, rate), out, encoder=encoder, preset=preset)
    assert tags(ffprobe, out) == ["yuv420p", "tv", "bt709", "bt709", "bt709"]
    assert ffprobe(out, "stream=duration,r_frame_rate") == [
        "r_frame_rate=24000/1001",
        f"duration={float(6 / rate):.6f}",
    ]
    if encoder == "libx265":
        assert ffprobe(out, "stream=codec_tag_string") == ["codec_tag_string=hvc1"]


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("a.mp4", None),
        ("a.mkv", None),
        ("a.webm", None),
        ("a.mkv", "libx265"),
        ("a.mov", "libx264rgb"),
        ("f_%d.png", None),
    ],
)
def test_lossless_is_bit_for_bit(ffprobe, tmp_path, name, encoder):
    frames = np.random.default_rng(5).integers(0, 256, (4, 47, 63, 3), dtype=np.uint8)
    report = export_video(ArraySource(frames), tmp_path / name, encoder=encoder, lossless=True)
    source = open_source(tmp_path if name.endswith(".png") else tmp_path / name)
    with source:
        for back, frame in zip(source.frames(), frames, strict=True):
            np.testing.assert_array_equal(back, frame)
    if not name.endswith(".png"):
        assert tags(ffprobe, tmp_path / name)[1:3] == ["pc", "gbr"]
    assert report.size == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_webm(numbered, ffprobe, tmp_path):
    export_video(numbered(10), tmp_path / "out.webm")
    assert ffprobe(tmp_path / "out.webm", "stream=codec_name,color_space") == ["codec_name=vp9", "color_space=bt709"]
    assert len(open_source(tmp_path / "out.webm")) == 10


def test_gif(numbered, clip, read_number, tmp_path):
    report = export_video(numbered(12), tmp_path / "out.gif", audio=extract_audio(clip))
    assert (report.audio, report.pix_fmt, report.frame_count) == (None, "pal8", 12)
    with open_source(tmp_path / "out.gif") as source:
        assert [read_number(frame) for frame in source.frames()] == list(range(12))
        assert source.spec.rate == 25
        error = source.frame(3).astype(int) - numbered(12).frame(3)
    assert np.abs(error).mean() < 6
    with pytest.raises(UsageError, match="at most 50 frames per second, this clip has 60"):
        export_video(numbered(3, Fraction(60)), tmp_path / "fast.gif")


def test_pictures(numbered, tmp_path):
    report = export_video(numbered(3), tmp_path / "it's 50 %03d.png")
    names = [f"it's 50 {index:03}.png" for index in range(3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (report.frame_count, report.encoder) == (3, "png")
    with open_source(tmp_path) as source:
        for back, frame in zip(source.frames(), numbered(3).frames(), strict=True):
            np.testing.assert_array_equal(back, frame)
    (tmp_path / names[1]).write_bytes(b"precious")
    (tmp_path / names[0]).unlink()
    with pytest.raises(OutputExistsError, match=r"001\.png exists"):
        export_video(untouchable(), tmp_path / "it's 50 %03d.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == names[1:]
    export_video(numbered(3), tmp_path / "it's 50 %03d.png", overwrite=True)
    assert len(open_source(tmp_path)) == 3
    with pytest.raises(UsageError, match="give the place"):
        export_video(untouchable(), tmp_path / "one.png")
    with pytest.raises(OutputError, match="choose another folder"):
        export_video(untouchable(), tmp_path / "none" / "%d.png")


def test_a_filter_changes_size_and_rate(numbered, ffprobe, tmp_path):
    report = export_video(numbered(10, Fraction(25)), tmp_path / "out.mp4", filter_graph="scale=64:32,fps=50", **FAST)
    assert (report.frame_count, report.duration) == (20, Fraction(2, 5))
    assert tags(ffprobe, tmp_path / "out.mp4") == ["yuv420p", "tv", "bt709", "bt709", "bt709"]
    assert ffprobe(tmp_path / "out.mp4", "stream=width,height,r_frame_rate,duration,nb_frames") == [
        "width=64",
        "height=32",
        "r_frame_rate=50/1",
        "duration=0.400000",
        "nb_frames=20",
    ]
    export_video(numbered(6), tmp_path / "out.gif", filter_graph="crop=64:64:0:0")
    assert open_source(tmp_path / "out.gif").spec.width == 64


def test_filters_that_cannot_be(tmp_path, numbered):
    for graph, words in (("nosuch", "nosuch"), ("scale=63:33", "63x33"), ("select=0", "no frame through")):
        with pytest.raises(UsageError, match=words):
            export_video(numbered(3), tmp_path / "out.mp4", filter_graph=graph)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ['it\'s a "test", 50%.mp4', "名前 映画.mkv", "a:b;c[d].mov", "line\nbreak.webm", "-y.mp4"]
)
def test_any_name(numbered, tmp_path, name):
    export_video(numbered(3), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(open_source(tmp_path / name)) == 3


@pytest.mark.parametrize("name", ["out.gif", "out_%d.png", "out.webm"])
def test_failures_of_other_targets_leave_nothing(numbered, tmp_path, name):
    def fail(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_video(numbered(10), tmp_path / name, progress=fail)
    assert list(tmp_path.iterdir()) == []
