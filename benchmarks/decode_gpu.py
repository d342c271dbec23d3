"""Decoding on a GPU: every precision of the "cuda" backend beside the official way, side by side in one run.

    python benchmarks/decode_gpu.py [--models hnerv-bunny,...] [--frames 200] [--rounds 5] [--output FILE]

Rows, per network:
    official          eager PyTorch as the official codes decode, NCHW at batch 1, with PyTorch's defaults (convolutions
                      in TF32), frames left on the GPU
    official-ieee     the same with TF32 switched off
    cuda PRECISION    our decoder

Columns: frames per second without copies to the host (median of turns that alternate between all rows), the ratios to
`official` and to our bf16, frames per second of `frames()` with every frame in the host's memory as uint8, milliseconds
from a seek to the frame there (median and 95th percentile), PSNR against eager float32 on the CPU (mean and worst
frame, peak 1), and against the source where there is one. Networks but the published one have random weights: their
speed is real, their pictures are noise. What a way lacks, or fails at, is said in a line that begins with #, and the
others go on; the file is written anew behind every network.

`--tiles` measures the INT8 kernel alone instead, per convolution of each network and size of block: what
`nervplay.decode.cuda.packing.choose_tile` should be told. Without a GPU: one line and exit code 6.
"""

import argparse
import contextlib
import copy
import itertools
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import decode as cpu_benchmark
import numpy as np
import torch

from nervplay import __version__
from nervplay.codec import NeuralVideo, pack
from nervplay.decode import open_decoder
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.cuda.engines import triton_engine
from nervplay.decode.cuda.packing import ALIGNMENT, Tile, map_size, takes
from nervplay.decode.cuda.packing import pack as pack_layer
from nervplay.decode.cuda.usable import why_not_usable
from nervplay.decode.graph import trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.native.packing import padded
from nervplay.decode.quantise import Integers, Units, in_steps, weights8
from nervplay.errors import CapabilityError
from nervplay.models import VideoModel, build_model
from nervplay.models.hnerv import config_for_size
from nervplay.tf32 import tf32_set
from nervplay.video.spec import VideoSpec

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8")
COLUMNS = (
    "model", "way", "fps_on_gpu", "x_official", "x_bf16", "fps_to_host", "seek_ms_p50", "seek_ms_p95", "db_mean",
    "db_worst", "db_source",
)  # fmt: skip
TILES = [Tile(m, n, k, 16, warps, stages, cached) for m in (64, 128, 256) for n in (16, 32, 64, 128, 256)
         for k in (64, 128) for warps in (4, 8) for stages, cached in ((1, False), (3, False), (3, True), (4, True))
         if m * n <= 128 * 256]  # fmt: skip
COMPARED = (3, 40, 77, 114)
GPU = torch.device("cuda")
FULL_HD = "hnerv-3m-1080p"
"""A network of this benchmark alone: HNeRV of 3 M parameters for 1920x1080."""


def load(name: str) -> VideoModel:
    """Return a network; see `decode.load`."""
    if name != FULL_HD:
        return cpu_benchmark.load(name)
    torch.manual_seed(0)
    return build_model("hnerv", config_for_size(1920, 1080, 600, 3_000_000)).eval()


class Official:
    """The official way: eager, one frame after the other, with PyTorch's settings as they are, but for TF32."""

    def __init__(self, model: VideoModel, *, tf32: bool) -> None:
        self._model, self._tf32 = copy.deepcopy(model).to(GPU), tf32
        self._indices = torch.arange(model.config.frame_count, device=GPU)

    @torch.inference_mode()
    def run(self, index: int) -> torch.Tensor:
        """Return frame `index` on the GPU."""
        with contextlib.nullcontext() if self._tf32 else tf32_set(allowed=False):
            made: torch.Tensor = self._model(self._indices[index : index + 1])
        return made

    def floats(self, index: int) -> np.ndarray:
        """Return frame `index`, float32 (3, H, W)."""
        return self.run(index)[0].float().cpu().numpy()

    def to_host(self, index: int) -> object:
        """Return frame `index` as the official codes bring it to the host."""
        return self.run(index)[0].cpu()


