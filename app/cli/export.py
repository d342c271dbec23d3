"""`nervplay export`: an ordinary video file of a .nerv, alone or beside its source, with sound."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer
from app.cli.options import (
    NERV,
    SIZE,
    SOURCE,
    SPAN,
    TARGET,
    Name,
    audio_option,
    check_suffix,
    check_target,
    device_option,
    overwrite_option,
    precision_option,
)
from nervplay.choices import EXPORT_CRF, EXPORT_SUFFIXES, PIXEL_FORMATS
from nervplay.errors import UsageError
from nervplay.video.compose import LAYOUTS
from nervplay.video.selection import parse_rate

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    target: Path
    beside: Path | None
    layout: str | None
    labels: bool
    burn_psnr: bool
    span: str | None
    scale: tuple[int, int] | None
    fps: str | None
    graph: str | None
    encoder: str | None
    crf: float | None
    preset: str | None
    pix_fmt: str | None
    lossless: bool
    audio_from: Path | None
    audio: str
    device: str
    precision: str
    overwrite: bool


@nervplay_command(
    "export",
    examples=(
        "nervplay export clip.nerv clip.mp4",
        "nervplay export clip.nerv compare.mp4 --side-by-side source.mp4 --layout wipe --burn-psnr",
        "nervplay export clip.nerv part.webm --range 25:75 --scale 640x360 --audio none",
        "nervplay export clip.nerv frames_%05d.png --filter 'eq=contrast=1.2'",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.argument("target", type=TARGET, metavar="OUT")
@click.option("--side-by-side", "beside", type=SOURCE, metavar="SRC", help="Show the source beside it, labelled.")
@click.option(
    "--layout",
    type=Name("layout", LAYOUTS),
    metavar="|".join(LAYOUTS),
    help="How --side-by-side shows the two; default: side-by-side.",
)
@click.option("--labels/--no-labels", default=True, help="Name the two clips in the picture.")
@click.option("--burn-psnr", is_flag=True, help="Write number and PSNR of every frame into the picture.")
@click.option("--range", "span", type=SPAN, metavar="A:B", help="Only frames A to B - 1.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Size of the picture that is written.")
@click.option("--fps", metavar="RATE", help="Repeat or drop frames to this rate: 50, 30000/1001, 29.97.")
@click.option(
    "--filter", "graph", metavar="GRAPH", help="A filter graph of FFmpeg for the picture; pixels keep their shape."
)
@click.option(
    "--encoder",
    metavar="NAME|auto",
    shell_complete=offer("auto", *EXPORT_CRF),
    help="FFmpeg's name; auto: the best that opens. Default: libx264.",
)
@click.option("--crf", type=float, metavar="N", help="Quality in the encoder's own scale; smaller is better.")
@click.option("--preset", metavar="NAME", help="Speed in the encoder's own words.")
@click.option(
    "--pix-fmt",
    metavar="FORMAT",
    shell_complete=offer(*PIXEL_FORMATS),
    help="FFmpeg's name; default: yuv420p.",
)
@click.option("--lossless", is_flag=True, help="Frames come back bit for bit, as RGB.")
@click.option("--audio-from", type=SOURCE, metavar="SRC", help="Take the sound of this clip where the file has none.")
@audio_option
@device_option
@precision_option
@overwrite_option
def command(**values: Any) -> None:
    """Write FILE as a video that every player shows, by the ending of OUT: .mp4 .mov .mkv .webm .gif, or PNG pictures.

    Sound is copied, not recoded: that of FILE, else that of --audio-from, else that of --side-by-side. Colour is
    converted and tagged as the file says. Frames of odd size need --pix-fmt yuv444p. Encoders: libx264, libx265,
    libsvtav1, libvpx-vp9, h264_nvenc, hevc_nvenc, ffv1, libx264rgb and whatever else FFmpeg names.
    """
    asked = Asked(**values)
    check_suffix(asked.target, *EXPORT_SUFFIXES)
    check_target(asked.target, overwrite=asked.overwrite)
    for option, value in (("--layout", asked.layout), ("--burn-psnr", asked.burn_psnr)):
        if value and asked.beside is None:
            raise UsageError(f"{option} needs a second clip; give --side-by-side SRC")
    if asked.fps is not None:
        parse_rate(asked.fps)
    from app.cli.work.export import export

    export(asked)
