"""`nervplay pipe`: frames on standard output, and nothing else there."""

import sys
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.options import NERV, device_option, precision_option
from ffmpeg_bridge.y4m import Y4M_PIXEL_FORMATS, write_y4m
from nervplay.errors import UsageError

__all__ = ["command"]


@nervplay_command(
    "pipe",
    examples=(
        "nervplay pipe clip.nerv | ffmpeg -colorspace bt709 -color_primaries bt709 -color_trc bt709 -i - clip.mkv",
        "nervplay pipe clip.nerv --pix-fmt yuv444p | mpv -",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.option("--format", "carrier", type=click.Choice(["y4m"]), default="y4m", show_default=True, help="YUV4MPEG2.")
@click.option(
    "--pix-fmt",
    default="yuv420p",
    show_default=True,
    metavar="|".join(Y4M_PIXEL_FORMATS),
    help="Pixel format; frames of odd size need yuv444p.",
)
@device_option
@precision_option
def command(*, file: Path, carrier: str, pix_fmt: str, device: str, precision: str) -> None:  # noqa: ARG001 - one carrier so far
    """Write the frames of FILE to standard output, for FFmpeg and whatever else reads a pipe.

    A reader that closes the pipe early is no error. The carrier holds size, rate and range but no colour matrix: tell
    FFmpeg, as in the example.
    """
    if sys.stdout.isatty():
        raise UsageError("standard output is a terminal; pipe it: nervplay pipe FILE | ffmpeg -i - OUT, or use export")
    with open_logged(file, device=device, precision=precision) as decoder:
        write_y4m(sys.stdout.buffer, decoder, pix_fmt)