class Ours:
    """A precision of our decoder."""

    def __init__(self, model: VideoModel, spec: VideoSpec, precision: str) -> None:
        video = NeuralVideo(file=pack(model, spec), model=model, file_bytes=0)
        made = open_decoder(video, device="cuda", backend="cuda", precision=precision)
        assert isinstance(made, CudaDecoder)
        self.decoder = made

    def run(self, index: int) -> object:
        """Start frame `index`, which stays on the GPU."""
        return self.decoder.device_frame(index)

    def floats(self, index: int) -> np.ndarray:
        """Return frame `index`, float32 (3, H, W)."""
        return self.decoder.float_frame(index)

    def to_host(self, index: int) -> object:
        """Return frame `index` as uint8 on the host."""
        return self.decoder.frame(index)


def seconds(run: Callable[[int], object], count: int, frame_count: int) -> float:
    """Return the seconds per frame of `count` frames in a row, until the GPU is done."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for i in range(count):
        run(i * 7 % frame_count)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def streamed(way: Official | Ours, count: int, frame_count: int) -> float:
    """Return the seconds per frame of a stream into the host's memory."""
    if isinstance(way, Official):
        return seconds(way.to_host, count, frame_count)
    start = time.perf_counter()
    for frame in way.decoder.frames(i % frame_count for i in range(count)):
        frame[0, 0, 0]
    return (time.perf_counter() - start) / count


def seeks(way: Official | Ours, frame_count: int) -> list[float]:
    """Return the milliseconds of 60 seeks, sorted."""
    taken = []
    for i in range(60):
        torch.cuda.synchronize()
        start = time.perf_counter()
        way.to_host(i * 53 % frame_count)
        taken.append((time.perf_counter() - start) * 1e3)
    return sorted(taken)


def measure(name: str, options: argparse.Namespace) -> list[str]:
    """Return the rows of one network."""
    model = load(name)
    config = model.config
    count = config.frame_count
    spec = VideoSpec(width=config.width, height=config.height, frame_count=count, rate=Fraction(25))
    indices = [i % count for i in COMPARED]
    with torch.inference_mode():
        exact = [model(torch.tensor([i]))[0].numpy() for i in indices]
    sources = cpu_benchmark.source_frames(indices) if name == "hnerv-bunny" else {}
    makers: dict[str, Callable[[], Official | Ours]] = {
        "official": lambda: Official(model, tf32=True),
        "official-ieee": lambda: Official(model, tf32=False),
    }
    makers |= {f"cuda {precision}": partial(Ours, model, spec, precision) for precision in PRECISIONS}
    turns: dict[str, list[float]] = {way: [] for way in makers}
    ways: dict[str, Official | Ours] = {}
    for way, make in makers.items():
        with told(f"{name} {way}"):
            ways[way] = make()
    for turn in range(options.rounds + 1):
        for way in list(ways) if turn % 2 == 0 else reversed(list(ways)):
            with told(f"{name} {way}") as failed:
                turns[way].append(seconds(ways[way].run, options.frames, count))
            if failed:
                del ways[way]
    rows = []
    medians = {way: statistics.median(turns[way][1:]) for way in ways}
    official, half = (medians.get(way, math.nan) for way in ("official", "cuda bf16"))
    for way, runner in ways.items():
        with told(f"{name} {way}"):
            own = [runner.floats(i) for i in indices]
            errors = [cpu_benchmark.decibels(a, b) for a, b in zip(own, exact, strict=True)]
            against = [
                cpu_benchmark.decibels(a.clip(0, 1), sources[i]) for a, i in zip(own, indices, strict=True) if sources
            ]
            waited = seeks(runner, count)
            one = medians[way]
            stream = statistics.median(streamed(runner, options.frames, count) for _ in range(options.rounds))
            ratios = (f"{official / one:.2f}", f"{half / one:.2f}")
            figures = (f"{1 / one:.1f}", *ratios, f"{1 / stream:.1f}", f"{waited[30]:.3f}")
            quality = (f"{np.mean(errors):.1f}", f"{min(errors):.1f}", f"{np.mean(against):.3f}" if against else "-")
            rows.append("\t".join((name, way, *figures, f"{waited[57]:.3f}", *quality)))
            if isinstance(runner, Ours):
                print(f"# {name} {way}: {runner.decoder.backend_note}", flush=True)
                runner.decoder.close()
    return rows


