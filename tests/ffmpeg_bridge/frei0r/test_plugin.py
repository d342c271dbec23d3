"""The plug-in in the real ffmpeg, mpv and melt: right frames and colours, errors that arrive, nothing left behind."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ffmpeg_bridge.frei0r import compare_graph, source_graph
from nervplay.decode.testing import FakeDecoder, read_index
from nervplay.errors import BitstreamError
from nervplay.video import Colour, VideoSpec

SPEC = VideoSpec(width=128, height=72, frame_count=60, rate=Fraction(30000, 1001))
pytestmark = pytest.mark.usefixtures("ffmpeg")


def children(word):
    """The processes whose command line holds a word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def gone(word):
    deadline = time.monotonic() + 30
    while children(word):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("rate", ["24", "24000/1001", "25", "30000/1001", "60000/1001", "120"])
def test_every_frame_once_and_then_the_end(rate, served, indices):
    spec = replace(SPEC, rate=Fraction(rate), frame_count=150)
    graph = source_graph(spec, served(FakeDecoder(spec)))
    assert indices("-f", "lavfi", "-i", graph, "-fps_mode", "passthrough") == list(range(150))


def test_starting_later(served, indices):
    graph = source_graph(replace(SPEC, frame_count=5), served(FakeDecoder(SPEC)), options="strict+start=1.001")
    assert indices("-f", "lavfi", "-i", graph) == [30, 31, 32, 33, 34]


@pytest.mark.parametrize("size", [(64, 36), (256, 144), (192, 75)])
def test_scaled_to_the_size_that_the_host_asks_for(size, served, indices):
    graph = source_graph(replace(SPEC, frame_count=9), served(FakeDecoder(SPEC)), size=size)
    assert indices("-f", "lavfi", "-i", graph, size=size) == list(range(9))


