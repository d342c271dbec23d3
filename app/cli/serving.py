"""Serving .nerv files to programs of this machine: the options that `serve`, `ffmpeg` and `mpv` share."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from app.cli.options import NERV, audio_option, device_option, pix_fmt_option, precision_option
from models_hub import is_address

__all__ = ["ServingOptions", "is_neural", "neural_files", "serving_options"]

Function = TypeVar("Function", bound=Callable[..., Any])


class ServingOptions(NamedTuple):
    """How files are served; see the options of the same names."""

    pix_fmt: str | None
    audio: str
    cache: int
    device: str
    precision: str


def serving_options(function: Function) -> Function:
    """Add the options that `ServingOptions` holds."""
    cache = click.option(
        "--cache",
        type=click.IntRange(min=1),
        default=32,
        show_default=True,
        metavar="MIB",
        help="Memory for decoded frames.",
    )
    return pix_fmt_option(audio_option(cache(device_option(precision_option(function)))))


def is_neural(word: str) -> bool:
    """Return whether an argument names a .nerv file."""
    return word.lower().endswith(".nerv") or is_address(word)


def neural_files(words: Iterable[str]) -> dict[str, Path]:
    """Return the files that arguments name, by argument; one that is named twice is there once.

    Raises:
        InputError: a file that is missing, or a folder.
        RemoteError: an address that cannot be fetched.
    """
    return {word: NERV.convert(word.removeprefix("file:"), None, None) for word in words}
