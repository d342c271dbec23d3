"""`nervplay rd`: rate and quality of neural videos beside real encoders, as a page, a table and a picture."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, SOURCE, TARGET, device_option, json_option, precision_option

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    source: Path
    file: tuple[Path, ...]
    anchors: str
    output: Path
    as_json: bool
    device: str
    precision: str


@nervplay_command(
    "rd",
    examples=(
        "nervplay rd clip.mp4 clip.nerv -o rd",
        "nervplay rd clip.mp4 small.nerv medium.nerv large.nerv --anchors x264:veryslow,x265,svtav1 -o rd",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.argument("file", type=NERV, nargs=-1, required=True)
@click.option(
    "--anchors",
    default="x264,x265,svtav1",
    show_default=True,
    metavar="NAME[:PRESET],...",
    help="Encoders to compare with; none for none.",
)
@click.option("-o", "--output", required=True, type=TARGET, metavar="DIR", help="Where page, table and picture go.")
@json_option
@device_option
@precision_option
def command(**values: Any) -> None:
    """Hold FILEs against their source SRC and against real encoders on the same frames.

    Every file, and every encoder at a ladder of sizes that covers the files' bytes and their PSNR, is decoded and
    measured: PSNR in RGB and YUV, SSIM, MS-SSIM, and VMAF where an ffmpeg program with libvmaf is found. Files of one
    architecture are one curve; give several for Bjøntegaard figures. Writes to DIR: index.html, points.csv, plots.png;
    those of an earlier run are replaced. Encodes are kept in the cache folder, so a second run is faster.
    """
    asked = Asked(**values)
    from app.cli.work.rd import rd

    rd(asked)
