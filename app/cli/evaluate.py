"""`nervplay eval`: what a file is worth against its source."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.measures import MEASURES, parse_measures
from app.cli.options import (
    NERV,
    SOURCE,
    TARGET,
    backend_option,
    check_suffix,
    check_target,
    device_option,
    json_option,
    overwrite_option,
    precision_option,
)
from nervplay.video.tasks import parse_task

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    source: Path
    table: Path | None
    task: str | None
    metrics: str
    as_json: bool
    device: str
    precision: str
    backend: str
    overwrite: bool


@nervplay_command(
    "eval",
    examples=(
        "nervplay eval clip.nerv clip.mp4",
        "nervplay eval clip.nerv clip.mp4 --metrics psnr,ms-ssim,ssim,vmaf --csv frames.csv",
        "nervplay eval holes.nerv clip.mp4 --task inpaint-center",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.option("--csv", "table", type=TARGET, metavar="OUT.csv", help="Also write one row per frame.")
@click.option(
    "--task",
    metavar="NAME",
    help="Also measure as the paper of a task does; default: the task that the file was fitted for.",
)
@click.option(
    "--metrics", default="psnr,ms-ssim", show_default=True, help=f"With commas between: {', '.join(MEASURES)}."
)
@json_option
@device_option
@precision_option
@backend_option
@overwrite_option
def command(**values: Any) -> None:
    """Measure FILE against its source SRC, frame by frame.

    SRC is cut as it was when the network was fitted (the file remembers crop, scale and frame range), unless it has the
    right size and length already. Bits per pixel = 8 * bytes of the file / (width * height * frames). vmaf needs an
    ffmpeg program that has libvmaf, on PATH or from `pip install 'nervplay[vmaf]'`.
    """
    asked = Asked(**values)
    parse_measures(asked.metrics)
    if asked.table is not None:
        check_suffix(asked.table, ".csv")
        check_target(asked.table, overwrite=asked.overwrite)
    if asked.task is not None:
        parse_task(asked.task)
    from app.cli.work.evaluate import evaluate_file

    evaluate_file(asked)
