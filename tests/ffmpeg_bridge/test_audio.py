"""Sound copied packet by packet."""

import hashlib
from fractions import Fraction

import av
import pytest

from ffmpeg_bridge.audio import audio_packets, cut_audio, extract_audio
from nervplay.bitstream.layout import Audio
from nervplay.errors import BitstreamError, MissingInputError, VideoInputError


def description(packets):
    return [
        (p.pts, p.dts, p.duration, hashlib.md5(bytes(p)).hexdigest(), [bytes(data) for data in p.iter_sidedata()])
        for p in packets
        if p.size
    ]


def of_file(path):
    with av.open(str(path)) as container:
        return description(container.demux(audio=0))


def of_audio(audio):
    with audio_packets(audio) as (_, packets):
        return description(packets)


@pytest.fixture(scope="session")
def sounding(run_ffmpeg, tmp_path_factory):
    """Two seconds of moving picture and sweeping tone."""

    def make(codec, suffix, *options):
        path = tmp_path_factory.mktemp("sound") / f"clip{suffix}"
        picture = "libvpx" if suffix == ".webm" else "libx264"
        run_ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2"),
            *("-f", "lavfi", "-i", "aevalsrc=sin(900*t*t):sample_rate=48000:duration=2"),
            # one thread: on two busy cores libvpx's threads have waited for each other for minutes
            *("-pix_fmt", "yuv420p", "-c:v", picture, "-threads", "1", "-c:a", codec, *options, path),
        )
        return path

    return make


@pytest.mark.parametrize(
    ("codec", "suffix", "name"),
    [("aac", ".mp4", "aac"), ("libmp3lame", ".mp4", "mp3"), ("ac3", ".mov", "ac3"), ("pcm_s16le", ".mov", "pcm_s16le")],
)
def test_all_of_it_is_identical(sounding, codec, suffix, name):
    path = sounding(codec, suffix)
    audio = extract_audio(path)
    assert (audio.container, audio.codec) == ("mp4", name)
    original = of_file(path)
    assert of_audio(audio) == original
    if codec == "aac":
        assert original[0][0] == -1024
        assert original[0][4], "the mark that skips the priming"


def test_the_sample_clip(clip):
    audio = extract_audio(clip)
    assert of_audio(audio) == of_file(clip)
    assert len(of_audio(audio)) == 249
    assert extract_audio(clip).data == audio.data, "the same bytes every time"


def test_vorbis_goes_into_matroska(sounding):
    path = sounding("libvorbis", ".webm")
    audio = extract_audio(path)
    assert (audio.container, audio.codec) == ("matroska", "vorbis")
    assert of_audio(audio) == of_file(path)


def test_a_part_is_cut_at_packets_and_keeps_its_place(sounding):
    path = sounding("aac", ".mp4")
    whole = of_file(path)
    part = of_audio(extract_audio(path, Fraction(1, 2), Fraction(1)))
    by_content = {packet[3]: packet[0] for packet in whole}
    assert all(by_content[packet[3]] - packet[0] == 24000 for packet in part)
    assert -1024 < part[0][0] <= 0, "the packet that sounds at the start is there"
    assert part[-1][0] < 48000 <= part[-1][0] + 1024, "and the one that sounds at the end, but no more"


def test_a_part_in_matroska_keeps_its_place_too(sounding):
    path = sounding("libvorbis", ".webm")
    with av.open(str(path)) as container:
        shift = container.streams.video[0].start_time + 500
    part = of_audio(extract_audio(path, Fraction(1, 2), Fraction(1)))
    whole = {}
    for packet in of_file(path):
        whole.setdefault(packet[3], []).append(packet[0] - shift)
    assert all(packet[0] in whole[packet[3]] for packet in part)
    assert 0 <= part[0][0] < 30
    assert 970 < part[-1][0] < 1000


def test_time_counts_from_the_first_frame(sounding, run_ffmpeg, tmp_path):
    late = tmp_path / "late.ts"
    run_ffmpeg("-i", sounding("aac", ".mp4"), "-c", "copy", "-output_ts_offset", "5", late)
    with av.open(str(late)) as container:
        assert container.streams.video[0].start_time * container.streams.video[0].time_base > 5
    times = [packet[0] for packet in of_audio(extract_audio(late))]
    assert -1025 <= times[0] <= 0
    with av.open(str(late)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        offset = sound.start_time * sound.time_base - video.start_time * video.time_base
    assert abs(Fraction(times[0], 48000) - offset) < Fraction(1, 1000)


def test_no_sound(encoded, tmp_path):
    assert extract_audio(encoded(".mp4", "-c:v", "mpeg4", count=3)) is None
    assert extract_audio(tmp_path) is None


def test_a_part_beyond_the_sound(sounding):
    assert extract_audio(sounding("aac", ".mp4"), Fraction(100), Fraction(1)) is None


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingInputError, match="does not exist"):
        extract_audio(tmp_path / "none.mp4")
    (tmp_path / "a.mp4").write_bytes(b"hello" * 100)
    with pytest.raises(VideoInputError, match="--audio none"):
        extract_audio(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (Audio(data=b"hello" * 99, container="mp4", codec="aac"), "is damaged"),
        (Audio(data=b"", container="matroska", codec="aac"), "is damaged"),
        (Audio(data=b"", container="concat", codec="aac"), "container 'concat'"),
    ],
)
def test_damaged_sound(audio, words):
    with pytest.raises(BitstreamError, match=words), audio_packets(audio):
        pass


def test_pictures_instead_of_sound(encoded):
    data = encoded(".mp4", "-c:v", "mpeg4", count=3).read_bytes()
    with pytest.raises(BitstreamError, match="no audio"), audio_packets(Audio(data=data, container="mp4", codec="aac")):
        pass


def test_a_part_of_a_sound(clip):
    whole = extract_audio(clip)
    part = cut_audio(whole, Fraction(2), Fraction(1))
    direct = extract_audio(clip, Fraction(2), Fraction(1))
    assert part is not None
    with audio_packets(part) as (_, ours), audio_packets(direct) as (_, theirs):
        assert [(p.pts, bytes(p)) for p in ours] == [(p.pts, bytes(p)) for p in theirs]
    assert cut_audio(whole, Fraction(100), Fraction(1)) is None
