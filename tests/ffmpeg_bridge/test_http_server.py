"""The virtual file over HTTP, opened by the real ffmpeg, ffprobe, mpv and PyAV; and spoken to by hand."""

import http.client
import os
import shutil
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from PIL import Image

from ffmpeg_bridge.audio import extract_audio
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.pipe import write_pipe
from ffmpeg_bridge.programs import loopback_environment
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import BitstreamError, GeometryError, OutputError, UnknownNameError
from nervplay.video import Colour, VideoSpec

SPEC = VideoSpec(width=128, height=72, frame_count=120, rate=Fraction(24000, 1001))


@pytest.fixture
def server():
    threads = threading.active_count()
    with VideoServer() as opened:
        yield opened
    assert threading.active_count() == threads


@pytest.fixture
def url(server):
    return server.add(FakeDecoder(SPEC), "clip")


def ffmpeg_indices(*arguments):
    command = ["ffmpeg", "-v", "error", *map(str, arguments), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True, env=loopback_environment())
    assert done.stderr == b""
    return [read_index(frame) for frame in np.frombuffer(done.stdout, np.uint8).reshape(-1, 72, 128, 3)]


@pytest.mark.usefixtures("ffmpeg")
class TestFFmpeg:
    def test_every_frame(self, url):
        assert ffmpeg_indices("-i", url, "-fps_mode", "passthrough") == list(range(120))

    @pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60000/1001", "25", "120"])
    def test_seeking_is_exact(self, server, rate):
        url = server.add(FakeDecoder(replace(SPEC, rate=Fraction(rate), frame_count=1000)), "clip")
        for index in (0, 1, 37, 499, 998):
            # to the microsecond, as options are read: rounded down, so that the frame itself is not before it
            seconds = f"{int(index * 1_000_000 / Fraction(rate)) / 1e6:.6f}"
            assert ffmpeg_indices("-ss", seconds, "-i", url, "-frames:v", 2) == [index, index + 1]

    def test_trim_concat_and_change_of_rate(self, url):
        assert ffmpeg_indices("-i", url, "-vf", "trim=start_frame=40:end_frame=44") == [40, 41, 42, 43]
        graph = "[0:v]trim=end_frame=2[a];[0:v]trim=start_frame=100:end_frame=102,setpts=PTS-STARTPTS[b];[a][b]concat"
        assert ffmpeg_indices("-i", url, "-filter_complex", graph) == [0, 1, 100, 101]
        twice = "[0][1]blend=all_mode=average"
        assert ffmpeg_indices("-i", url, "-i", url, "-filter_complex", twice, "-frames:v", 9) == list(range(9))

    def test_rates_change_as_from_a_file_with_exact_times(self, url, run_ffmpeg, tmp_path):
        run_ffmpeg("-i", url, "-c:v", "libx264", "-preset", "ultrafast", "-qp", 0, tmp_path / "a.mp4")
        for rate in ("25", "30", "48000/1001", "8000/1001", "5"):
            ours = ffmpeg_indices("-i", url, "-vf", f"fps={rate}")
            assert ours == ffmpeg_indices("-i", tmp_path / "a.mp4", "-vf", f"fps={rate}")
            assert len(set(ours)) > 20

    def test_frames_pair_with_those_of_an_mp4(self, url, run_ffmpeg, tmp_path):
        """Times are rounded to the microsecond as FFmpeg rounds them, so that comparisons never slip by a frame."""
        run_ffmpeg("-i", url, "-c:v", "libx264", "-preset", "ultrafast", "-qp", 0, tmp_path / "a.mp4")
        for pair in ((url, tmp_path / "a.mp4"), (tmp_path / "a.mp4", url)):
            command = ["ffmpeg", "-i", pair[0], "-i", pair[1], "-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"]
            done = subprocess.run(list(map(str, command)), capture_output=True, check=True, text=True)
            assert "average:inf" in done.stderr

    def test_as_a_source_filter(self, url):
        escaped = url.replace(":", r"\\:")
        assert ffmpeg_indices("-f", "lavfi", "-i", f"movie={escaped}:seek_point=2.002", "-frames:v", 2) == [48, 49]

    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
    def test_tags_reach_the_file_that_ffmpeg_writes(self, server, pix_fmt, run_ffmpeg, ffprobe, tmp_path):
        colour = Colour(matrix="bt470bg", primaries="bt470bg", transfer="smpte170m")
        url = server.add(FakeDecoder(replace(SPEC, frame_count=5, colour=colour)), "clip", pix_fmt=pix_fmt)
        run_ffmpeg("-i", url, "-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4")
        told = set(
            ffprobe(
                tmp_path / "a.mp4", "stream=pix_fmt,color_range,color_space,color_transfer,color_primaries,r_frame_rate"
            )
        )
        assert told == {
            f"pix_fmt={pix_fmt}",
            "color_range=tv",
            "color_space=bt470bg",
            "color_transfer=smpte170m",
            "color_primaries=bt470bg",
            "r_frame_rate=24000/1001",
        }

    def test_sound_is_the_second_track_and_stays_in_step(self, server, clip, run_ffmpeg, ffprobe, tmp_path):
        """Sound that is copied after seeking lies where it lies in the clip itself."""
        url = server.add(FakeDecoder(replace(SPEC, rate=Fraction(25))), "clip", audio=extract_audio(clip))
        for start in ("0", "1", "2.5", "3.337"):
            sounds = []
            for source in (url, clip):
                wav = tmp_path / f"{start}-{len(sounds)}.wav"
                # with the pictures: of sound alone, FFmpeg leaves out the packet that the cut goes through
                pictures = ("-map", "0:v", "-t", "1", "-f", "null", "-")
                run_ffmpeg("-ss", start, "-i", source, "-map", "0:a", "-t", "1", wav, *pictures)
                sounds.append(wav.read_bytes()[-48_000 * 12 :])
            assert sounds[0] == sounds[1]


