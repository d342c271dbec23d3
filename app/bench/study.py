"""Measuring one file in every backend and precision that this machine has: `run_bench`.

Each backend and precision runs in a process of its own, one after the other: what one does to memory or threads does
not help or hinder another. The first is the reference, eager PyTorch in float32 on the CPU, with whose frames all
others are compared before they are rounded.
"""

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.bench.process import run_child
from nervplay.choices import BACKENDS, GPU_PRECISIONS, PRECISIONS
from nervplay.codec import NeuralVideo
from nervplay.decode.calibration import spread
from nervplay.decode.native_decoder import core_count
from nervplay.decode.rounding import round_frame
from nervplay.errors import CapabilityError
from nervplay.metrics.psnr import psnr
from nervplay.models.cost import measure_cost
from nervplay.video.source import FrameSource

__all__ = ["REFERENCE", "Bench", "Row", "Wish", "devices_here", "run_bench"]

REFERENCE = ("cpu", "torch", "fp32")
COMPARED = 4
"""Frames whose quality is measured; floats of 3840x2160 take 100 MB each."""
_NOTHING: dict[str, list[int]] = {"stream": [], "seeks": [], "keep": []}
Tell = Callable[[float, str], None]
_PRODUCTS = {"INT16": "FP32", "FP16": "BF16"}
"""Arithmetic without a peak of its own, and whose stands in: PyTorch has no product of INT16, and FP16 is as fast."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to measure.

    Args:
        devices: "cpu", "cuda:0".
        backends: of `BACKENDS`, "auto" excluded.
        precisions: of `PRECISIONS`.
        threads: processor cores to use; None for all.
        frames: frames of the stream, and half as many seeks.
    """

    devices: Sequence[str]
    backends: Sequence[str] = tuple(name for name in BACKENDS if name != "auto")
    precisions: Sequence[str] = PRECISIONS
    threads: int | None = None
    frames: int = 24

    def configurations(self) -> list[tuple[str, str, str]]:
        """Return (device, backend, precision), the reference first where it is among them; a GPU's on a GPU only."""
        every = [
            (device, backend, precision)
            for device in self.devices
            for backend in self.backends
            for precision in self.precisions
            if device.startswith("cuda") or not (backend == "cuda" or precision in GPU_PRECISIONS)
        ]
        return sorted(every, key=lambda it: it != REFERENCE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One backend in one precision.

    Args:
        device: where it ran.
        backend: its name.
        precision: as it is asked for.
        arithmetic: what most products are computed in.
        note: what the backend says of itself.
        fps: frames per second of a stream.
        real_time: the same over the clip's rate.
        first_ms: from opening the file to the first frame, in milliseconds; of the process nothing else.
        seek_ms: p50 and p95 of a frame asked for by itself, in milliseconds.
        memory: most bytes that the process had in memory.
        device_memory: most bytes on the GPU; 0 without one.
        fp32_db: PSNR against the reference before rounding, peak 1, clipped: mean and worst frame; None untold.
        source_db: PSNR against the source, mean of 8-bit frames; None without one.
        peak_share: arithmetic of the network (2 per multiply-add of its layers) over the measured peak; None untold.
    """

    device: str
    backend: str
    precision: str
    arithmetic: str
    note: str
    fps: float
    real_time: float
    first_ms: float
    seek_ms: tuple[float, float]
    memory: int
    device_memory: int
    fp32_db: tuple[float, float] | None
    source_db: float | None
    peak_share: float | None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What was measured.

    Args:
        rows: one per backend and precision, in the order of `Wish.configurations`.
        unavailable: what is not there and why, a line each.
        peaks: 10**9 operations per second by device and arithmetic.
        gflops: of one frame.
        compared: frames whose quality was measured.
    """

    rows: list[Row] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    peaks: dict[str, dict[str, float]] = field(default_factory=dict)
    gflops: float
    compared: list[int]


def run_bench(
    path: Path,
    video: NeuralVideo,
    wish: Wish,
    *,
    source: FrameSource | None = None,
    progress: Tell | None = None,
) -> Bench:
    """Measure a file.

    Args:
        path: the .nerv file.
        video: the same, opened.
        wish: what to measure.
        source: its source, cut to match; None for none.
        progress: told (configurations done, a fraction of one included, what is running).
    """
    tell = progress or (lambda _done, _what: None)
    count, threads = video.spec.frame_count, wish.threads or core_count()
    order = random.Random(1)  # noqa: S311 - the same seeks for all
    bench = Bench(
        gflops=measure_cost(video.architecture, video.model.config).gflops, compared=spread(count, COMPARED, 0.5)
    )
    job = {
        "kind": "decode",
        "file": str(path),
        "threads": threads,
        "stream": [i % count for i in range(wish.frames)],
        "seeks": [order.randrange(count) for _ in range(max(wish.frames // 2, 1))],
        "keep": bench.compared,
    }
    for device in wish.devices:
        tell(0, f"peak of {device}")
        bench.peaks[device] = run_child({"kind": "peaks", "device": device, "threads": threads})
    missing: dict[tuple[str, str, str], list[str]] = {}
    configurations = wish.configurations()
    with tempfile.TemporaryDirectory() as folder:
        floats = _Floats(Path(folder), bench.compared)
        if configurations[:1] != [REFERENCE]:
            tell(0, "reference")
            floats.fill(job | _NOTHING | {"keep": bench.compared}, REFERENCE)
        for number, configuration in enumerate(configurations):
            try:
                told = _measured(floats, job, configuration, wish.frames, partial(_from, tell, number))
            except CapabilityError as error:
                missing.setdefault((*configuration[:2], str(error)), []).append(configuration[2])
                continue
            bench.rows.append(_row(configuration, told, bench, rate=video.spec.rate, floats=floats, source=source))
    for (device, backend, why), precisions in missing.items():
        bench.unavailable.append(f"{device} {backend} {', '.join(precisions)}: {why}")
    tell(len(configurations), "")
    return bench


def _from(tell: Tell, number: int, part: float, what: str) -> None:
    """Tell how far it is within one configuration."""
    tell(number + part, what)


def _measured(
    floats: "_Floats", job: dict[str, Any], configuration: tuple[str, str, str], frames: int, tell: Tell
) -> dict[str, Any]:
    """Return what the child of a configuration told.

    Raises:
        CapabilityError: it cannot be done here.
    """
    what = " ".join(configuration)
    tell(0, what)
    if configuration[2] == "int8":  # the first use of a file is calibrated, once for ever: not measured
        calibrating = lambda part: tell(0, f"{what}, calibrating {part:.0%}")  # noqa: E731 - a line
        floats.fill(job | _NOTHING, configuration, calibrating=calibrating)
    steps = accumulate(repeat(1 / (1.5 * frames + 2)))
    return floats.fill(job, configuration, lambda: tell(next(steps), what))


class _Floats:
    """Frames before rounding, in files that the children write: those of the reference, those of another."""

    def __init__(self, folder: Path, indices: Sequence[int]) -> None:
        self._folder, self._indices = folder, indices

    def fill(
        self,
        job: dict[str, Any],
        configuration: tuple[str, str, str],
        progress: Callable[[], None] | None = None,
        calibrating: Callable[[float], None] | None = None,
    ) -> dict[str, Any]:
        """Run a job and return what it told; its frames are there afterwards.

        Raises:
            CapabilityError: it cannot be done here.
        """
        folder = self._of(configuration)
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        names = dict(zip(("device", "backend", "precision"), configuration, strict=True))
        return run_child(job | names | {"folder": str(folder)}, progress, calibrating)

    def _of(self, configuration: tuple[str, str, str]) -> Path:
        return self._folder / ("reference" if configuration == REFERENCE else "other")

    def frames(self, configuration: tuple[str, str, str]) -> list[NDArray[np.float32]]:
        """Return the frames, float32 (3, H, W)."""
        return [np.load(self._of(configuration) / f"{index}.npy", mmap_mode="r") for index in self._indices]


def _row(
    configuration: tuple[str, str, str],
    told: dict[str, Any],
    bench: Bench,
    *,
    rate: Fraction,
    floats: _Floats,
    source: FrameSource | None,
) -> Row:
    """Return the row of what a child told and wrote."""
    device, backend, precision = configuration
    own = floats.frames(configuration)
    pairs = zip(own, floats.frames(REFERENCE), strict=True)
    against = [_decibels(ours, exact) for ours, exact in pairs]
    on_source = [
        psnr(round_frame(np.array(ours)), source.frame(index))
        for ours, index in zip(own, bench.compared, strict=True)
        if source is not None
    ]
    fps = len(told["stream"]) / sum(told["stream"])
    arithmetic = told["arithmetic"]
    peak = _peak(bench.peaks[device], arithmetic)
    return Row(
        device=device,
        backend=backend,
        precision=precision,
        arithmetic=arithmetic,
        note=told["note"],
        fps=fps,
        real_time=fps / float(rate),
        first_ms=1000 * told["first"],
        seek_ms=(1000 * _percentile(told["seeks"], 50), 1000 * _percentile(told["seeks"], 95)),
        memory=told["bytes"],
        device_memory=told["device_bytes"],
        fp32_db=(math.fsum(against) / len(against), min(against)),
        source_db=math.fsum(on_source) / len(on_source) if on_source else None,
        peak_share=fps * bench.gflops / peak if peak else None,
    )


def _peak(found: Mapping[str, float], arithmetic: str) -> float | None:
    """Return the peak that an arithmetic stands against, None where there is none.

    Products slower than those of FP32 are made without instructions of their own: they are no peak of the machine.
    """
    own = found.get(_PRODUCTS.get(arithmetic, arithmetic))
    return own and max(own, found["FP32"])


def _percentile(values: Sequence[float], percent: int) -> float:
    return float(np.percentile(values, percent))


def _decibels(ours: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Return the PSNR of floats after clipping to [0, 1], peak 1; inf for none."""
    error = float(np.square(np.clip(ours, 0, 1, dtype=np.float64) - np.clip(exact, 0, 1)).mean())
    return -10 * math.log10(error) if error else math.inf


def devices_here(wanted: str) -> tuple[list[str], list[str]]:
    """Return the devices to measure and lines about those that are not there.

    Args:
        wanted: "auto" for all, or one.
    """
    if wanted != "auto":
        return [wanted], []
    if torch.cuda.is_available():
        return ["cpu", "cuda:0"], []
    return ["cpu"], ["cuda: no GPU that PyTorch can use"]
