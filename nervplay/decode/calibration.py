"""What integer products need to know of a network, found on its own frames; kept in the user's cache, or in the file.

All inputs of a neural video are known beforehand: its frame indices. `calibrate` runs some of them, notes what the
engine wants to know of the inputs of each convolution (our kernels: how large they get after Winograd's transform,
`native/wino.h`; on a GPU and with OpenVINO: how to reconstruct it in integers, `w8a8`), then compares other frames with
float32. Where they differ too much, which `loss.need` says, convolutions go back to floats, first the one that errs
most for the products it has. In our kernels on the CPU the file quantised the weights and sums are exact: there is no
bias to correct.

A file may bring what was found elsewhere (`carried`). One frame says whether it is of use here.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from nervplay.decode.calibration_cache import Calibration, Found, Peaks, cache_file, load, store
from nervplay.decode.carried import Layout, from_record
from nervplay.decode.loss import Need
from nervplay.decode.lowering import Conv

__all__ = ["Bench", "Progress", "calibrate", "spread"]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

MEASURED = 12
"""Frames to measure on."""
COMPARED = 4
"""Other frames to compare."""
_HALF_DB = 3.01
"""What the rest of a network may cost, apart from its integers: half of the error that is allowed."""


class Bench(Layout, Protocol):
    """What calibration asks of an engine."""

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have integer products."""
        ...

    def rests(self) -> Sequence[str]:
        """Return what the rest may be computed in, the fastest first; the last is "float32"."""
        ...

    def measure(self, index: int) -> None:
        """Run a frame and bring what is known of the inputs of these convolutions up to date."""
        ...

    def found(self, conv: Conv) -> Found:
        """Return what one of these convolutions needs for integer products, from all that was measured."""
        ...

    def frame(self, index: int, peaks: Mapping[Conv, Found], rest: str = "float32") -> Tensor:
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`."""
        ...


def spread(frame_count: int, count: int, part: float) -> list[int]:
    """Return up to `count` frames at equal distances, shifted by `part` of one; 0 <= part < 1."""
    count = min(count, frame_count)
    return sorted({int((i + part) * frame_count / count) for i in range(count)})


class _Comparison:
    """Compares frames with float32, which are computed once.

    Args:
        bench: the engine.
        indices: of the frames.
        need: how near they must come.
    """

    def __init__(self, bench: Bench, indices: Sequence[int], need: Need) -> None:
        self._bench, self._need = bench, need
        self._exact = {index: bench.frame(index, {}).clamp(0, 1).clone() for index in indices}

    def worst(self, peaks: Mapping[Conv, Found], rest: str, count: int | None = None) -> float:
        """Return the PSNR of the worst of the first `count` frames, of all when None, in dB."""
        return -10 * float(np.log10(np.maximum(max(self._errors(peaks, rest, count)), 1e-12)))

    def enough(self, peaks: Mapping[Conv, Found], rest: str, margin: float = 0.0) -> bool:
        """Return whether the frames come near enough, by `margin` dB more than needed."""
        errors = self._errors(peaks, rest, None)
        worst, mean = -10 * np.log10(np.maximum([max(errors), sum(errors) / len(errors)], 1e-12))
        return bool(worst >= self._need.worst + margin and mean >= self._need.mean + margin)

    def _errors(self, peaks: Mapping[Conv, Found], rest: str, count: int | None) -> list[float]:
        return [
            float((self._bench.frame(index, peaks, rest).clamp(0, 1) - exact).square().mean())
            for index, exact in list(self._exact.items())[:count]
        ]


def _chosen_rest(bench: Bench, comparison: _Comparison) -> str:
    """Return the fastest type for the rest that leaves room for the errors of integers."""
    *fast, exact = bench.rests()
    return next((rest for rest in fast if comparison.enough({}, rest, _HALF_DB)), exact)


def _give_back(peaks: Peaks, alone: Mapping[Conv, float], enough: Callable[[], bool]) -> None:
    """Remove convolutions until it is enough; `alone` says how good a frame is with each of them, in dB."""
    # Most error for the least work in floats first.
    for conv in sorted(alone, key=lambda conv: alone[conv] + 10 * np.log10(conv.multiplications)):
        del peaks[conv]
        if enough():
            return


def _brought(bench: Bench, frame_count: int, need: Need, carried: bytes) -> Calibration | None:
    """Return what a file brought, where it is sound and a frame of it near enough to float32 here; or None."""
    peaks = from_record(carried, bench)
    if peaks is None:
        return None
    comparison = _Comparison(bench, spread(frame_count, 1, 0.5), need)
    *fast, exact = bench.rests()
    for rest, least in [*((rest, need.mean) for rest in fast), (exact, need.worst)]:
        if comparison.worst(peaks, rest) >= least:
            return Calibration(peaks, rest)
    return None


def calibrate(
    bench: Bench,
    frame_count: int,
    need: Need,
    progress: Progress | None = None,
    *,
    kind: str = "",
    carried: bytes | None = None,
    finer: Callable[[Peaks], Peaks] | None = None,
) -> Calibration:
    """Return the convolutions that get integer products, and what was measured of their inputs.

    Args:
        bench: the engine.
        frame_count: T.
        need: how near to float32 the frames must come.
        progress: told how far it is.
        kind: tells what one engine measures of one network (`Graph.digest`) from all else.
        carried: a record of the file, untrusted; what it says is taken where it comes near enough to float32.
        finer: gives what the same convolutions need to err less, if they can; tried where they err too much.
    """
    convolutions = bench.convolutions()
    brought = hashlib.sha256(carried).hexdigest() if carried else ""
    setting = f"{MEASURED} {COMPARED} {frame_count} {need.mean:.3f} {need.worst:.3f} {kind} {brought}"
    path = cache_file(convolutions, setting)
    known = load(path, convolutions, bench.rests())
    if known is None and carried:
        known = _brought(bench, frame_count, need, carried)
        if known is not None:
            store(path, convolutions, known)
    if known is None:
        known = _found(bench, frame_count, need, progress, finer)
        store(path, convolutions, known)
    return known


def _found(
    bench: Bench,
    frame_count: int,
    need: Need,
    progress: Progress | None,
    finer: Callable[[Peaks], Peaks] | None,
) -> Calibration:
    """Return what frames say."""
    convolutions = bench.convolutions()
    measured, compared = spread(frame_count, MEASURED, 0.0), spread(frame_count, COMPARED, 0.5)
    total, done = len(measured) + len(convolutions) + 2 * len(compared), 0

    def tick(count: int = 1) -> None:
        nonlocal done
        for _ in range(count):
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
    comparison = _Comparison(bench, compared, need)
    tick(len(compared))
    rest = _chosen_rest(bench, comparison)
    if finer and not comparison.enough(peaks, rest):
        peaks = finer(peaks)
    if not comparison.enough(peaks, rest):
        alone = {conv: comparison.worst({conv: peak}, rest, 1) for conv, peak in peaks.items()}
        _give_back(peaks, alone, lambda: comparison.enough(peaks, rest))
    tick(len(compared))
    return Calibration(peaks, rest)