@pytest.mark.skipif(not shutil.which("mpv"), reason="mpv is not installed (apt-get install mpv)")
def test_mpv_seeks_exactly(url, tmp_path):
    options = ["--no-config", "--no-ytdl", "--vo=image", "--vo-image-format=png", f"--vo-image-outdir={tmp_path}"]
    command = ["mpv", *options, "--no-audio", "--untimed", "--really-quiet", "--start=2.5025", "--frames=3", url]
    subprocess.run(command, check=True, env=loopback_environment(), stdin=subprocess.DEVNULL, timeout=60)
    indices = [read_index(np.asarray(Image.open(path))) for path in sorted(tmp_path.iterdir())]
    assert indices == [60, 61, 62]


def test_pyav_seeks_exactly(url):
    with av.open(url) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(24000, 1001)
        for index in (100, 3, 119, 0):
            container.seek(round(index * 1_000_000 / SPEC.rate), stream=None)
            frame = next(container.decode(stream))
            assert read_index(frame.to_ndarray(format="rgb24")) == index
            assert round(frame.time * 24000 / 1001, 3) == index


class TestByHand:
    @pytest.fixture
    def whole(self, tmp_path):
        with (tmp_path / "a.mkv").open("wb") as file:
            write_pipe(file, FakeDecoder(SPEC), "mkv")
        return (tmp_path / "a.mkv").read_bytes()

    def ask(self, url, header=None, method="GET", path=None):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        connection.request(method, path or parts.path, headers={"Range": header} if header else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    @pytest.mark.parametrize(
        ("header", "status", "part"),
        [
            (None, 200, slice(None)),
            ("bytes=0-", 206, slice(None)),
            ("bytes=5-9", 206, slice(5, 10)),
            ("bytes=700000-800000", 206, slice(700_000, 800_001)),
            ("bytes=-7", 206, slice(-7, None)),
            ("bytes=1659000-99999999", 206, slice(1_659_000, None)),
            ("bytes=1-2,5-6", 206, slice(None)),
            ("lines=1-2", 206, slice(None)),
        ],
    )
    def test_ranges(self, url, whole, header, status, part):
        answer, body = self.ask(url, header)
        assert body == whole[part]
        assert answer.status == status
        assert int(answer.headers["Content-Length"]) == len(body)
        if status == 206:
            first = len(whole) + part.start if (part.start or 0) < 0 else part.start or 0
            assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(whole)}"

    @pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=9-5", "bytes=-0"])
    def test_ranges_outside(self, url, header):
        answer, body = self.ask(url, header)
        assert (answer.status, body) == (416, b"")

    def test_head_sends_no_body(self, url, whole):
        answer, body = self.ask(url, method="HEAD")
        assert (answer.status, body, int(answer.headers["Content-Length"])) == (200, b"", len(whole))

    def test_other_paths_are_not_found(self, url):
        token = urlsplit(url).path.split("/")[1]
        assert len(token) >= 32
        guess = token[:-1] + ("y" if token.endswith("x") else "x")
        for path in ("/", "/clip.mkv", f"/{token}", f"/{guess}/clip.mkv", "/%E6%97%A5", f"/{token}/../clip.mkv"):
            answer, _ = self.ask(url, path=path)
            assert answer.status == 404

    def test_one_connection_answers_many_questions(self, url, whole):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        for start in (0, 1_000_000, 17):
            connection.request("GET", parts.path, headers={"Range": f"bytes={start}-{start + 99}"})
            assert connection.getresponse().read() == whole[start : start + 100]
        connection.close()

    def test_many_readers_at_once(self, url, whole):
        with ThreadPoolExecutor(6) as pool:
            bodies = list(pool.map(lambda k: self.ask(url, f"bytes={k * 9999}-")[1], range(6)))
        assert all(body == whole[k * 9999 :] for k, body in enumerate(bodies))


