"""What each step of calibration is worth in W8A8, and how much of a network stays in integers, side by side in one run.

    python -m benchmarks.calibration [--models hnerv-bunny,FILE.nerv,...] [--fit FOLDER] [--output FILE]

hnerv-bunny is the video that the HNeRV authors published, if the golden files lie beside the checkout. --fit makes
small networks of every architecture that decodes in integers first, those that are not in the folder yet: 16 frames
at 320x160, 900 epochs or four minutes.

Rows, the first five each with all that stands above it; by OpenVINO, all that is large in integers (what has less than
0.5 % of the products stays in floats), the rest in bfloat16 where the processor has it:

    min-max       one unit per map and per output of the weights, from the largest values
    +clipping     both of least squared error
    +bias         corrected by the measured means
    +units        one unit per channel of a map
    +weights      weights rounded by the covariance of their inputs
    chosen        what a user gets: the rest in float32, and convolutions in floats, where `loss.need` asks for it
    carried       what a user gets of a file that brings its calibration
    float         nothing in integers
    native        our kernels, W8A16, as a user gets them

Columns: share of all products in integers; what the rest is computed in; PSNR against float32, of all frames compared
together and of the worst (peak 1); what the video loses against its source, in dB, mean and worst frame; frames per
second of one thread's own time, and the same relative to all integers ("+weights").
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from app.core.clips import open_original
from benchmarks.decode import GOLDEN, load
from benchmarks.side import CLIP, ROOT, write_table
from ffmpeg_bridge import open_source
from nervplay.codec import NeuralVideo, open_nerv, pack
from nervplay.decode import open_decoder
from nervplay.decode.calibration import MEASURED, calibrate, spread
from nervplay.decode.carried import carried_records, every_convolution
from nervplay.decode.graph import trace
from nervplay.decode.loss import fitted_db, need, told
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.native.library import load as load_kernels
from nervplay.decode.native_decoder import NET_RECORD, STREAM_RECORD
from nervplay.decode.native_decoder import RECORD as W8A16
from nervplay.decode.observed import Moments, Spread, as_rows
from nervplay.decode.openvino.bench import OpenvinoBench
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.runtime import has_bfloat16
from nervplay.decode.openvino.translate import write
from nervplay.decode.portable import with_calibration
from nervplay.decode.quantise import Integers, Units, in_steps, weights8
from nervplay.decode.reconstruct import corrected, fit_units, integers
from nervplay.decode.tiles import Tiles
from nervplay.decode.w8a8 import RECORD as W8A8
from nervplay.decode.w8a8 import channels_of, importance
from nervplay.video import FrameSource
from nervplay.video.spec import VideoSpec
from nervplay.video.transform import FrameTransform

FITTED = (
    "nerv", "e-nerv", "hnerv", "snerv", "snerv-t", "hinerv", "srnerv", "pnerv", "dnerv", "nerv-lrconv", "nerv-ghost",
    "nerv-binary",
)  # fmt: skip
COLUMNS = (
    "model", "way", "int_share", "rest", "db_mean", "db_worst", "loss_mean", "loss_worst", "fps", "x_all_int8"
)  # fmt: skip
ALL_INTEGERS = "+weights"
COMPARED = 8
Frame = NDArray[np.float32]
Draw = Callable[[int], Frame]


def fit_missing(folder: Path) -> list[str]:
    """Fit the small networks that are not in a folder; return all their files."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--frames", "0:16", "--scale", "320x160", "--epochs", "900", "--time-limit", "4m", "--speed", "fast"]
    options += ["--audio", "none", "--device", "cpu", "--resume"]
    files = [folder / f"{name}-tiny.nerv" for name in FITTED]
    for file in files:
        if not file.exists():
            command = [sys.executable, "-m", "app.cli", "encode", CLIP, file, "--preset", file.stem, *options]
            subprocess.run(command, check=True, cwd=ROOT)
    return [str(file) for file in files]


def opened(name: str) -> tuple[NeuralVideo, FrameSource]:
    """Return a neural video and its source."""
    if name != "hnerv-bunny":
        video = open_nerv(name)
        return video, open_original(CLIP, video.file.source, video.spec)
    network = load(name)
    config = network.config
    source = FrameTransform(crop=(config.width, config.height)).apply(open_source(CLIP))
    spec = VideoSpec(width=config.width, height=config.height, frame_count=config.frame_count, rate=source.spec.rate)
    published = json.loads((GOLDEN / "metrics.json").read_text())
    recipe = told(published["summary"]["mean_psnr"])
    return NeuralVideo(file=pack(network, spec, recipe=recipe), model=network, file_bytes=0), source


