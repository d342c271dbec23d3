"""`nervplay decode`: frames to a folder of PNG files, or to one array."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.options import (
    NERV,
    TARGET,
    backend_option,
    check_target,
    check_target_folder,
    device_option,
    overwrite_option,
    precision_option,
)
from app.cli.output import note, progress
from nervplay.bitstream import replacing
from nervplay.errors import CapabilityError, OutputError, OutputExistsError, UsageError
from nervplay.video.selection import parse_frames, parse_positions
from nervplay.video.source import Frame

__all__ = ["command"]

Picture: TypeAlias = Frame | NDArray[np.float32]

_FILES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m", ".npz", ".png", ".jpg", ".jpeg", ".gif", ".nerv"}
"""Endings of files: a target that ends like this is not meant to be a folder."""


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
@click.option("--frames", "which", metavar="0,5,10:20", help="Indices and half-open ranges; default: all.")
@click.option("--at", "between", metavar="7/2,10.25", help="Pictures between frames, where the network reads a time.")
@click.option("--float", "as_float", is_flag=True, help="Write float32 (T, 3, H, W), before rounding; only for .npy.")
@device_option
@precision_option
@backend_option
@overwrite_option
def command(
    *,
    file: Path,
    output: Path,
    which: str | None,
    between: str | None,
    as_float: bool,
    device: str,
    precision: str,
    backend: str,
    overwrite: bool,
) -> None:
    """Decode FILE to PNG files or to an array.

    PNG files are called frame_00000.png and so on, by the index of the frame in the clip; with --at position_7-2.png
    for 7/2. An array is uint8 (T, H, W, 3) RGB, or with --float float32 (T, 3, H, W) as the network gives it, about 0
    to 1.
    """
    if between and (which or as_float):
        raise UsageError("--at names pictures of its own; leave out --frames and --float")
    array = output.suffix.lower() == ".npy"
    if as_float and not array:
        raise UsageError(f"--float writes one array; target '{output}' must end with .npy")
    if array:
        check_target(output, overwrite=overwrite)
    elif output.suffix.lower() in _FILES and not output.is_dir():
        raise UsageError(f"target '{output}' must be a folder or end with .npy; for a video use `nervplay export`")
    with open_logged(file, device=device, precision=precision, backend=backend) as decoder:
        if between:
            positions = parse_positions(between, len(decoder))
            if not decoder.continuous_time and any(position.denominator > 1 for position in positions):
                raise CapabilityError(f"{file} holds whole frames only, nothing between them; ask for whole positions")
            names = [f"position_{str(position).replace('/', '-')}" for position in positions]
            frames: Iterable[Picture] = map(decoder.frame_at, positions)
        else:
            indices = parse_frames(which or ":", len(decoder))
            if not array:
                indices = list(dict.fromkeys(indices))
            names = [f"frame_{index:05}" for index in indices]
            frames = map(decoder.float_frame, indices) if as_float else decoder.frames(indices)
        if array:
            height, width = decoder.spec.height, decoder.spec.width
            dtype, shape = ("<f4", (3, height, width)) if as_float else ("|u1", (height, width, 3))
            _write_array(frames, dtype, (len(names), *shape), output, overwrite=overwrite)
        else:
            _write_folder(frames, names, output, overwrite=overwrite)


def _write_array(
    frames: Iterable[Picture], dtype: str, shape: tuple[int, ...], target: Path, *, overwrite: bool
) -> None:
    """Write frames as one .npy file of `dtype` and `shape`, frame by frame, so that the memory stays small.

    Not a memory map: on a full disk that ends the process instead of raising.
    """
    count = shape[0]
    with (
        replacing(target, overwrite=overwrite) as beside,
        beside.open("wb") as stream,
        progress("decoding", count, "frames") as show,
    ):
        np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
        for done, frame in enumerate(frames, start=1):
            stream.write(np.ascontiguousarray(frame, dtype=dtype).data)
            show(done)
    note(f"wrote {count} frames, {dtype} {shape}, to {target}")


def _write_folder(frames: Iterable[Picture], names: list[str], folder: Path, *, overwrite: bool) -> None:
    """Write frames as PNG files called NAME.png.

    Raises:
        OutputExistsError: one of the files is there and `overwrite` is false; nothing is written then.
    """
    files = [folder / f"{name}.png" for name in names]
    if not overwrite:
        for file in files:
            if file.exists():
                raise OutputExistsError(
                    f"target '{file}' exists; add --overwrite to replace it, or choose another folder"
                )
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise OutputError(f"folder '{folder.parent}' does not exist; make it first, or choose another target") from None
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another target") from None
    check_target_folder(folder)
    with progress("decoding", len(files), "frames") as show:
        for done, (file, frame) in enumerate(zip(files, frames, strict=True), start=1):
            with replacing(file, overwrite=overwrite) as beside:
                Image.fromarray(frame).save(beside, format="PNG", compress_level=3)
            show(done)
    note(f"wrote {len(files)} PNG files to {folder}")
