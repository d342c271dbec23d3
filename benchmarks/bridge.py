"""What each way into FFmpeg costs, and what a frame costs on its way there, in processor time.

    python benchmarks/bridge.py [--size 1280x720] [--frames 600] [--rounds 6] [--output benchmarks/results/bridge.tsv]

The ways count both ends, against the bare raw pipe. The network and the conversion to YUV cost the same on every way,
so both are left out: a frame is a copy of prepared bytes. The conversion is measured by itself: planes of floats to a
frame of yuv420p as this package makes it, against rounding, turning to RGB pixels and reformatting. Each run is a
process of its own, measured when all is loaded; one with 4 frames is taken off, so that starting ffmpeg costs nothing.
Filters stand in -filter_complex, for `-f lavfi -i` copies every frame once more. The ways take turns, and the least
time of all rounds counts, for noise only adds.
"""

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from ffmpeg_bridge import frame_cache, pipe
from ffmpeg_bridge.frei0r import FrameServer, install_plugins, ring, source_graph
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.planar import planar_frames
from ffmpeg_bridge.programs import loopback_environment
from ffmpeg_bridge.raw import RawPictures
from ffmpeg_bridge.sink import Sink
from nervplay.decode.planes import write_yuv
from nervplay.decode.testing import FakeDecoder
from nervplay.video import ArraySource, Frame, FrameSource, Planes, VideoSpec

ROOT = Path(__file__).resolve().parent.parent
FEW = 4
BOUNDS = {"mkv pipe": 1.5, "mkv http": 1.8, "movie= http": 2.0}


class Prepared(ArraySource):
    """A clip of any length whose frames cost nothing; only their number is used."""

    def __init__(self, spec: VideoSpec) -> None:
        super().__init__(np.zeros((1, spec.height, spec.width, 3), np.uint8))
        self._spec = spec

    def _read(self, index: int) -> Frame:  # noqa: ARG002 - all are alike
        return self._frames[0]


class CopiedPictures(RawPictures):
    """Copies prepared bytes where the real one decodes."""

    def __init__(self, source: FrameSource, pix_fmt: str) -> None:
        super().__init__(source, pix_fmt)
        self._ready = np.random.default_rng(0).integers(16, 235, (4, self.size), dtype=np.uint8)
        self._length = len(source)

    def read(self, index: int, out: NDArray[np.uint8]) -> None:
        """Write the next prepared picture."""
        np.copyto(out, self._ready[index % 4])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield prepared pictures, all in one buffer."""
        buffer = np.empty(self.size, np.uint8)
        for index in range(self._length):
            self.read(index, buffer)
            yield buffer


class Floats(FakeDecoder):
    """A clip whose network costs nothing: four prepared frames of floats."""

    def __init__(self, spec: VideoSpec) -> None:
        super().__init__(spec)
        shape = (3, spec.height, spec.width)
        self.ready = [np.random.default_rng(seed).random(shape, np.float32) for seed in range(4)]

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Convert a prepared frame."""
        write_yuv(self.ready[index % 4], out, self.spec.colour)
        return out


class CopyingRing(ring.FrameRing):
    """Copies prepared bytes where the real one converts."""

    def _fill(self, slot: int, frame: Frame) -> None:  # noqa: ARG002 - not converted
        """Write the next prepared picture."""
        if not hasattr(self, "_ready"):
            self._ready = np.random.default_rng(0).integers(0, 255, (4, *self._pictures[0].shape), dtype=np.uint8)
        np.copyto(self._pictures[slot], self._ready[slot % 4])


def ffmpeg(program: str, *source: str, **options: object) -> subprocess.Popen[bytes]:
    """Start an ffmpeg that decodes and forgets."""
    command = [program, "-hide_banner", "-v", "error", *source, "-f", "null", "-"]
    return subprocess.Popen(command, env=loopback_environment(), **options)


def run_pipe(program: str, spec: VideoSpec, carrier: str) -> int:
    """Send a clip down a pipe; return ffmpeg's exit code."""
    pipe.RawPictures = CopiedPictures
    process = ffmpeg(program, *pipe.input_options(spec, carrier, "yuv420p"), "-i", "-", stdin=subprocess.PIPE)
    pipe.write_pipe(process.stdin, Prepared(spec), carrier)
    process.stdin.close()
    return process.wait()


def run_rgba(program: str, spec: VideoSpec) -> int:
    """Send bare RGBA pictures down a pipe."""
    size = spec.width * spec.height * 4
    ready = np.random.default_rng(0).integers(0, 255, (4, size), dtype=np.uint8)
    shape = ("-f", "rawvideo", "-pixel_format", "rgba", "-video_size", f"{spec.width}x{spec.height}")
    process = ffmpeg(program, *shape, "-framerate", "60", "-i", "-", stdin=subprocess.PIPE)
    sink, buffer = Sink(process.stdin), np.empty(size, np.uint8)
    for index in range(spec.frame_count):
        np.copyto(buffer, ready[index % 4])
        sink.write([buffer.data])
    process.stdin.close()
    return process.wait()


