"""What a file is worth: quality of what it decodes to, against the source, and the rate of the file itself."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nervplay.bitstream import atomic_write
from nervplay.errors import FrameIndexError, GeometryError, Interrupted, UnknownNameError, UsageError
from nervplay.metrics.ms_ssim import ms_ssim, ms_ssim_obstacle, ssim, ssim_obstacle
from nervplay.metrics.psnr import psnr, yuv_psnr
from nervplay.video.source import Frame, FrameSource
from nervplay.video.spec import VideoSpec

__all__ = ["METRICS", "Meter", "Metric", "Report", "Series", "evaluate"]


class Metric(NamedTuple):
    """One measure of quality; higher is better.

    Args:
        column: its name in CSV files, unit included.
        measure: (frame, reference), uint8 (H, W, 3) each -> value; None where `obstacle` says why.
        obstacle: (width, height) -> why frames of this size have no value, or None.
    """

    column: str
    measure: Callable[[Frame, Frame], float | None]
    obstacle: Callable[[int, int], str | None]


METRICS: Mapping[str, Metric] = {
    "psnr": Metric("psnr_db", psnr, lambda width, height: None),  # noqa: ARG005 - PSNR has a value at every size
    "psnr-yuv": Metric("psnr_yuv_db", yuv_psnr, lambda width, height: None),  # noqa: ARG005 - likewise
    "ssim": Metric("ssim", ssim, ssim_obstacle),
    "ms-ssim": Metric("ms_ssim", ms_ssim, ms_ssim_obstacle),
}
"""All measures that are made here, by the names of the command line."""


class Meter(Protocol):
    """A measure that sees all pairs of frames in order and has its values at the end; made by a caller of `evaluate`.

    Such are the measures of other programs and libraries, which this package does not know.
    """

    def add(self, frame: Frame, reference: Frame) -> None:
        """Take the next pair, uint8 (H, W, 3) each; neither is kept."""
        ...

    def values(self) -> Sequence[float]:
        """Return one value per pair; nothing is added after that."""
        ...


@dataclass(frozen=True, kw_only=True)
class Series:
    """One measure over the measured frames.

    Args:
        frames: indices of the frames.
        values: one per frame; a PSNR of identical frames is `math.inf`.
    """

    frames: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the frames: of dB values for PSNR, as the papers have it; inf when one frame is identical."""
        return math.fsum(self.values) / len(self.values)

    @property
    def minimum(self) -> float:
        """Value of the worst frame."""
        return min(self.values)

    @property
    def maximum(self) -> float:
        """Value of the best frame."""
        return max(self.values)

    @property
    def worst_frame(self) -> int:
        """Index of the worst frame; the first one of several."""
        return self.frames[self.values.index(self.minimum)]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict; JSON has no infinity, so an infinite value is the string "inf"."""
        return {
            "mean": _plain(self.mean),
            "min": _plain(self.minimum),
            "max": _plain(self.maximum),
            "worst_frame": self.worst_frame,
            "values": [_plain(value) for value in self.values],
        }


def _plain(value: float) -> float | str:
    """Return `value`, or "inf" where JSON has no number for it."""
    return "inf" if math.isinf(value) else value


@dataclass(frozen=True, kw_only=True)
class Report:
    """Quality and rate of one file.

    Args:
        spec: the clip.
        file_bytes: size of the file that was decoded, all of it.
        frames: indices of the measured frames.
        metrics: by name; None for one that frames of this size do not have.
        unavailable: by name, why such a one is None, in words for the user.
    """

    spec: VideoSpec
    file_bytes: int
    frames: tuple[int, ...]
    metrics: Mapping[str, Series | None]
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def bpp(self) -> float:
        """Bits per pixel: 8 * file bytes / (W * H * T), T being all frames of the clip, measured or not."""
        return 8 * self.file_bytes / self.spec.pixels

    @property
    def kbit_per_second(self) -> float:
        """Bit rate over the clip's duration, in 1000 bits per second."""
        return float(8 * self.file_bytes / self.spec.duration / 1000)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict; see `Series.to_json` for infinite values."""
        return {
            "width": self.spec.width,
            "height": self.spec.height,
            "frame_count": self.spec.frame_count,
            "file_bytes": self.file_bytes,
            "bpp": self.bpp,
            "kbit_per_second": self.kbit_per_second,
            "frames": list(self.frames),
            "metrics": {name: series.to_json() if series else None for name, series in self.metrics.items()},
            "unavailable": dict(self.unavailable),
        }

    def write_csv(self, path: Path, *, overwrite: bool = False) -> None:
        """Write one row per measured frame: frame, then the measures (psnr_db, ms_ssim, ...), empty where unavailable.

        Args:
            path: the target.
            overwrite: whether an existing file may be replaced.

        Raises:
            OutputExistsError: the target exists and `overwrite` is off.
            OutputError: it cannot be written.
        """
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["frame", *map(_column, self.metrics)])
        for row, frame in enumerate(self.frames):
            rows.writerow([frame, *(f"{series.values[row]:.6f}" if series else "" for series in self.metrics.values())])
        atomic_write(path, text.getvalue().encode(), overwrite=overwrite)


def _column(name: str) -> str:
    """Return the name of a measure in CSV files."""
    return METRICS[name].column if name in METRICS else name.replace("-", "_")


def evaluate(
    decoder: FrameSource,
    source: FrameSource,
    file_bytes: int,
    *,
    metrics: Iterable[str] = ("psnr", "ms-ssim"),
    meters: Mapping[str, Meter] | None = None,
    frames: Iterable[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Measure what a file decodes to against its source, frame by frame; the clip is never in memory as a whole.

    Args:
        decoder: the decoded file; a `Decoder` will do.
        source: the original, with the same crop, scale and frame range.
        file_bytes: size of the file.
        metrics: names, see `METRICS`.
        meters: further measures by name; they stand behind the others in the report.
        frames: indices to measure; all when None.
        progress: told (measured, all) after every frame.

    Raises:
        UnknownNameError: no such metric.
        GeometryError: sizes or frame counts differ.
        FrameIndexError: an index outside the clip.
        UsageError: no frame to measure.
        Interrupted: the decoder was cancelled.
    """
    names, further = tuple(dict.fromkeys(metrics)), meters or {}
    for name in names:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    spec = decoder.spec
    _check_geometry(spec, source.spec)
    indices = tuple(range(spec.frame_count) if frames is None else frames)
    _check_indices(indices, spec.frame_count)
    reasons = {name: METRICS[name].obstacle(spec.width, spec.height) for name in names}
    unavailable = {name: reason for name, reason in reasons.items() if reason}
    values: dict[str, list[float]] = {name: [] for name in names if name not in unavailable}
    done = 0
    # not strict: a cancelled decoder ends early
    for frame, reference in zip(decoder.frames(indices), source.frames(indices), strict=False):
        for name, series in values.items():
            value = METRICS[name].measure(frame, reference)
            assert value is not None, "obstacle and measure disagree"
            series.append(value)
        for meter in further.values():
            meter.add(frame, reference)
        done += 1
        if progress is not None:
            progress(done, len(indices))
    if done < len(indices):
        raise Interrupted(f"stopped after {done} of {len(indices)} frames; nothing was measured in full")
    results = {n: Series(frames=indices, values=tuple(values[n])) if n in values else None for n in names}
    results |= {n: Series(frames=indices, values=tuple(meter.values())) for n, meter in further.items()}
    return Report(spec=spec, file_bytes=file_bytes, frames=indices, metrics=results, unavailable=unavailable)


def _check_geometry(decoded: VideoSpec, original: VideoSpec) -> None:
    """Raise `GeometryError` when size or length differ."""
    has, needs = (f"{it.frame_count} frames of {it.width}x{it.height}" for it in (original, decoded))
    if has != needs:
        raise GeometryError(f"the source has {has}, the file {needs}; crop, scale or cut the source as the file was")


def _check_indices(indices: tuple[int, ...], frame_count: int) -> None:
    """Raise `FrameIndexError` or `UsageError` unless there is a frame to measure and all are in the clip."""
    if not indices:
        raise UsageError("no frame to measure; give at least one")
    for index in indices:
        if not 0 <= index < frame_count:
            raise FrameIndexError(index, frame_count)
