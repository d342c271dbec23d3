"""`nervplay decode`: frames to a folder of PNG files, or to one array."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.options import (
    FRAMES,
    NERV,
    POSITIONS,
    TARGET,
    backend_option,
    check_target,
    device_option,
    overwrite_option,
    precision_option,
)
from nervplay.errors import UsageError

__all__ = ["Asked", "command"]

_FILES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m", ".npz", ".png", ".jpg", ".jpeg", ".gif", ".nerv"}
"""Endings of files: a target that ends like this is not meant to be a folder."""


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    output: Path
    which: str | None
    between: str | None
    as_float: bool
    device: str
    precision: str
    backend: str
    overwrite: bool


@nervplay_command(
    "decode",
    examples=(
        "nervplay decode clip.nerv -o frames",
        "nervplay decode clip.nerv -o frames.npy --frames 0,5,10:20",
        "ffmpeg -framerate 25 -i frames/frame_%05d.png -pix_fmt yuv420p clip.mp4",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("file", type=NERV)
@click.option("-o", "--output", required=True, type=TARGET, metavar="DIR|OUT.npy", help="A folder, or a .npy file.")
@click.option("--frames", "which", type=FRAMES, metavar="0,5,10:20", help="Indices and half-open ranges; default: all.")
@click.option(
    "--at",
    "between",
    type=POSITIONS,
    metavar="7/2,10.25",
    help="Pictures between frames, where the network reads a time.",
)
@click.option("--float", "as_float", is_flag=True, help="Write float32 (T, 3, H, W), before rounding; only for .npy.")
@device_option
@precision_option
@backend_option
@overwrite_option
def command(**values: Any) -> None:
    """Decode FILE to PNG files or to an array.

    PNG files are called frame_00000.png and so on, by the index of the frame in the clip; with --at position_7-2.png
    for 7/2. An array is uint8 (T, H, W, 3) RGB, or with --float float32 (T, 3, H, W) as the network gives it, about 0
    to 1.
    """
    asked = Asked(**values)
    if asked.between and (asked.which or asked.as_float):
        raise UsageError("--at names pictures of its own; leave out --frames and --float")
    suffix = asked.output.suffix.lower()
    if asked.as_float and suffix != ".npy":
        raise UsageError(f"--float writes one array; target '{asked.output}' must end with .npy")
    if suffix == ".npy":
        check_target(asked.output, overwrite=asked.overwrite)
    elif suffix in _FILES and not asked.output.is_dir():
        raise UsageError(
            f"target '{asked.output}' must be a folder or end with .npy; for a video use `nervplay export`"
        )
    from app.cli.work.decode import decode

    decode(asked)
