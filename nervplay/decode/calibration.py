"""What integer products need to know of a network, found on its own frames and kept in the user's cache.

All inputs of a neural video are known beforehand: its frame indices. `calibrate` runs some of them, notes what the
engine wants to know of the inputs of each convolution (our kernels: how large they get after Winograd's transform,
`native/wino.h`; on a GPU and with OpenVINO: how to reconstruct it in integers, `w8a8`), then compares other frames with
float32. Where they differ too much, which `loss.need` says, convolutions go back to floats, first the one that errs
most for the products it has. In our kernels on the CPU the file quantised the weights and sums are exact: there is no
bias to correct.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.bitstream.atomic import atomic_write
from nervplay.decode.loss import Need
from nervplay.decode.lowering import Conv
from nervplay.errors import OutputError

__all__ = ["Bench", "Progress", "calibrate", "spread"]

Found = NDArray[Any]
Peaks = dict[Conv, Found]
Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""

MEASURED = 12
"""Frames to measure on."""
COMPARED = 4
"""Other frames to compare."""


class Bench(Protocol):
    """What calibration asks of an engine."""

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have integer products."""
        ...

    def measure(self, index: int) -> None:
        """Run a frame and bring what is known of the inputs of these convolutions up to date."""
        ...

    def found(self, conv: Conv) -> Found:
        """Return what one of these convolutions needs for integer products, from all that was measured."""
        ...

    def frame(self, index: int, peaks: Mapping[Conv, Found]) -> Tensor:
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`; float32 for none."""
        ...


def spread(frame_count: int, count: int, part: float) -> list[int]:
    """Return up to `count` frames at equal distances, shifted by `part` of one; 0 <= part < 1."""
    count = min(count, frame_count)
    return sorted({int((i + part) * frame_count / count) for i in range(count)})


def _key(convolutions: Iterable[Conv], frame_count: int, setting: str) -> str:
    """Return a hash of all weights and of what is measured."""
    digest = hashlib.sha256(f"5 {MEASURED} {COMPARED} {frame_count} {setting}".encode())
    for conv in convolutions:
        digest.update(repr((conv.weight.shape, conv.size, conv.activation, conv.shuffle)).encode())
        digest.update(conv.weight.tobytes() + conv.bias.tobytes())
    return digest.hexdigest()[:32]


def _file(key: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nervplay" / "calibration" / f"{key}.npz"


def _load(path: Path, convolutions: Sequence[Conv]) -> Peaks | None:
    """Return what an earlier calibration found, or None."""
    try:
        data = BytesIO(path.read_bytes())  # of a path that is no archive, NumPy would leave the file open
        with np.load(data, allow_pickle=False) as stored:
            return {convolutions[int(name)]: stored[name] for name in stored.files}
    except (OSError, ValueError, IndexError, EOFError, BadZipFile):
        return None  # never made, or cut short: it is made again


def _store(path: Path, convolutions: Sequence[Conv], peaks: Peaks) -> None:
    """Keep what was found; a cache that cannot be written is no fault."""
    data = BytesIO()
    np.savez(data, **{str(i): peaks[conv] for i, conv in enumerate(convolutions) if conv in peaks})  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, data.getvalue(), overwrite=True)
    except (OSError, OutputError):
        return


def _db(bench: Bench, indices: Iterable[int], exact: Mapping[int, Tensor], peaks: Peaks) -> tuple[float, float]:
    """Return the PSNR of the frame that differs most from float32 and that of all frames together, in dB."""
    errors = [float((bench.frame(i, peaks).clamp(0, 1) - exact[i]).square().mean()) for i in indices]
    worst, mean = -10 * np.log10(np.maximum([max(errors), sum(errors) / len(errors)], 1e-12))
    return float(worst), float(mean)


def _give_back(peaks: Peaks, alone: Mapping[Conv, float], enough: Callable[[], bool]) -> None:
    """Remove convolutions until it is enough; `alone` says how good a frame is with each of them, in dB."""
    # Most error for the least work in floats first.
    for conv in sorted(alone, key=lambda conv: alone[conv] + 10 * np.log10(conv.multiplications)):
        del peaks[conv]
        if enough():
            return


def calibrate(
    bench: Bench,
    frame_count: int,
    need: Need,
    progress: Progress | None = None,
    *,
    kind: str = "",
) -> Peaks:
    """Return the convolutions that get integer products, and what was measured of their inputs.

    Args:
        bench: the engine.
        frame_count: T.
        need: how near to float32 the frames must come.
        progress: told how far it is.
        kind: tells what one engine measures from what others do; "" is the largest transformed inputs of W8A16.
    """
    convolutions = bench.convolutions()
    path = _file(_key(convolutions, frame_count, f"{need.mean:.3f} {need.worst:.3f} {kind}"))
    known = _load(path, convolutions)
    if known is not None:
        return known
    measured, compared = spread(frame_count, MEASURED, 0.0), spread(frame_count, COMPARED, 0.5)
    total, done = len(measured) + len(convolutions) + 2 * len(compared), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    for index in measured:
        bench.measure(index)
        tick()
    peaks: Peaks = {}
    for conv in convolutions:
        peaks[conv] = bench.found(conv)
        tick()
    exact = {}
    for index in compared:
        exact[index] = bench.frame(index, {}).clamp(0, 1).clone()
        tick()

    def enough() -> bool:
        worst, mean = _db(bench, compared, exact, peaks)
        return worst >= need.worst and mean >= need.mean

    if not enough():
        alone = {conv: _db(bench, compared[:1], exact, {conv: peak})[0] for conv, peak in peaks.items()}
        _give_back(peaks, alone, enough)
    for _ in compared:
        tick()
    _store(path, convolutions, peaks)
    return peaks
