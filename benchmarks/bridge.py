"""What each way into FFmpeg costs: processor time of both ends per frame, against the bare raw pipe.

    python benchmarks/bridge.py [--size 1280x720] [--frames 600] [--rounds 6] [--output benchmarks/results/bridge.tsv]

The network and the conversion to YUV cost the same on every way, so both are left out: a frame is a copy of prepared
bytes. Each run is a process of its own that starts ffmpeg; a run with 4 frames is taken off, so that starting costs
nothing. Filters stand in -filter_complex, for `-f lavfi -i` copies every frame once more. The ways take turns, and the
least time of all rounds counts, for noise only adds.
"""

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffmpeg_bridge import frame_cache, pipe
from ffmpeg_bridge.frei0r import FrameServer, install_plugins, ring, source_graph
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.programs import loopback_environment
from ffmpeg_bridge.raw import RawPacker
from ffmpeg_bridge.sink import Sink
from nervplay.video import ArraySource, Frame, VideoSpec

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


class CopyingPacker(RawPacker):
    """Copies prepared bytes where the real one converts."""

    def __init__(self, spec: VideoSpec, pix_fmt: str) -> None:
        super().__init__(spec, pix_fmt)
        self._ready = np.random.default_rng(0).integers(16, 235, (4, self.size), dtype=np.uint8)
        self._count = 0

    def pack(self, frame: Frame, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:  # noqa: ARG002 - not converted
        """Return the next prepared picture."""
        self._count += 1
        ready: NDArray[np.uint8] = self._ready[self._count % 4]
        if out is None:
            return ready.copy()
        np.copyto(out, ready)
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
    pipe.RawPacker = CopyingPacker
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
    frame_cache.RawPacker = CopyingPacker
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


WAYS: dict[str, Callable[[str, VideoSpec], int]] = {
    "raw pipe": lambda program, spec: run_pipe(program, spec, "raw"),
    "y4m pipe": lambda program, spec: run_pipe(program, spec, "y4m"),
    "nut pipe": lambda program, spec: run_pipe(program, spec, "nut"),
    "mkv pipe": lambda program, spec: run_pipe(program, spec, "mkv"),
    "mkv http": lambda program, spec: run_http(program, spec, movie=False),
    "movie= http": lambda program, spec: run_http(program, spec, movie=True),
    "rgba pipe": run_rgba,
    "frei0r rgba": run_frei0r,
}


def measured(way: str, options: argparse.Namespace, frames: int) -> float:
    """Return the processor time of one run, this side and ffmpeg's, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--run", way, "--size", options.size, "--frames", str(frames)]
    subprocess.run([*command, "--ffmpeg", options.ffmpeg], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(options: argparse.Namespace) -> str:
    """Measure all ways in turn and return the table."""
    many: dict[str, list[float]] = {way: [] for way in WAYS}
    few: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            many[way].append(measured(way, options, options.frames))
            few[way].append(measured(way, options, FEW))
    cost = {way: (min(many[way]) - min(few[way])) / (options.frames - FEW) * 1000 for way in WAYS}
    rows = ["way\tCPU ms per frame\tof the raw pipe\tbound"]
    for way, value in cost.items():
        bound = f"<= {BOUNDS[way]}" if way in BOUNDS else ""
        rows.append(f"{way}\t{value:.3f}\t{value / cost['raw pipe']:.2f}\t{bound}")
    rows.append(f"speed of frei0r against the rgba pipe\t\t{cost['rgba pipe'] / cost['frei0r rgba']:.2f}\t>= 0.9")
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
        width, height = map(int, options.size.split("x"))
        spec = VideoSpec(width=width, height=height, frame_count=options.frames, rate=Fraction(60))
        sys.exit(WAYS[options.run](options.ffmpeg, spec))
    with tempfile.TemporaryDirectory() as folder:
        install_plugins(Path(folder))
        os.environ["FREI0R_PATH"] = folder
        text = header(options) + table(options)
    print(text, end="")
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
