"""Frames per second of every backend and precision, side by side in one run, with what they cost in quality.

    python benchmarks/decode.py [--models hnerv-bunny,nerv-s+lrconv-l4,...] [--backends native] [--threads 1,2]
                                [--output FILE]

Each configuration lives in a process of its own (what one does to memory allocation would help another) and decodes in
turns with all others of its model and thread count, in an order that is reversed every round, so that a change of the
machine's load meets all alike; models joined by + take turns with each other, too, where they are to be compared. A
turn is one warm-up frame, then the timed ones; the medians of all timed frames count, as ratios to eager PyTorch in
float32, which is how the official codes decode. `--clock cpu` counts processor time instead of the wall's and is for
one thread on a machine that is not quiet.

Columns: PSNR against eager float32 (mean and worst frame; peak 1, before rounding), and against the source, where
there is one: the published video of the HNeRV authors, if the golden files lie beside the checkout. Other networks have
random weights of each paper's size: their speed is real, their pictures are noise.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffmpeg_bridge.reader import open_source
from nervplay import __version__
from nervplay.codec import NeuralVideo, pack
from nervplay.codec.official import open_official
from nervplay.decode import Decoder, open_decoder
from nervplay.decode.loss import told
from nervplay.decode.native.library import kernels, why_not
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.video.spec import VideoSpec
from nervplay.video.transform import FrameTransform

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "samples" / "bigbuckbunny.mp4"
GOLDEN = ROOT.parent / "shared" / "golden" / "hnerv_bunny_quant_vid"
PRESETS = {
    "nerv-s": "nerv-s",
    "lrconv-l4": "nerv-lrconv-l4",
    "e-nerv": "e-nerv-bunny",
    "snerv-3m": "snerv-3m-640x1280",
    "snerv-t-3m": "snerv-t-3m-640x1280",
    "hinerv-s": "hinerv-bunny-s",
    "pnerv-l": "pnerv-l-960x1920",
    "dnerv": "dnerv-960x1920",
    "ghost-l4": "nerv-ghost-l4",
    "ghost-v2-l4": "nerv-ghost-v2-l4",
    "hnerv-boost-3m": "hnerv-boost-3m-720x1280",
    "srnerv-c64": "srnerv-c64",
}
MODELS = ("hnerv-bunny", *PRESETS)
HNERV_DB = 33.76
"""PSNR of the published video; others are taken for what a video is that does not say."""
CONFIGURATIONS = (
    ("torch", "fp32"),
    ("torch-fast", "fp32"),
    ("torch-fast", "bf16"),
    ("native", "fp32"),
    ("native", "int8"),
)
OPENVINO = (("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"))
"""Measured too, where the package is installed."""
COLUMNS = ("model", "threads", "backend", "precision", "fps", "x_eager", "db_mean", "db_worst", "db_source")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def load(model: str) -> VideoModel:
    """Return a network: the published video, or one of a preset's size with random weights."""
    if model == "hnerv-bunny":
        flags = json.loads((GOLDEN / "config.json").read_text())["flags"]
        return open_official(GOLDEN / "quant_vid.pth", flags if isinstance(flags, str) else " ".join(flags))
    entry, preset = resolve_preset(PRESETS[model])
    width, height = preset.size or (1280, 720)
    torch.manual_seed(0)
    return build_model(entry.name, preset.configure(width, height, preset.frame_count)).eval()


def opened(model: str, backend: str, precision: str, threads: int) -> Decoder:
    """Return a decoder of a network."""
    network = load(model)
    config = network.config
    spec = VideoSpec(width=config.width, height=config.height, frame_count=config.frame_count, rate=Fraction(25))
    recipe = told(HNERV_DB) if model == "hnerv-bunny" else {}
    video = NeuralVideo(file=pack(network, spec, recipe=recipe), model=network, file_bytes=0)
    return open_decoder(video, device="cpu", backend=backend, precision=precision, threads=threads)


def child(words: list[str]) -> None:
    """Decode what standard input asks for: "time N" prints the seconds of N frames, "keep I,J" writes floats."""
    model, backend, precision, threads, clock, folder = words
    try:
        decoder = opened(model, backend, precision, int(threads))
    except CapabilityError as error:
        print(json.dumps({"lacking": str(error)}), flush=True)
        return
    now, place = CLOCKS[clock], 0
    print(json.dumps(decoder.backend_note), flush=True)
    for line in sys.stdin:
        order, argument = line.split()
        if order == "keep":
            for index in map(int, argument.split(",")):
                np.save(Path(folder) / f"{backend}-{precision}-{index}.npy", decoder.float_frame(index))
            print("[]", flush=True)
            continue
        seconds = []
        for _ in range(int(argument) + 1):
            place = (place + 7) % len(decoder)
            start = now()
            decoder.frame(place)
            seconds.append(now() - start)
        print(json.dumps(seconds[1:]), flush=True)


