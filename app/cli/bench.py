"""`nervplay bench`: how fast this machine decodes a file, in every backend and precision that it has."""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app.bench import Bench, Wish, devices_here, run_bench, write_table
from app.bench.peak import PEAK_WORDS
from app.cli.command import command as nervplay_command
from app.cli.options import NERV, SOURCE, TARGET, check_suffix, device_option, json_option
from app.cli.output import emit_fields, emit_json, emit_table, note, progress
from app.core.clips import open_original
from nervplay.codec import open_nerv
from nervplay.decode import BACKENDS, PRECISIONS, resolve_device
from nervplay.decode.opening import MOST_THREADS
from nervplay.errors import UnknownNameError

__all__ = ["command"]

COLUMNS = (
    "device", "backend", "precision", "arithmetic", "fps", "x real time", "first ms", "seek p50 ms", "p95 ms", "MB",
    "GPU MB", "dB to FP32", "worst", "dB to source", "% of peak",
)  # fmt: skip


@nervplay_command(
    "bench",
    examples=(
        "nervplay bench clip.nerv",
        "nervplay bench clip.nerv --source clip.mp4 --precision fp32,int8 --threads 1",
        "nervplay bench clip.nerv --backend native,torch -o results/clip.tsv",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.option("--source", type=SOURCE, metavar="SRC", help="Also measure PSNR against this clip.")
@click.option("--frames", type=click.IntRange(min=2), default=24, show_default=True, help="Frames to stream.")
@click.option("--threads", type=click.IntRange(1, MOST_THREADS), help="Processor cores to use; default: all.")
@click.option("--backend", "--backends", "backends", metavar="NAME,...", help="Only these; default: all.")
@click.option("--precision", "--precisions", "precisions", metavar="NAME,...", help="Only these; default: all.")
@click.option("-o", "--output", type=TARGET, metavar="DIR|OUT.tsv", help="Also write the table, with the commit.")
@json_option
@device_option
def command(
    *,
    file: Path,
    source: Path | None,
    frames: int,
    threads: int | None,
    backends: str | None,
    precisions: str | None,
    output: Path | None,
    as_json: bool,
    device: str,
) -> None:
    """Measure how fast this machine decodes FILE, and what each backend and precision costs in quality.

    Each backend and precision runs in a process of its own: frames per second of a stream, milliseconds from opening to
    the first frame and of single frames in random order (p50, p95), most memory of the process, PSNR against the
    reference (eager PyTorch in FP32) before rounding, and the network's operations as a share of the peak that products
    of large matrices reach here. Winograd's method saves multiplications and can pass 100 %. What the machine does not
    have is said below the table.
    """
    resolve_device(device)
    wish = Wish(
        devices=devices_here(device)[0],
        backends=_chosen("backend", backends, [name for name in BACKENDS if name != "auto"]),
        precisions=_chosen("precision", precisions, PRECISIONS),
        threads=threads,
        frames=frames,
    )
    if output is not None and output.suffix:
        check_suffix(output, ".tsv")
    video = open_nerv(file)
    with ExitStack() as stack:
        original = stack.enter_context(open_original(source, video.file.source, video.spec)) if source else None
        show = stack.enter_context(progress("measuring", len(wish.configurations()), "configurations"))
        bench = run_bench(file, video, wish, source=original, progress=show)
    missing = [*devices_here(device)[1], *bench.unavailable]
    rows = [_cells(asdict(row)) for row in bench.rows]
    if as_json:
        emit_json({"path": str(file), **asdict(bench), "unavailable": missing})
    else:
        emit_table(COLUMNS, rows, left=COLUMNS[1:4])
        emit_fields(_notes(bench, missing))
    if output is not None:
        _write(output, file, wish.devices[-1], rows)


def _chosen(kind: str, text: str | None, known: Any) -> list[str]:
    """Return the names of a list with commas, all where there is none.

    Raises:
        UnknownNameError: one that does not exist.
    """
    names = [name.strip() for name in text.split(",")] if text else list(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)
    return list(dict.fromkeys(names))


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