class Ladder:
    """A network, its inputs seen once, in integers by one way after the other."""

    def __init__(self, video: NeuralVideo) -> None:
        self.graph = trace(video.model)
        self.lowered = lower(self.graph, 1)
        tiles = Tiles.whole(video.spec.height, video.spec.width)
        self.bench = OpenvinoBench(self.graph, self.lowered, 1, tiles, bfloat16=has_bfloat16())
        self.convs = self.bench.convolutions()
        self.moments = {conv: Moments(conv) for conv in self.convs}
        self.apart = {conv: Spread(channels_of(conv)) for conv in self.convs}
        self.pooled = {conv: Spread(1) for conv in self.convs}
        looking = OpenvinoProgram(self.graph, write(self.graph, self.lowered, watched=self.convs), 1)
        for index in spread(video.spec.frame_count, MEASURED, 0.0):
            for conv, array in zip(self.convs, looking.maps(index), strict=True):
                maps = torch.from_numpy(array)
                self.moments[conv].add(maps)
                self.apart[conv].add(as_rows(maps))
                self.pooled[conv].add(as_rows(maps).reshape(-1, 1))

    def share(self, convs: Iterable[Conv]) -> str:
        """Return the part of all products of convolutions and linear layers that these have."""
        every = every_convolution(self.lowered)
        return f"{sum(conv.multiplications for conv in convs) / sum(conv.multiplications for conv in every):.3f}"

    def share_of(self, record: bytes, *, steps: bool) -> str:
        """Return the part of all products that a record says to be in integers; `steps` for one of whole steps."""
        every = every_convolution(self.lowered)  # fewer than 128: their number takes one byte
        flags = np.unpackbits(np.frombuffer(record[1:], np.uint8), count=len(every), bitorder="little").astype(bool)
        if steps:  # the first layer of a step stands for the second, too, which follows it
            flags[1:] |= flags[:-1] & np.array([conv.rows for conv in every[:-1]])
        return self.share(conv for conv, flag in zip(every, flags, strict=True) if flag)

    def ways(self) -> Iterator[tuple[str, dict[Conv, Integers]]]:
        """Yield the ways by name, and the integers of each convolution."""
        yield "min-max", {conv: rounded(conv, self._largest(conv), clip=False) for conv in self.convs}
        clipped = {conv: rounded(conv, self._one_unit(conv)) for conv in self.convs}
        yield "+clipping", clipped
        yield "+bias", {conv: self._corrected(conv, found) for conv, found in clipped.items()}
        units = {conv: self._units(conv) for conv in self.convs}
        yield "+units", {conv: self._corrected(conv, rounded(conv, units[conv])) for conv in self.convs}
        seen = {conv: (self.apart[conv], self.moments[conv]) for conv in self.convs}
        yield ALL_INTEGERS, {conv: integers(conv, units[conv], *seen[conv]) for conv in self.convs}

    def _corrected(self, conv: Conv, found: Integers) -> Integers:
        return corrected(conv, found, self.apart[conv], self.moments[conv])

    def _largest(self, conv: Conv) -> Units:
        low, high = float(self.pooled[conv].low[0]), float(self.pooled[conv].high[0])
        unit = max((high - low) / 255, 1e-12)
        zero = int(np.clip(np.floor(-128 - low / unit + 0.5), -128, 127))
        return Units(np.full(channels_of(conv), unit, np.float32), zero)

    def _one_unit(self, conv: Conv) -> Units:
        found = fit_units(self.pooled[conv], np.ones(1))
        return found._replace(scale=np.full(channels_of(conv), found.scale[0], np.float32))

    def _units(self, conv: Conv) -> Units:
        readers = [one for one in self.convs if one.source is conv.source]
        return fit_units(self.apart[conv], sum((importance(one) for one in readers), np.zeros(1)))

    def program(self, found: Mapping[Conv, Integers]) -> OpenvinoProgram:
        """Return what runs the network with these integers."""
        return self.bench.program({conv: item.to_bytes() for conv, item in found.items()}, self.bench.rests()[0])


def rounded(conv: Conv, units: Units, *, clip: bool = True) -> Integers:
    """Return a convolution with each weight rounded by itself."""
    weight = in_steps(conv.weight, units, depthwise=conv.depthwise)
    if clip:
        return Integers(units, *weights8(weight), conv.bias)
    unit = np.maximum(np.abs(weight).reshape(len(weight), -1).max(axis=1) / 127, 1e-12).astype(np.float32)
    whole = np.rint(weight / unit[:, None, None, None]).astype(np.int8)
    return Integers(units, whole, unit, conv.bias)