@pytest.mark.parametrize("colour", [Colour(), Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")])
def test_colours_are_converted_and_tagged(colour, served, host, ffprobe, tmp_path):
    class Red(FakeDecoder):
        def frame(self, index, out=None):
            return np.full((72, 128, 3), (255, 0, 0), np.uint8)

    spec = replace(SPEC, colour=colour, frame_count=3)
    graph = source_graph(spec, served(Red(spec)))
    done = host("ffmpeg", "-v", "error", "-filter_complex", graph, "-c:v", "libx264", "-qp", 0, tmp_path / "a.mp4")
    assert (done.returncode, done.stderr) == (0, b"")
    told = ffprobe(tmp_path / "a.mp4", "stream=color_range,color_space,color_transfer,color_primaries")
    assert {line.split("=")[1] for line in told} == {"tv", colour.matrix}
    raw = host("ffmpeg", "-v", "error", "-i", tmp_path / "a.mp4", "-f", "rawvideo", "-").stdout[: 128 * 72 * 3 // 2]
    planes = raw[0], raw[128 * 72], raw[-1]
    expected = (63, 102, 240) if colour.matrix == "bt709" else (81, 90, 240)
    assert np.abs(np.subtract(planes, expected)).max() <= 1


@pytest.mark.parametrize("mode", ["wipe", "difference", "neural"])
def test_compared_with_its_source(mode, served, host):
    class Other(FakeDecoder):
        def frame(self, index, out=None):
            return 255 - super().frame(index)

    name = served(Other(SPEC))
    graph = compare_graph(SPEC, name, mode=mode, split=0.25)
    source = np.stack(list(FakeDecoder(SPEC).frames()))
    size = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x72")
    plugin_alone = graph.split(",scale=")[0]
    done = host(
        "ffmpeg",
        "-v",
        "error",
        *size,
        "-r",
        "30000/1001",
        "-i",
        "-",
        "-vf",
        plugin_alone,
        *size[:4],
        "-",
        input=source.tobytes(),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = np.frombuffer(done.stdout, np.uint8).reshape(source.shape)
    expected = 255 - source
    if mode == "wipe":
        expected[:, :, :32] = source[:, :, :32]
    if mode == "difference":
        expected = np.minimum(4 * np.abs((255 - source).astype(int) - source), 255).astype(np.uint8)
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.skipif(not shutil.which("mpv"), reason="mpv is not installed (apt-get install mpv)")
def test_mpv(served, host, tmp_path):
    output = ("--vo=image", "--vo-image-format=png", f"--vo-image-outdir={tmp_path / 'out'}", "--frames=4")
    url = "av://lavfi:" + source_graph(SPEC, served(FakeDecoder(SPEC)))
    assert host("mpv", "--no-config", "--really-quiet", "--untimed", *output, url).returncode == 0
    pictures = sorted((tmp_path / "out").iterdir())
    assert [read_index(np.asarray(Image.open(path))) for path in pictures] == [0, 1, 2, 3]


@pytest.mark.skipif(not shutil.which("melt"), reason="melt is not installed (apt-get install melt)")
def test_melt(served, host, tmp_path):
    clip = FakeDecoder(replace(SPEC, rate=Fraction(25)))
    target = tmp_path / "out.rgb"
    producer = ("frei0r.nerv", f"model={served(clip)}", "options=strict", "length=8", "out=7", "-profile", "square_pal")
    consumer = (f"avformat:{target}", "f=rawvideo", "vcodec=rawvideo", "pix_fmt=rgb24", "an=1", "real_time=-1")
    assert host("melt", "-silent", *producer, "-consumer", *consumer).returncode == 0
    frames = np.fromfile(target, np.uint8).reshape(-1, 576, 768, 3)
    assert [read_index(frame) for frame in frames] == list(range(8))


class TestRealFiles:
    """The plug-in starts its own decoder."""

    @pytest.fixture
    def sample(self, clip):
        return clip.with_name("bunny-320x180.nerv")

    def test_any_name_and_nothing_left(self, sample, host, tmp_path):
        path = tmp_path / "it's 50%|a:b,c [x];\n日本.nerv"
        shutil.copy(sample, path)
        spec = VideoSpec(width=320, height=180, frame_count=2, rate=Fraction(25))
        done = host("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source_graph(spec, str(path)), "-f", "rawvideo", "-")
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(done.stdout) == 2 * 320 * 180 * 3 // 2
        assert gone("ffmpeg_bridge.frei0r.child")

    def test_errors_reach_the_message_and_the_exit_code(self, host):
        for arguments in (
            ("-f", "lavfi", "-i", source_graph(SPEC, "/none.nerv")),
            ("-f", "lavfi", "-i", "color", "-vf", compare_graph(SPEC, "/none.nerv")),
        ):
            done = host("ffmpeg", "-v", "error", *arguments, "-f", "null", "-")
            assert done.returncode != 0
            assert b"parameter 'nerv: /none.nerv does not exist; check the path'" in done.stderr

    @pytest.mark.slow
    def test_a_damaged_file(self, sample, host, tmp_path):
        (tmp_path / "cut.nerv").write_bytes(sample.read_bytes()[:1000])
        graph = source_graph(SPEC, str(tmp_path / "cut.nerv"))
        done = host("ffmpeg", "-v", "error", "-f", "lavfi", "-i", graph, "-f", "null", "-")
        assert done.returncode != 0
        assert b"truncated" in done.stderr

    @pytest.mark.slow
    def test_a_killed_host_leaves_nothing(self, sample, plugins):
        graph = source_graph(VideoSpec(width=320, height=180, frame_count=10**6, rate=Fraction(25)), str(sample))
        command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", graph, "-f", "rawvideo", "-"]
        with subprocess.Popen(command, stdout=-1, env=os.environ | {"FREI0R_PATH": str(plugins)}) as process:
            assert process.stdout.read(1)
            assert children("ffmpeg_bridge.frei0r.child")
            process.kill()
        assert gone("ffmpeg_bridge.frei0r.child")

    @pytest.mark.slow
    def test_a_killed_decoder_ends_the_host_with_a_whole_file(self, sample, plugins, ffprobe, tmp_path):
        graph = source_graph(VideoSpec(width=320, height=180, frame_count=10**6, rate=Fraction(25)), str(sample))
        outputs = ["-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4", "-f", "rawvideo", "-"]
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            graph,
            "-map",
            "0",
            *outputs[:4],
            "-map",
            "0",
            *outputs[4:],
        ]
        with subprocess.Popen(
            list(map(str, command)), stdout=-1, stderr=-1, env=os.environ | {"FREI0R_PATH": str(plugins)}
        ) as process:
            assert process.stdout.read(1)
            for pid in children("ffmpeg_bridge.frei0r.child"):
                os.kill(pid, signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 255
        assert b"the decoder went away" in errors
        assert ffprobe(tmp_path / "a.mp4", "stream=width") == ["width=320"]


def test_a_decoder_that_fails_later_says_why(served, host):
    class Failing(FakeDecoder):
        def frame(self, index, out=None):
            if index == 9:
                raise BitstreamError("the weights are gone")
            return super().frame(index, out)

    done = host(
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", source_graph(SPEC, served(Failing(SPEC))), "-f", "null", "-"
    )
    assert done.returncode != 0
    assert b"the weights are gone" in done.stderr


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_decoder_that_goes_away_ends_the_host_with_a_whole_file(served, host, ffprobe, tmp_path):
    class Leaving(FakeDecoder):
        def frame(self, index, out=None):
            if index == 20:
                raise SystemExit  # ends its thread, and nothing else, without a word
            return super().frame(index, out)

    graph = source_graph(SPEC, served(Leaving(SPEC)))
    out = tmp_path / "a.mp4"
    done = host("ffmpeg", "-v", "error", "-f", "lavfi", "-i", graph, "-c:v", "libx264", "-preset", "ultrafast", out)
    assert done.returncode == 255
    assert b"the decoder went away" in done.stderr
    assert ffprobe(out, "stream=width") == ["width=128"]


def test_options_that_do_not_exist(served, host):
    graph = source_graph(SPEC, served(FakeDecoder(SPEC)), options="strict+speed=2")
    done = host("ffmpeg", "-v", "error", "-f", "lavfi", "-i", graph, "-f", "null", "-")
    assert done.returncode != 0
    assert b"unknown option 'speed'" in done.stderr
