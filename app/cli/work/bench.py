"""What `nervplay bench` does: measuring, and the table."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.bench import Bench, Wish, devices_here, run_bench, write_table
from app.bench.peak import PEAK_WORDS
from app.cli.bench import Asked
from app.cli.output import emit_fields, emit_json, emit_table, note, progress
from app.core.clips import open_original
from nervplay.codec import open_nerv
from nervplay.decode import resolve_device
from nervplay.errors import CapabilityError

__all__ = ["bench"]

COLUMNS = (
    "device", "backend", "precision", "arithmetic", "fps", "x real time", "first ms", "seek p50 ms", "p95 ms", "MB",
    "GPU MB", "dB to FP32", "worst", "dB to source", "% of peak",
)  # fmt: skip


def bench(asked: Asked, backends: Sequence[str], precisions: Sequence[str]) -> None:
    """Measure a file and say what came of it.

    Args:
        asked: the options.
        backends: those to measure.
        precisions: likewise.

    Raises:
        CapabilityError: nothing of that can be measured here.
    """
    resolve_device(asked.device)
    wish = Wish(
        devices=devices_here(asked.device)[0],
        backends=backends,
        precisions=precisions,
        threads=asked.threads,
        frames=asked.frames,
    )
    video = open_nerv(asked.file)
    if not wish.configurations():
        reasons = "; ".join(devices_here(asked.device)[1]) or "no backend has any of these precisions on this device"
        raise CapabilityError(
            f"nothing to measure: {reasons}; leave out --backend and --precision to see what there is"
        )
    source = asked.source
    with ExitStack() as stack:
        original = stack.enter_context(open_original(source, video.file.source, video.spec)) if source else None
        count = len(wish.configurations())
        show = stack.enter_context(progress("measuring", count, "configurations", uneven=True))
        found = run_bench(asked.file, video, wish, source=original, progress=show)
    missing = [*devices_here(asked.device)[1], *found.unavailable]
    rows = [_cells(asdict(row)) for row in found.rows]
    if asked.as_json:
        emit_json({"path": str(asked.file), **asdict(found), "unavailable": missing})
    else:
        emit_table(COLUMNS, rows, left=COLUMNS[1:4])
        emit_fields(_notes(found, missing))
    if asked.output is not None:
        _write(asked.output, asked.file, wish.devices[-1], rows)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of the table."""

    def decibels(value: float | None) -> str:
        return "-" if value is None else "identical" if value == float("inf") else f"{value:.2f}"

    mean, worst = row["fp32_db"]
    return (
        row["device"],
        row["backend"],
        row["precision"],
        row["arithmetic"],
        f"{row['fps']:.2f}",
        f"{row['real_time']:.2f}",
        *(f"{value:.1f}" for value in (row["first_ms"], *row["seek_ms"])),
        f"{row['memory'] / 1e6:.0f}",
        f"{row['device_memory'] / 1e6:.0f}" if row["device_memory"] else "-",
        *map(decibels, (mean, worst, row["source_db"])),
        "-" if row["peak_share"] is None else f"{100 * row['peak_share']:.0f}",
    )


def _notes(bench: Bench, missing: list[str]) -> list[tuple[str, str]]:
    """Return what stands below the table: what each row computes, what the peak is, what is not there."""
    said = [(f"{row.device} {row.backend} {row.precision}", row.note) for row in bench.rows if row.note]
    for device, found in bench.peaks.items():
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in found.items())
        said.append((f"peak of {device}", f"{rates} in 10^9 operations per second: {PEAK_WORDS}"))
    against = "INT16, of which PyTorch has no product, stands against the peak of FP32, as does what has a lower one"
    said.append(("a frame", f"{bench.gflops:.2f} * 10^9 operations; {against}"))
    return said + [("not here", line) for line in missing]


def _write(output: Path, file: Path, device: str, rows: list[tuple[str, ...]]) -> None:
    """Write the table to a .tsv file, or to one of the clip's name in a folder."""
    target = output if output.suffix else output / f"{file.stem}.tsv"
    write_table(target, " ".join(["nervplay", *sys.argv[1:]]), device, COLUMNS, rows)
    note(f"wrote {target}")