def run_http(program: str, spec: VideoSpec, *, movie: bool) -> int:
    """Let ffmpeg read the virtual file, as an input or as a source filter."""
    frame_cache.RawPictures = CopiedPictures
    with VideoServer() as server:
        url = server.add(Prepared(spec), "clip")
        source = ("-filter_complex", "movie=" + url.replace(":", r"\\:")) if movie else ("-i", url)
        return ffmpeg(program, "-nostdin", *source).wait()


def run_frei0r(program: str, spec: VideoSpec) -> int:
    """Let ffmpeg load the plug-in, which joins a decoder in this process."""
    from ffmpeg_bridge.frei0r import session  # noqa: PLC0415 - where the ring is looked up

    session.FrameRing = CopyingRing
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with FrameServer(path, lambda *_: Prepared(spec)):
            graph = source_graph(spec, f"unix:{path}!clip").split(",scale=")[0]
            return ffmpeg(program, "-nostdin", "-filter_complex", graph).wait()


def run_plain(_program: str, spec: VideoSpec) -> int:
    """Convert floats as most code does: rounded and permuted by PyTorch, reformatted by PyAV with its usual matrix."""
    torch.set_num_threads(1)
    ready = [torch.from_numpy(planes) for planes in Floats(spec).ready]
    for index in range(spec.frame_count):
        rgb = ready[index % 4].mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        av.VideoFrame.from_ndarray(rgb.numpy(), format="rgb24").reformat(format="yuv420p")
    return 0


def run_planar(_program: str, spec: VideoSpec) -> int:
    """Convert floats as exports do."""
    return int(sum(1 for _ in planar_frames(Floats(spec), "yuv420p")) != spec.frame_count)


WAYS: dict[str, Callable[[str, VideoSpec], int]] = {
    "raw pipe": lambda program, spec: run_pipe(program, spec, "raw"),
    "y4m pipe": lambda program, spec: run_pipe(program, spec, "y4m"),
    "nut pipe": lambda program, spec: run_pipe(program, spec, "nut"),
    "mkv pipe": lambda program, spec: run_pipe(program, spec, "mkv"),
    "mkv http": lambda program, spec: run_http(program, spec, movie=False),
    "movie= http": lambda program, spec: run_http(program, spec, movie=True),
    "rgba pipe": run_rgba,
    "frei0r rgba": run_frei0r,
    "floats to yuv420p, plainly": run_plain,
    "floats to yuv420p": run_planar,
}


def used() -> float:
    """Return the processor seconds of this process and of those that it has waited for."""
    parts = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def run_one(way: str, options: argparse.Namespace) -> None:
    """Print the processor time of a few frames and of many, in seconds."""
    width, height = map(int, options.size.split("x"))
    spec = VideoSpec(width=width, height=height, frame_count=FEW, rate=Fraction(60))
    for count in (FEW, FEW, options.frames):  # the first one pays for what is loaded late
        before = used()
        if code := WAYS[way](options.ffmpeg, replace(spec, frame_count=count)):
            sys.exit(code)
        print(used() - before)


def measured(way: str, options: argparse.Namespace) -> tuple[float, float]:
    """Return the processor seconds of a few frames and of many, in a process of their own."""
    command = [sys.executable, __file__, "--run", way, "--size", options.size, "--frames", str(options.frames)]
    ran = subprocess.run([*command, "--ffmpeg", options.ffmpeg], check=True, capture_output=True, text=True)
    _, few, many = map(float, ran.stdout.split())
    return few, many


def table(options: argparse.Namespace) -> str:
    """Measure all ways in turn and return the table."""
    runs: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for way in WAYS:
            runs[way].append(measured(way, options))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    cost = {}
    for way, pairs in runs.items():
        few, many = (min(pair[kind] for pair in pairs) for kind in (0, 1))
        cost[way] = (many - few) / (options.frames - FEW) * 1000
    rows = ["way\tCPU ms per frame\tof the raw pipe\tbound"]
    for way, value in cost.items():
        bound = f"<= {BOUNDS[way]}" if way in BOUNDS else ""
        rows.append(f"{way}\t{value:.3f}\t{value / cost['raw pipe']:.2f}\t{bound}")
    rows.append(f"speed of frei0r against the rgba pipe\t\t{cost['rgba pipe'] / cost['frei0r rgba']:.2f}\t>= 0.9")
    faster = cost["floats to yuv420p, plainly"] / cost["floats to yuv420p"]
    rows.append(f"speed of floats to yuv420p against the plain way\t\t{faster:.2f}\t>= 3")
    return "\n".join(rows) + "\n"


def header(options: argparse.Namespace) -> str:
    """Return what the numbers were measured with."""
    version = subprocess.run([options.ffmpeg, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return (
        f"# python benchmarks/bridge.py --size {options.size} --frames {options.frames} --rounds {options.rounds}\n"
        f"# commit {commit.stdout.strip()}, Python {platform.python_version()}, ffmpeg {version}, "
        f"{os.cpu_count()} cores {platform.machine()}, load {os.getloadavg()[0]:.1f}\n"
    )


def main() -> None:
    """Measure and write the table, or run one way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_one(options.run, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        install_plugins(Path(folder))
        os.environ["FREI0R_PATH"] = folder
        text = header(options) + table(options)
    print(text, end="")
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
