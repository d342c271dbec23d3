"""`nervplay pipe`: frames on standard output, and nothing else there."""

import sys
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, audio_option, device_option, pix_fmt_option, precision_option
from nervplay.choices import CARRIERS
from nervplay.errors import UsageError

__all__ = ["command"]


@nervplay_command(
    "pipe",
    examples=(
        "nervplay pipe clip.nerv | ffmpeg -i - clip.mp4",
        "nervplay pipe clip.nerv --pix-fmt yuv444p10le | mpv -",
        "nervplay pipe clip.nerv --format y4m | x264 --demuxer y4m --colormatrix bt709 -o clip.264 -",
    ),
    codes=(2, 3, 4, 6, 130),
)
@click.argument("file", type=NERV)
@click.option(
    "--format",
    "carrier",
    type=click.Choice(CARRIERS),
    default="mkv",
    show_default=True,
    help="Uncompressed Matroska, YUV4MPEG2, NUT, or bare pictures.",
)
@pix_fmt_option
@audio_option
@device_option
@precision_option
def command(*, file: Path, carrier: str, pix_fmt: str | None, audio: str, device: str, precision: str) -> None:
    """Write the frames of FILE to standard output, for FFmpeg and whatever else reads a pipe.

    A reader that closes the pipe early is no error. Only mkv says everything of itself, colour included, and only mkv
    and nut take sound; for the others, -v prints the options that FFmpeg needs.
    """
    if sys.stdout.isatty():
        raise UsageError("standard output is a terminal; pipe it: nervplay pipe FILE | ffmpeg -i - OUT, or use export")
    from app.cli.work.pipe import pipe

    try:
        pipe(file, carrier, pix_fmt, sound=audio == "copy", device=device, precision=precision)
    except KeyboardInterrupt:  # Ctrl-C reaches both ends of the pipe; the reader says what there is to say
        click.get_current_context().exit(130)
