"""Whether export overlaps its work: processor and wall time of an export against its parts measured apart.

    python benchmarks/export.py [FILE.nerv] [--frames 100] [--rounds 3] [--preset medium] [--output OUT.tsv]

Decoding to floats, conversion to samples and encoding run one after the other on the same frames, then the export runs
as a whole; the least of all rounds counts, for noise only adds. Bounds: processor time of the export at most 1.1 of the
parts' sum; wall time at most 1.15 of that sum divided by the cores. Figures are ratios within one run. A busy machine,
or a virtual one that shares its processor, spoils the second: so the file also says how many cores idle loops got at
most, one run of them after each round, and the same ratio with these.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from av import VideoFrame

from ffmpeg_bridge import export_video
from ffmpeg_bridge.encoder_choice import choose_encoder
from ffmpeg_bridge.export_sink import container_sink
from ffmpeg_bridge.planar import planar_frames
from ffmpeg_bridge.targets import find_target
from nervplay.decode import open_decoder
from nervplay.decode.planes import write_yuv
from nervplay.decode.testing import FakeDecoder
from nervplay.video import FrameTransform, Planes, VideoSpec

ROOT = Path(__file__).resolve().parent.parent
SPIN = "import time\nend = time.time() + 1\nwhile time.time() < end: pass\nprint(time.process_time())"


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Return (processor, wall) seconds of `work`, all threads of this process together."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


class Floats(FakeDecoder):
    """Frames that are decoded already."""

    def __init__(self, spec: VideoSpec, frames: list[np.ndarray]) -> None:
        super().__init__(spec)
        self._frames = frames

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Convert a frame."""
        write_yuv(self._frames[index], out, self.spec.colour)
        return out


def cores_to_be_had(count: int) -> float:
    """Return the processor seconds per second that `count` loops get, one process each."""
    began = time.perf_counter()
    loops = [subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) for _ in range(count)]
    used = sum(float(loop.communicate()[0]) for loop in loops)
    return used / (time.perf_counter() - began)


def one_round(file: Path, count: int, preset: str, folder: Path) -> dict[str, tuple[float, float]]:
    """Return the cost of the parts and of the whole."""
    costs: dict[str, tuple[float, float]] = {}
    out = folder / "out.mp4"
    with open_decoder(file, device="cpu") as decoder:
        decoder.frame(0)  # the first frame pays for more than itself
        clip = FrameTransform(frames=(0, min(count, len(decoder)))).apply(decoder)
        shape = (3, clip.spec.height, clip.spec.width)
        frames = [np.ones(shape, np.float32) for _ in range(len(clip))]  # memory that is there
        pictures: list[VideoFrame] = []
        costs["decode"] = cost(lambda: [decoder.float_frame(index, out) for index, out in enumerate(frames)])
        target = find_target(out)
        choice = choose_encoder(target, clip.spec, preset=preset)
        costs["convert"] = cost(lambda: pictures.extend(planar_frames(Floats(clip.spec, frames), choice.fed_format)))
        for index, picture in enumerate(pictures):
            picture.pts, picture.duration, picture.time_base = index, 1, 1 / clip.spec.rate

        def encode() -> None:
            with container_sink(target, out, choice, clip.spec, audio=None, known_size=True, overwrite=True) as sink:
                for picture in pictures:
                    sink.write(picture)
                sink.finish()

        costs["encode"] = cost(encode)
        frames.clear()
        pictures.clear()
        costs["export"] = cost(lambda: export_video(clip, out, preset=preset, overwrite=True))
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "samples" / "bunny-320x180.nerv")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    rounds, had = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            rounds.append(one_round(asked.file, asked.frames, asked.preset, Path(folder)))
            had.append(cores_to_be_had(cores))
            print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
    best = {name: tuple(min(costs[name][kind] for costs in rounds) for kind in (0, 1)) for name in rounds[0]}
    apart = sum(best[name][0] for name in ("decode", "convert", "encode"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    lines = [
        f"# python benchmarks/export.py {asked.file.name} --frames {asked.frames} --rounds {asked.rounds}",
        f"# commit {commit.stdout.strip()}, Python {platform.python_version()}, {cores} cores {platform.machine()}",
        "part\tcpu share of the parts\twall share",
    ]
    lines += [f"{name}\t{used / apart:.3f}\t{wall / apart:.3f}" for name, (used, wall) in best.items()]
    lines.append(f"# cpu of export / cpu of the parts: {best['export'][0] / apart:.3f} (bound 1.10)")
    lines.append(
        f"# wall of export * {cores} cores / cpu of the parts: {best['export'][1] * cores / apart:.3f} (bound 1.15)"
    )
    lines.append(
        f"# cores that {cores} idle loops got: {max(had):.2f}; wall of export * these / cpu of the parts: "
        f"{best['export'][1] * max(had) / apart:.3f}"
    )
    lines.append(
        f"# {asked.file.name}, {asked.frames} frames, x264 {asked.preset}, {torch.get_num_threads()} torch threads"
    )
    print("\n".join(lines))
    if asked.output is not None:
        asked.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
