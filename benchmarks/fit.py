"""Fitting at equal quality: ours against a plain loop in the manner of the official scripts, on the same machine.

    python -m benchmarks.fit [--presets hnerv-sample-320x180] [--size 320x180] [--frames 16] [--epochs 20]
    python -m benchmarks.fit --seeds 12 --speeds fast --output benchmarks/results/fit-seeds.tsv

Both read the same PNG files. The plain loop does so through a DataLoader, one or two frames a step, and trains
eagerly in float32 with Adam; like the official scripts it looks at loss and PSNR in every step.
Ours makes the same number of updates with the same batch size and schedule. Both draw the same initial weights and
meet the frames in the same order; the networks are measured the same way at the end, all frames, float32. `seconds` is
wall time of the fit; `cpu_seconds` is processor time, which a busy machine changes less; `speedup` is the plain loop's
seconds over ours, by processor time on one thread of a CPU, by wall time otherwise: threads that wait count as work.
They do so by turning in circles, so with several threads the machine must have nothing else to do. Compiling counts,
but for the C kernels of `fast`, which are compiled once per computer.

Rounding takes so short a fit another way, so what one fit ends with says little about quality. With `--seeds N` each is
made N times, seeds 1 .. N, in pairs with equal weights and order of frames. Rows are then means; `difference_db` is the
mean of ours minus plain, `error_db` its standard error, `pairs_db` the difference of each seed.
"""

import argparse
import gc
import itertools
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.side import ROOT, open_clip, write_table
from nervplay.metrics import float_psnr
from nervplay.models import VideoModel, resolve_preset
from nervplay.training import SPEEDS, Recipe, build_for_training, fit, get_loss, parse_schedule
from nervplay.training.frames import epoch_order
from nervplay.training.native.library import kernels
from nervplay.training.schedule import Position
from nervplay.video import FrameSource, ImageFolderSource

SEED_COLUMNS = ("difference_db", "error_db", "pairs_db")
COLUMNS = ("preset", "way", "batch", "updates", "psnr_db", "seconds", "cpu_seconds", "speedup")


class Pictures(Dataset[tuple[int, Tensor]]):
    """PNG files, decoded whenever they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        with Image.open(self._paths[index]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        return index, torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


class Order(Sampler[int]):
    """The order in which our fits meet the frames, epoch by epoch.

    Args:
        seed: of the recipe.
        count: frames.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._seed, self._count, self._epochs = seed, count, itertools.count()

    def __iter__(self) -> Iterator[int]:
        yield from epoch_order(self._seed, next(self._epochs), self._count).tolist()

    def __len__(self) -> int:
        return self._count


class Timing(NamedTuple):
    """Seconds of wall time and of processor time."""

    wall: float
    processor: float


def timed(work: Callable[[], None], device: str) -> Timing:
    """Run `work` and return what it took, on all threads and in processes that have ended."""

    def processor() -> float:
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(it.ru_utime + it.ru_stime for it in usage)

    wall, before = time.perf_counter(), processor()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return Timing(time.perf_counter() - wall, processor() - before)


def warm(device: str) -> None:
    """Load what PyTorch loads with the first convolution on a GPU, which is on no loop's account."""
    if device.startswith("cuda"):
        layer = torch.nn.Conv2d(3, 3, 3).to(device)
        layer(torch.zeros(1, 3, 16, 16, device=device)).sum().backward()
        torch.cuda.synchronize(device)


def plain_loop(model: VideoModel, folder: Path, recipe: Recipe, device: str) -> None:
    """Fit as the official scripts do."""
    pictures = Pictures(folder)
    order = Order(recipe.seed, len(pictures))
    loader = DataLoader(pictures, batch_size=recipe.batch_size, sampler=order, num_workers=2, drop_last=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, betas=(recipe.betas[0], recipe.betas[1]))
    loss_of, schedule = get_loss(recipe.loss), parse_schedule(recipe.schedule)
    frame_count = model.config.frame_count
    for epoch in range(recipe.epochs):
        psnrs = []
        for step, (index, frames) in enumerate(loader):
            position = Position(epoch, recipe.epochs, step, len(loader), frame_count)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * schedule(position)
            pairs = model.training_pairs(index.to(device), frames.to(device))
            loss = torch.stack([pair.weight * loss_of(pair.prediction, pair.target) for pair in pairs]).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.grad_clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.grad_clip)
            optimiser.step()
            psnrs.append(float_psnr(pairs[-1].prediction, pairs[-1].target).mean().item())