@contextlib.contextmanager
def told(what: str) -> Iterator[list[Exception]]:
    """Go on behind the block where it fails, which a line tells; yield a list that holds the error then."""
    failed: list[Exception] = []
    try:
        yield failed
    except Exception as error:  # noqa: BLE001 - what was measured before must not be lost, whatever a GPU fails with
        failed.append(error)
        print(f"# {what}: {type(error).__name__}: {str(error).partition(chr(10))[0]}", flush=True)


def convolutions(name: str) -> list[Conv]:
    """Return the convolutions of a network that the kernel takes."""
    steps = lower(trace(load(name)), 99).steps
    return [conv for step in steps if isinstance(step, list) for conv in step if takes(conv)]


def time_tiles(name: str) -> list[str]:
    """Return the best five sizes of blocks of each convolution, in microseconds."""
    from triton.testing import do_bench  # noqa: PLC0415 - optional

    engine, rows = triton_engine(), []
    for conv in convolutions(name):
        units = Units(np.full(conv.weight.shape[1], 0.02, np.float32), -100)
        rounded = Integers(units, *weights8(in_steps(conv.weight, units)), conv.bias)
        behind = Units(np.full(conv.weight.shape[0] // conv.shuffle**2, 0.02, np.float32), -100)
        generator = torch.Generator(GPU).manual_seed(0)
        x = torch.randint(-128, 128, map_size(conv), dtype=torch.int8, device=GPU, generator=generator)
        stored = padded(len(behind.scale), ALIGNMENT)
        shape = (conv.batch, *(size * conv.shuffle for size in conv.out_size), stored)
        out = torch.zeros(shape, dtype=torch.int8, device=GPU)
        found = []
        for tile in TILES:
            if tile.n > max(32, 2 * stored * conv.shuffle**2):
                continue
            layer = pack_layer(conv, GPU, integers=rounded, target=behind, stored=stored, tile=tile)
            try:
                found.append((do_bench(partial(engine, layer, x, out), return_mode="median") * 1e3, tile))
            except Exception as error:  # noqa: BLE001 - Triton has many for a block that does not fit
                print(f"# {conv.weight.shape} {tile}: {type(error).__name__}", flush=True)
        label = "x".join(map(str, conv.weight.shape))
        rates = itertools.islice(sorted(found), 5)
        rows += [
            f"{name}\t{label}\t{conv.size}\t{tuple(tile)}\t{us:.1f}\t{2 * conv.multiplications / us / 1e6:.1f}"
            for us, tile in rates
        ]
    return rows


def head_lines(columns: tuple[str, ...]) -> list[str]:
    """Return what a result file starts with."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(
        git, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    return [
        f"# nervplay {__version__} at {commit}, torch {torch.__version__}, {torch.cuda.get_device_name(GPU)}",
        f"# python benchmarks/decode_gpu.py {' '.join(sys.argv[1:])}".rstrip(),
        "\t".join(columns),
    ]


def main() -> None:
    """Measure and print the table; write it where --output says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*(cpu_benchmark.MODELS if cpu_benchmark.GOLDEN.is_dir() else cpu_benchmark.PRESETS), FULL_HD)
    parser.add_argument("--models", default=",".join(known))
    parser.add_argument("--frames", type=int, default=200, help="frames of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", action="store_true", help="measure sizes of blocks instead")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    reason = why_not_usable(GPU)
    if reason:
        print(f"this benchmark needs a GPU: {reason}", file=sys.stderr)
        raise SystemExit(CapabilityError.exit_code)
    lines = head_lines(("model", "convolution", "map", "tile", "us", "tops") if options.tiles else COLUMNS)
    print("\n".join(lines), flush=True)
    for name in options.models.split(","):
        with told(name):
            for row in time_tiles(name) if options.tiles else measure(name, options):
                lines.append(row)
                print(row, flush=True)
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
