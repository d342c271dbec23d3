"""`nervplay eval`: what a file is worth against its source."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.measure import MEASURES, emit_report, emit_task, measure, parse_measures
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
from app.cli.output import emit_json, note
from app.core.clips import open_original
from nervplay.codec import open_nerv
from nervplay.errors import UsageError
from nervplay.metrics.tasks import evaluate_task
from nervplay.video.tasks import REGRESSION, Task, parse_task

__all__ = ["command"]


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
def command(
    *,
    file: Path,
    source: Path,
    table: Path | None,
    task: str | None,
    metrics: str,
    as_json: bool,
    device: str,
    precision: str,
    backend: str,
    overwrite: bool,
) -> None:
    """Measure FILE against its source SRC, frame by frame.

    SRC is cut as it was when the network was fitted (the file remembers crop, scale and frame range), unless it has the
    right size and length already. Bits per pixel = 8 * bytes of the file / (width * height * frames). vmaf needs an
    ffmpeg program that has libvmaf, on PATH or from `pip install 'nervplay[vmaf]'`.
    """
    names = parse_measures(metrics)
    if table is not None:
        check_suffix(table, ".csv")
        check_target(table, overwrite=overwrite)
    video = open_nerv(file)
    with (
        open_original(source, video.file.source, video.spec) as original,
        open_logged(video, device=device, precision=precision, backend=backend) as decoder,
    ):
        chosen = _task_of(task, video.file.recipe)
        report = measure(decoder, original, video.file_bytes, names)
        series = evaluate_task(decoder, original, chosen) if chosen != REGRESSION else {}
    if table is not None:
        report.write_csv(table, overwrite=overwrite)
        note(f"wrote {table}")
    if as_json:
        measured = {"name": chosen.name, "psnr_db": {name: it.to_json() for name, it in series.items()}}
        facts = {"path": str(file), "source": str(source), "precision": precision, **report.to_json()}
        emit_json(facts | ({"task": measured} if series else {}))
    else:
        emit_report(report)
        if series:
            emit_task(chosen.name, series)


def _task_of(name: str | None, recipe: Mapping[str, Any]) -> Task:
    """Return the task that was asked for, or that the recipe of a file names; regression where it is unknown.

    Raises:
        UsageError: one that does not exist was asked for.
    """
    if name is not None:
        return parse_task(name)
    training = recipe.get("training")
    kept = training.get("task") if isinstance(training, dict) else None
    try:
        return parse_task(str(kept))
    except UsageError:
        return REGRESSION
