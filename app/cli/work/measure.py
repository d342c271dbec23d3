"""Measuring a file against its original, for all commands that do it, and the table that comes out."""

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from app.cli.measures import MEASURES
from app.cli.output import emit_table, progress
from app.cli.words import human_bytes
from app.cli.work.decoding import open_logged
from ffmpeg_bridge.filter_meter import FILTERS, FilterMeter
from ffmpeg_bridge.vmaf import VmafMeter
from nervplay.codec import NeuralVideo
from nervplay.metrics import METRICS, Meter, Report, Series, evaluate
from nervplay.video import FrameSource

__all__ = ["emit_report", "emit_task", "measure", "measure_psnr", "psnr_of", "summary_line"]


def measure(decoder: FrameSource, source: FrameSource, file_bytes: int, names: Iterable[str]) -> Report:
    """Measure every frame, with a progress bar on stderr.

    Args:
        decoder: the decoded file, or its frames.
        source: the original, cut to match.
        file_bytes: size of the file.
        names: of `MEASURES`.

    Raises:
        GeometryError: sizes or frame counts differ.
        CapabilityError: no program here makes one of the measures.
    """
    wanted = tuple(dict.fromkeys(names))
    with ExitStack() as stack:
        meters: dict[str, Meter] = {name: FilterMeter(name, decoder.spec) for name in wanted if name in FILTERS}
        if "vmaf" in wanted:
            meters["vmaf"] = stack.enter_context(VmafMeter(decoder.spec))
        ours = [name for name in wanted if name in METRICS]
        show = stack.enter_context(progress("measuring", len(decoder), "frames"))
        report = evaluate(
            decoder, source, file_bytes, metrics=ours, meters=meters, progress=lambda done, _all: show(done)
        )
    return replace(report, metrics={name: report.metrics[name] for name in wanted})


def measure_psnr(video: NeuralVideo, clip: FrameSource, device: str) -> Report:
    """Decode a file and measure its PSNR, with a progress bar on stderr.

    Args:
        video: the file, opened.
        clip: what it is measured against.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        GeometryError: sizes or frame counts differ.
    """
    with open_logged(video, device=device) as decoder:
        return measure(decoder, clip, video.file_bytes, ["psnr"])


def psnr_of(report: Report) -> Series:
    """Return the PSNR of a report that has one."""
    series = report.metrics["psnr"]
    assert series is not None
    return series


def emit_report(report: Report) -> None:
    """Write the table of a report to stdout: mean, worst frame, best, and the rate."""
    rows: list[tuple[str, ...]] = []
    for name, series in report.metrics.items():
        heading, unit, digits = MEASURES[name]
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


def emit_task(name: str, measured: Mapping[str, Series]) -> None:
    """Write the table of a task to stdout: PSNRs in dB, mean and extremes.

    Args:
        name: of the task.
        measured: see `nervplay.metrics.tasks.evaluate_task`.
    """
    rows = [
        (what, str(len(it.values)), *(_figure(value, 2) for value in (it.mean, it.minimum, it.maximum)))
        for what, it in measured.items()
    ]
    emit_table((f"task {name}: PSNR (dB) of", "frames", "mean", "min", "max"), rows)


def summary_line(target: object, report: Report) -> str:
    """Return the result of a fit in one line: size, rate, quality of what the file decodes to."""
    psnr = report.metrics["psnr"]
    assert psnr is not None
    quality = f"{psnr.mean:.2f} dB PSNR (worst frame {psnr.worst_frame}: {psnr.minimum:.2f} dB)"
    if math.isinf(psnr.minimum):
        quality = "identical frames"
    return f"{target}: {human_bytes(report.file_bytes)}, {report.bpp:.4f} bits per pixel, decodes to {quality}"


def _figure(value: float, digits: int) -> str:
    return "identical" if math.isinf(value) else f"{value:.{digits}f}"
