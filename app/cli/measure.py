"""Measuring a file against its original, for all commands that do it, and the table that comes out."""

import math
from collections.abc import Iterable

from app.cli.output import emit_table, progress
from app.cli.words import human_bytes
from nervplay.metrics import Report, evaluate
from nervplay.video import FrameSource

__all__ = ["emit_report", "measure", "summary_line"]

_NAMES = {"psnr": ("PSNR", "dB", 2), "ms-ssim": ("MS-SSIM", "", 4)}
"""Heading, unit and decimals of the measures."""


def measure(decoder: FrameSource, source: FrameSource, file_bytes: int, names: Iterable[str]) -> Report:
    """Measure every frame, with a progress bar on stderr.

    Args:
        decoder: the decoded file, or its frames.
        source: the original, cut to match.
        file_bytes: size of the file.
        names: measures, see `nervplay.metrics.METRICS`.

    Raises:
        UnknownNameError: no such measure.
        GeometryError: sizes or frame counts differ.
    """
    with progress("measuring", len(decoder), "frames") as show:
        return evaluate(decoder, source, file_bytes, metrics=names, progress=lambda done, _all: show(done))


def emit_report(report: Report) -> None:
    """Write the table of a report to stdout: mean, worst frame, best, and the rate."""
    rows: list[tuple[str, ...]] = []
    for name, series in report.metrics.items():
        heading, unit, digits = _NAMES.get(name, (name, "", 4))
        label = f"{heading} ({unit})" if unit else heading
        if series is None:
            rows.append((label, "-", "-", "-", "-", report.unavailable[name]))
            continue
        figures = (_figure(value, digits) for value in (series.mean, series.minimum, series.maximum))
        rows.append((label, *figures, str(series.worst_frame), ""))
    emit_table(("measure", "mean", "min", "max", "worst frame", ""), rows, left=("",))
    spec = report.spec
    rate = [
        ("file", human_bytes(report.file_bytes)),
        (
            "bits per pixel",
            f"{report.bpp:.5f} = 8 * {report.file_bytes} / ({spec.width} * {spec.height} * {spec.frame_count})",
        ),
        ("bit rate", f"{report.kbit_per_second:.1f} kbit/s"),
    ]
    emit_table(("rate", "value"), rate, left=("value",))


def summary_line(target: object, report: Report) -> str:
    """Return the result of a fit in one line: size, rate, quality of what the file decodes to."""
    psnr = report.metrics["psnr"]
    assert psnr is not None
    return (
        f"{target}: {human_bytes(report.file_bytes)}, {report.bpp:.4f} bits per pixel, "
        f"decodes to {_figure(psnr.mean, 2)} dB PSNR (worst frame {psnr.worst_frame}: {_figure(psnr.minimum, 2)} dB)"
    )


def _figure(value: float, digits: int) -> str:
    return "identical" if math.isinf(value) else f"{value:.{digits}f}"
