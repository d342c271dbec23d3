"""`nervplay bench`: how fast this machine decodes a file, in every backend and precision that it has."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, SOURCE, TARGET, check_suffix, device_option, json_option
from nervplay.choices import BACKENDS, MOST_THREADS, PRECISIONS
from nervplay.errors import UnknownNameError

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    source: Path | None
    frames: int
    threads: int | None
    backends: str | None
    precisions: str | None
    output: Path | None
    as_json: bool
    device: str


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
def command(**values: Any) -> None:
    """Measure how fast this machine decodes FILE, and what each backend and precision costs in quality.

    Each backend and precision runs in a process of its own: frames per second of a stream, milliseconds from opening to
    the first frame and of single frames in random order (p50, p95), most memory of the process, PSNR against the
    reference (eager PyTorch in FP32) before rounding, and the network's operations as a share of the peak that products
    of large matrices reach here. Winograd's method saves multiplications and can pass 100 %. What the machine does not
    have is said below the table.
    """
    asked = Asked(**values)
    backends = _chosen("backend", asked.backends, [name for name in BACKENDS if name != "auto"])
    precisions = _chosen("precision", asked.precisions, PRECISIONS)
    if asked.output is not None and asked.output.suffix:
        check_suffix(asked.output, ".tsv")
    from app.cli.work.bench import bench

    bench(asked, backends, precisions)


def _chosen(kind: str, text: str | None, known: Collection[str]) -> list[str]:
    """Return the names of a list with commas, all where there is none.

    Raises:
        UnknownNameError: one that does not exist.
    """
    names = [name.strip() for name in text.split(",")] if text else list(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)
    return list(dict.fromkeys(names))