def test_only_this_machine_is_served(server, url):
    port = urlsplit(url).port
    assert urlsplit(url).hostname == "127.0.0.1"
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((own, port), timeout=5)


def test_names_of_any_kind(server, ffprobe):
    for name in ("it's 50%|a:b,c [x];\n日本", "C:\\x y", os.fsdecode(b"\xff\xfe"), "?#&%00"):
        url = server.add(FakeDecoder(replace(SPEC, frame_count=2)), name)
        assert url.isascii()
        assert "width=128" in ffprobe(url, "stream=width")


def test_a_waiting_reader_does_not_hold_up_the_end():
    server = VideoServer()
    url = urlsplit(server.add(FakeDecoder(replace(SPEC, frame_count=5000)), "clip"))
    reader = socket.create_connection((url.hostname, url.port))
    reader.sendall(f"GET {url.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reader.recv(8) == b"HTTP/1.1"  # and reads no more: the sending thread is stuck
    idle = socket.create_connection((url.hostname, url.port))
    server.close()
    server.close()
    assert [thread for thread in threading.enumerate() if thread is not threading.main_thread()] == []
    for connection in (reader, idle):
        connection.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((url.hostname, url.port))


def test_a_decoder_that_fails_is_noted_and_the_reader_is_cut_off(server):
    class Failing(FakeDecoder):
        def frame(self, index, out=None):
            if index == 9:
                raise BitstreamError("the weights are gone")
            return super().frame(index, out)

    url = server.add(Failing(SPEC), "clip")
    done = subprocess.run(
        ["ffmpeg", "-i", url, "-f", "null", "-"],
        capture_output=True,
        check=False,
        env=loopback_environment(),
        timeout=60,
    )
    assert b"frame=    9" in done.stderr
    assert isinstance(server.failure, BitstreamError)


def test_refused(server):
    with pytest.raises(UnknownNameError, match="rgb24"):
        server.add(FakeDecoder(SPEC), "clip", pix_fmt="nv12")
    with pytest.raises(GeometryError, match="yuv444p"):
        server.add(FakeDecoder(replace(SPEC, width=129)), "clip", pix_fmt="yuv420p")
    assert server.add(FakeDecoder(replace(SPEC, width=129)), "odd")
    taken = urlsplit(server.add(FakeDecoder(SPEC), "clip")).port
    with pytest.raises(OutputError, match=f"port {taken} cannot be used"):
        VideoServer(port=taken)
