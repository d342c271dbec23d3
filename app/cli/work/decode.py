"""What `nervplay decode` does: frames to a folder of PNG files, or to one array."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.cli.decode import Asked
from app.cli.options import check_target_folder
from app.cli.output import note, progress
from app.cli.work.decoding import open_logged
from nervplay.bitstream import clear_leftovers, replacing
from nervplay.errors import CapabilityError, OutputError, OutputExistsError
from nervplay.video.selection import parse_frames, parse_positions
from nervplay.video.source import Frame

__all__ = ["decode"]

Picture: TypeAlias = Frame | NDArray[np.float32]


def decode(asked: Asked) -> None:
    """Decode what was asked for and write it.

    Raises:
        CapabilityError: positions between frames, and a network that reads no time.
        OutputError, OutputExistsError: the target cannot be written, or is there.
    """
    array = asked.output.suffix.lower() == ".npy"
    with open_logged(asked.file, device=asked.device, precision=asked.precision, backend=asked.backend) as decoder:
        if asked.between:
            positions = parse_positions(asked.between, len(decoder))
            if not decoder.continuous_time and any(position.denominator > 1 for position in positions):
                raise CapabilityError(
                    f"{asked.file} holds whole frames only, nothing between them; ask for whole positions"
                )
            names = [f"position_{str(position).replace('/', '-')}" for position in positions]
            frames: Iterable[Picture] = map(decoder.frame_at, positions)
        else:
            indices = parse_frames(asked.which or ":", len(decoder))
            if not array:
                indices = list(dict.fromkeys(indices))
            names = [f"frame_{index:05}" for index in indices]
            frames = map(decoder.float_frame, indices) if asked.as_float else decoder.frames(indices)
        if array:
            height, width = decoder.spec.height, decoder.spec.width
            dtype, shape = ("<f4", (3, height, width)) if asked.as_float else ("|u1", (height, width, 3))
            _write_array(frames, dtype, (len(names), *shape), asked.output, overwrite=asked.overwrite)
        else:
            _write_folder(frames, names, asked.output, overwrite=asked.overwrite)


def _write_array(
    frames: Iterable[Picture], dtype: str, shape: tuple[int, ...], target: Path, *, overwrite: bool
) -> None:
    """Write frames as one .npy file of `dtype` and `shape`, frame by frame, so that the memory stays small.

    Not a memory map: on a full disk that ends the process instead of raising.
    """
    count = shape[0]
    clear_leftovers(target)
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