def unpack(size: str, count: int, folder: Path) -> None:
    """Write the first frames of the clip as PNG files.

    The decoder is gone at the end: in a process that a DataLoader forks, it would wait for threads that are not there.
    """
    for index, frame in enumerate(open_clip(size, count).frames()):
        Image.fromarray(frame).save(folder / f"{index:05}.png")
    gc.collect()


@torch.no_grad()
def quality(model: VideoModel, clip: FrameSource) -> float:
    """Return the mean PSNR of all frames in dB, the embeddings stored anew, in float32."""
    model = model.cpu().float().eval()
    psnrs = []
    for index, frame in enumerate(clip.frames()):
        place = torch.tensor([index])
        target = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 255
        if model.source_index(place).ndim > 1:
            raise SystemExit("networks that read neighbouring frames are not part of this benchmark")
        model.store_embeddings(place, target)
        psnrs.append(float_psnr(model(place), target).item())
    return float(np.mean(psnrs))


class Fitted(NamedTuple):
    """How one fit ended: PSNR in dB, and what it took."""

    psnr_db: float
    timing: Timing


def compare(preset: str, seed: int, folder: Path, options: argparse.Namespace) -> dict[str, Fitted]:
    """Return how the plain loop and each of our ways end with one seed, by name."""
    clip = ImageFolderSource(folder)
    architecture, found = resolve_preset(preset)
    config = found.configure(clip.spec.width, clip.spec.height, clip.spec.frame_count)
    base = Recipe.from_json(dict(found.recipe)).replace(
        epochs=options.epochs, batch_size=options.batch, phases=(), seed=seed
    )
    ended: dict[str, Fitted] = {}

    def note(way: str, model: VideoModel, timing: Timing) -> None:
        ended[way] = Fitted(quality(model, clip), timing)
        print(preset, way, seed, f"{ended[way].psnr_db:.3f}", f"{timing.processor:.1f}", sep="\t", flush=True)

    model = build_for_training(architecture.name, config, base).to(options.device).train()
    note("plain", model, timed(lambda: plain_loop(model, folder, base, options.device), options.device))
    for speed in options.speeds.split(","):
        ours, recipe = build_for_training(architecture.name, config, base), base.replace(speed=speed)
        timing = timed(lambda: fit(ours, clip, recipe, device=options.device) and None, options.device)  # noqa: B023
        note(speed, ours, timing)
    return ended


def table(preset: str, runs: list[dict[str, Fitted]], options: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return one row for each way: figures are means over the runs, one per seed."""
    which = "processor" if options.device == "cpu" and options.threads == 1 else "wall"
    updates = options.epochs * (options.frames // options.batch)
    rows: list[tuple[object, ...]] = []
    for way in runs[0]:
        fitted = [run[way] for run in runs]
        psnr, wall, processor = np.mean([(it.psnr_db, *it.timing) for it in fitted], axis=0)
        plain = np.mean([getattr(run["plain"].timing, which) for run in runs])
        speedup = plain / (wall if which == "wall" else processor)
        row = (preset, way, options.batch, updates, f"{psnr:.3f}", f"{wall:.1f}", f"{processor:.1f}", f"{speedup:.2f}")
        if len(runs) > 1:
            pairs = [run[way].psnr_db - run["plain"].psnr_db for run in runs]
            error = np.std(pairs, ddof=1) / len(pairs) ** 0.5
            row += (f"{np.mean(pairs):+.3f}", f"{error:.3f}", " ".join(f"{it:+.3f}" for it in pairs))
        rows.append(row)
    return rows


def main() -> None:
    """Compare all presets and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="hnerv-sample-320x180,nerv-tiny")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--speeds", default=",".join(SPEEDS))
    parser.add_argument("--seeds", type=int, default=1, help="pairs of fits, for a mean difference and its error")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch's threads; 0: its own choice")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "fit.tsv")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.threads = torch.get_num_threads()
    kernels()  # compiled, if they are not yet
    warm(options.device)
    # the first optimiser of a process imports PyTorch's compiler for more than a second, at the cost of the first loop
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        unpack(options.size, options.frames, Path(folder))
        for preset in options.presets.split(","):
            runs = [compare(preset, seed, Path(folder), options) for seed in range(1, options.seeds + 1)]
            rows += table(preset, runs, options)
    columns = COLUMNS if options.seeds == 1 else COLUMNS + SEED_COLUMNS
    write_table(options.output, f"python -m benchmarks.fit {' '.join(sys.argv[1:])}", options.device, columns, rows)


if __name__ == "__main__":
    main()