class Judge:
    """Compares frames with float32 and with the source."""

    def __init__(self, video: NeuralVideo, source: FrameSource) -> None:
        self.indices = spread(video.spec.frame_count, COMPARED, 0.4)
        with open_decoder(video, device="cpu", backend="torch-fast", threads=1) as decoder:
            self.exact = [decoder.float_frame(i).clip(0, 1) for i in self.indices]
        self.sources = [source.frame(i).transpose(2, 0, 1) / np.float32(255) for i in self.indices]
        self.best = [decibels(a, b) for a, b in zip(self.exact, self.sources, strict=True)]

    def figures(self, draw: Draw) -> list[str]:
        """Return the four figures of quality."""
        frames = [draw(i).clip(0, 1) for i in self.indices]
        errors = [float(np.square(a - b, dtype=np.float64).mean()) for a, b in zip(frames, self.exact, strict=True)]
        losses = [best - decibels(a, b) for best, a, b in zip(self.best, frames, self.sources, strict=True)]
        against = [-10 * np.log10(error + 1e-15) for error in (np.mean(errors), max(errors))]
        return [*(f"{value:.2f}" for value in against), f"{np.mean(losses):.3f}", f"{max(losses):.3f}"]


def decibels(one: Frame, other: Frame) -> float:
    """Return the PSNR of floats in [0, 1]."""
    return float(-10 * np.log10(np.square(one - other, dtype=np.float64).mean() + 1e-15))


def turns(ways: Mapping[str, Draw], count: int) -> dict[str, float]:
    """Return the median of seconds of a processor per frame of each way, drawn in turns; all have one thread."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, count):
        for name, draw in list(ways.items())[:: 1 if turn % 2 else -1]:
            draw(0)  # what it does to caches is its own
            begin = time.process_time()
            draw(1)
            if turn >= 0:
                seconds[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def drawing(program: OpenvinoProgram) -> Draw:
    """Return what draws frames with a program."""
    return lambda index: program.run(index)[0].numpy()


class Way(NamedTuple):
    """One way to compute a network: what draws its frames, its share of integer products, what the rest is in."""

    draw: Draw
    share: str
    rest: str


def ways_of(ladder: Ladder, video: NeuralVideo) -> dict[str, Way]:
    """Return all ways but those of decoders, by name."""
    fastest = ladder.bench.rests()[0]
    ways = {way: Way(drawing(ladder.program(found)), ladder.share(found), fastest) for way, found in ladder.ways()}
    kept = calibrate(ladder.bench, video.spec.frame_count, need(fitted_db(video.file.recipe)), kind="benchmark")
    ways["chosen"] = Way(drawing(ladder.bench.program(*kept)), ladder.share(kept.peaks), kept.rest)
    floats = OpenvinoProgram(ladder.graph, write(ladder.graph, ladder.lowered), 1, bfloat16=fastest == "bfloat16")
    return ways | {"float": Way(drawing(floats), "0.000", fastest)}


def measure(name: str, count: int) -> list[tuple[object, ...]]:
    """Return the rows of one network."""
    video, source = opened(name)
    ladder = Ladder(video)
    ways = ways_of(ladder, video)
    ready = replace(video, file=with_calibration(video, threads=1))
    records = carried_records(ready.file)
    with source, ExitStack() as stack:
        native = next(name for name in (NET_RECORD, STREAM_RECORD, W8A16) if name in records)
        for way, backend, record in (("carried", "openvino", W8A8), ("native", "native", native)):
            decoder = open_decoder(ready, device="cpu", backend=backend, precision="int8", threads=1)
            draw = stack.enter_context(decoder).float_frame
            rest = decoder.backend_note.partition(" in the others")[0].rpartition(", ")[2]
            ways[way] = Way(draw, ladder.share_of(records[record], steps=record == STREAM_RECORD), rest)
        judge = Judge(video, source)
        seconds = turns({way: it.draw for way, it in ways.items()}, count)
        return [
            (
                Path(name).stem, way, it.share, it.rest, *judge.figures(it.draw), f"{1 / seconds[way]:.2f}",
                f"{seconds[ALL_INTEGERS] / seconds[way]:.3f}",
            )
            for way, it in ways.items()
        ]  # fmt: skip


def main() -> None:
    """Measure and print the table; write it where --output says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="hnerv-bunny" if GOLDEN.is_dir() else "")
    parser.add_argument("--fit", type=Path, help="folder of small networks of other architectures; made where missing")
    parser.add_argument("--turns", type=int, default=6, help="timed frames of each way")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    names = list(filter(None, options.models.split(","))) + (fit_missing(options.fit) if options.fit else [])
    rows: list[tuple[object, ...]] = []
    print("\t".join(COLUMNS), flush=True)
    load_kernels()  # they are in the user's cache
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache  # the user's has nothing to do with this
        for name in names:
            rows += (made := measure(name, options.turns))
            print("\n".join("\t".join(map(str, row)) for row in made), flush=True)
    if options.output:
        command = f"python -m benchmarks.calibration {' '.join(sys.argv[1:])}".rstrip()
        write_table(options.output, command, "cpu", COLUMNS, rows)


if __name__ == "__main__":
    main()