class Contender:
    """A configuration in a process of its own."""

    def __init__(self, model: str, backend: str, precision: str, threads: int, options: argparse.Namespace) -> None:
        self.model, self.backend, self.precision = model, backend, precision
        self.seconds: list[float] = []
        words = [model, backend, precision, str(threads), options.clock, str(options.folder)]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.note = self._answer()
        """What it computes, or what is lacking, as {"lacking": why}."""

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.backend} {self.precision} ended with code {self._process.wait()}")
        return json.loads(line)

    def ask(self, order: str) -> Any:
        """Send one order and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    """Return the PSNR of floats in [0, 1], at most 150 dB."""
    return float(-10 * np.log10(np.square(one.astype(np.float64) - other).mean() + 1e-15))


def source_frames(indices: list[int]) -> dict[int, np.ndarray]:
    """Return frames of the clip as the HNeRV authors cut it, float (3, H, W)."""
    with FrameTransform(crop=(1280, 640)).apply(open_source(CLIP)) as source:
        return {i: source.frame(i).transpose(2, 0, 1) / np.float32(255) for i in indices}


def measure(models: list[str], threads: int, options: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return the rows of networks that take turns with each other, for a thread count."""
    known = CONFIGURATIONS + (OPENVINO if importlib.util.find_spec("openvino") else ())
    wanted = (options.backends or ",".join(backend for backend, _ in known)).split(",")
    configurations = [known[0], *(each for each in known[1:] if each[0] in wanted)]
    contenders = []
    for contender in [Contender(model, *each, threads, options) for model in models for each in configurations]:
        if isinstance(contender.note, str):
            contenders.append(contender)
        else:
            print(f"# left out: {contender.backend} {contender.precision}: {contender.note['lacking']}", flush=True)
            contender.close()
    for turn in range(options.rounds):
        for contender in contenders if turn % 2 == 0 else reversed(contenders):
            contender.seconds += contender.ask(f"time {options.frames}")
    own = [[it for it in contenders if it.model == model] for model in models]
    return [row for group in own for row in rows_of(group, threads, options)]


def rows_of(contenders: list[Contender], threads: int, options: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return the rows of a network whose configurations, eager PyTorch first, have been timed; their processes end."""
    model, indices = contenders[0].model, [3, 40, 77, 114]
    sources = source_frames(indices) if model == "hnerv-bunny" else {}
    eager = statistics.median(contenders[0].seconds)
    rows = []
    for contender in contenders:
        contender.ask(f"keep {','.join(map(str, indices))}")
        contender.close()
        kept = {
            name: [np.load(options.folder / f"{name}-{i}.npy") for i in indices]
            for name in ("torch-fp32", f"{contender.backend}-{contender.precision}")
        }
        reference, own = kept["torch-fp32"], kept[f"{contender.backend}-{contender.precision}"]
        errors = [decibels(a, b) for a, b in zip(own, reference, strict=True)]
        against = [decibels(np.clip(a, 0, 1), sources[i]) for a, i in zip(own, indices, strict=True) if sources]
        seconds = statistics.median(contender.seconds)
        quality = (f"{np.mean(errors):.1f}", f"{min(errors):.1f}", f"{np.mean(against):.3f}" if against else "-")
        speed = (f"{1 / seconds:.3f}", f"{eager / seconds:.2f}")
        rows.append((model, threads, contender.backend, contender.precision, *speed, *quality))
    return rows


def head_lines() -> list[str]:
    """Return what a result file starts with."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    machine = f"{os.cpu_count()} cores {platform.machine()}, {'no' if why_not() else kernels().name} kernels"
    return [
        f"# nervplay {__version__} at {commit}, torch {torch.__version__}, {machine}",
        f"# python benchmarks/decode.py {' '.join(sys.argv[1:])}".rstrip(),
        "\t".join(COLUMNS),
    ]


def main() -> None:
    """Measure and print the table; write it where --output says."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS if GOLDEN.is_dir() else PRESETS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--backends", help="only these, and eager PyTorch in float32; default: all")
    parser.add_argument("--frames", type=int, default=3, help="timed frames of a turn")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = head_lines()
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        for models in options.models.split(","):
            for threads in map(int, options.threads.split(",")):
                for row in measure(models.split("+"), threads, options):
                    lines.append("\t".join(map(str, row)))
                    print(lines[-1], flush=True)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
