"""`nervplay eval`: what a file is worth against its source."""

from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.measure import emit_report, measure
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
from nervplay.errors import UnknownNameError
from nervplay.metrics import METRICS

__all__ = ["command"]


@nervplay_command(
    "eval",
    examples=("nervplay eval clip.nerv clip.mp4", "nervplay eval clip.nerv clip.mp4 --csv frames.csv --json"),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.option("--csv", "table", type=TARGET, metavar="OUT.csv", help="Also write one row per frame.")
@click.option("--metrics", default="psnr,ms-ssim", show_default=True, help="Measures, with commas between.")
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
    right size and length already. Bits per pixel = 8 * bytes of the file / (width * height * frames).
    """
    names = _names(metrics)
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


def _names(text: str) -> list[str]:
    """Return the measures of a list with commas.

    Raises:
        UnknownNameError: one that does not exist.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    return names
