"""How much memory decoding takes: 3840x2160 in rectangles, and streams that must not grow.

    python -m benchmarks.memory [--frames 1000] [--backends native,torch-fast,torch] [--output FILE]

Each row is a process of its own. Columns: most resident memory of the process in 10^6 bytes (an idle PyTorch takes
about 240), and what it had after a tenth of the frames and at the end; in streams these two must be the same.

    stream     the bundled 320x180 HNeRV, over and over
    4k         a HiNeRV of 3 M parameters with random weights at 3840x2160, two frames, under the default budget
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import torch

from benchmarks.side import ROOT, write_table
from nervplay.codec import NeuralVideo, pack
from nervplay.decode import open_decoder
from nervplay.models.hinerv import HiNeRV, config_for_size
from nervplay.video.spec import VideoSpec

SAMPLE = ROOT / "samples" / "bunny-320x180.nerv"
COLUMNS = ("what", "backend", "precision", "frames", "peak_mb", "early_mb", "end_mb")
PRECISIONS = {"native": ("fp32", "int8")}
LIMIT_4K = 2000
"""10^6 bytes that a frame of 3840x2160 must stay below."""


def resident() -> float:
    """Return the memory of this process in 10^6 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def child(what: str, backend: str, precision: str, frames: int) -> None:
    """Decode, and print [peak, early, end] in 10^6 bytes."""
    video: NeuralVideo | Path = SAMPLE
    if what == "4k":
        torch.manual_seed(0)
        model = HiNeRV(config_for_size(3840, 2160, 60, 3_000_000)).eval()
        spec = VideoSpec(width=3840, height=2160, frame_count=60, rate=Fraction(25))
        video = NeuralVideo(file=pack(model, spec), model=model, file_bytes=0)
    early = 0.0
    with open_decoder(video, device="cpu", backend=backend, precision=precision) as decoder:
        for done, _ in enumerate(decoder.frames(islice(cycle(range(len(decoder))), frames)), start=1):
            if done == max(frames // 10, 1):
                early = resident()
        end = resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps([peak, early, end]))


def row(what: str, backend: str, precision: str, frames: int) -> tuple[object, ...]:
    """Return a row of the table, measured in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.memory", "--child", what, backend, precision, str(frames)]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    figures = json.loads(ran.stdout)
    return (what, backend, precision, frames, *(f"{value:.0f}" for value in figures))


def main() -> None:
    """Measure, print the table, write it where --output says; the exit code is 1 where a frame took too much."""
    if sys.argv[1:2] == ["--child"]:
        what, backend, precision, frames = sys.argv[2:]
        child(what, backend, precision, int(frames))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--backends", default="native,torch-fast,torch")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print("\t".join(COLUMNS), flush=True)
    rows = []
    for what, frames in (("stream", options.frames), ("4k", 2)):
        for backend in options.backends.split(","):
            for precision in PRECISIONS.get(backend, ("fp32",))[: 1 if what == "4k" else None]:
                rows.append(row(what, backend, precision, frames))
                print("\t".join(map(str, rows[-1])), flush=True)
    if options.output:
        command = f"python -m benchmarks.memory {' '.join(sys.argv[1:])}".rstrip()
        write_table(options.output, command, "cpu", COLUMNS, rows)
    if any(it[0] == "4k" and float(str(it[4])) > LIMIT_4K for it in rows):
        raise SystemExit(f"a frame of 3840x2160 took more than {LIMIT_4K} MB")


if __name__ == "__main__":
    main()
