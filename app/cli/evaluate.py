"""`nervplay eval`: what a file is worth against its source."""

from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.measure import MEASURES, emit_report, measure, parse_measures
from app.cli.options import (
    NERV,
    SOURCE,
    TARGET,
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

__all__ = ["command"]


@nervplay_command(
    "eval",
    examples=(
        "nervplay eval clip.nerv clip.mp4",
        "nervplay eval clip.nerv clip.mp4 --metrics psnr,ms-ssim,ssim,vmaf --csv frames.csv",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.option("--csv", "table", type=TARGET, metavar="OUT.csv", help="Also write one row per frame.")
@click.option(
    "--metrics", default="psnr,ms-ssim", show_default=True, help=f"With commas between: {', '.join(MEASURES)}."
)
@json_option
@device_option
@precision_option
@overwrite_option
def command(
    *,
    file: Path,
    source: Path,
    table: Path | None,
    metrics: str,
    as_json: bool,
    device: str,
    precision: str,
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
        open_logged(video, device=device, precision=precision) as decoder,
    ):
        report = measure(decoder, original, video.file_bytes, names)
    if table is not None:
        report.write_csv(table, overwrite=overwrite)
        note(f"wrote {table}")
    if as_json:
        emit_json({"path": str(file), "source": str(source), "precision": precision, **report.to_json()})
    else:
        emit_report(report)
