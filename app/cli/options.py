"""Types and options that several commands share, and the checks of targets that come before any long work."""

import math
import re
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from app.cli.command import State
from app.cli.offers import among, offer, offer_files
from models_hub import is_address
from nervplay.choices import BACKENDS, DEVICES, PRECISIONS, RAW_FORMATS
from nervplay.errors import (
    FrameIndexError,
    InputError,
    MissingInputError,
    OutputError,
    OutputExistsError,
    UnknownNameError,
    UsageError,
)
from nervplay.video.selection import parse_frame_spans, parse_positions, parse_range, parse_size

__all__ = [
    "CONVOLUTIONS_FORM",
    "FRAMES",
    "NERV",
    "POSITIONS",
    "SIZE",
    "SOURCE",
    "SPAN",
    "TARGET",
    "Name",
    "Number",
    "audio_option",
    "backend_option",
    "calibrate_option",
    "check_suffix",
    "check_target",
    "check_target_folder",
    "device_option",
    "json_option",
    "make_target_folder",
    "overwrite_option",
    "parse_parameters",
    "pix_fmt_option",
    "precision_option",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class NervPath(click.ParamType[Path]):
    """A .nerv file that exists; an address on the Hub becomes the file in the cache, downloaded where it must be."""

    name = "file"
    remote = True
    """Commands with such an argument take --offline."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002 - click's signature
        """Return the path.

        Raises:
            MissingInputError: no such file.
            InputError: a folder, or something on the Hub that is no neural video.
            UsageError: not an address.
            RemoteError: an address that cannot be fetched.
            CapabilityError: an address, and huggingface_hub is not installed.
        """
        if ctx is not None and ctx.resilient_parsing:  # the shell wants to complete another word: nothing is fetched
            return Path(value)
        if isinstance(value, str) and is_address(value):
            from app.cli.fetching import fetch

            return fetch(value, offline=ctx is not None and ctx.find_root().ensure_object(State).offline).path
        path = Path(value)
        _check_input(path)
        if path.is_dir():
            raise InputError(f"'{path}' is a folder; give a .nerv file")
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer files and folders."""
        return offer_files(ctx, param, incomplete)


class SourcePath(click.ParamType[Path]):
    """A video file, or a folder of PNG files, that exists."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002 - click's signature
        """Return the path.

        Raises:
            MissingInputError: neither a file nor a folder.
        """
        path = Path(value)
        _check_input(path)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer files and folders."""
        return offer_files(ctx, param, incomplete)


class FrameSize(click.ParamType[tuple[int, int]]):
    """A frame size "WxH" in pixels."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:  # noqa: ARG002 - click's signature
        """Return (width, height).

        Raises:
            UsageError: not two positive numbers.
        """
        return value if isinstance(value, tuple) else parse_size(value)


class FramesText(click.ParamType[str]):
    """Words for frames of a clip that is not open yet: their form is checked, their numbers when the clip is known.

    Args:
        parse: reads them, of a clip of so many frames.
    """

    name = "frames"

    def __init__(self, parse: Callable[[str, int], object]) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return the words as they are.

        Raises:
            UsageError: they are of another form.
        """
        text = str(value)
        if text:
            with suppress(FrameIndexError):
                self._parse(text, sys.maxsize)
        return text


class Number(click.FloatRange):
    """A number in a range: not nan, which comparisons let pass, and none without end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; click refuses what is none, or lies outside."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Name(click.ParamType[str]):
    """One of some names.

    Args:
        kind: what they name, for the message.
        names: all of them.
    """

    name = "name"

    def __init__(self, kind: str, names: Collection[str]) -> None:
        self._kind, self._names = kind, names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return the name.

        Raises:
            UnknownNameError: another one.
        """
        text = str(value)
        if text not in self._names:
            raise UnknownNameError(self._kind, text, self._names)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """Offer the names."""
        return among(self._names, incomplete)


NERV = NervPath()
SOURCE = SourcePath()
SIZE = FrameSize()
FRAMES = FramesText(parse_frame_spans)
POSITIONS = FramesText(parse_positions)
SPAN = FramesText(parse_range)
TARGET = click.Path(path_type=Path)

CONVOLUTIONS_FORM = "KIND:STAGES[:rho=R]"
"""Form of one value of `--convolutions`."""


def _check_input(path: Path) -> None:
    """Raise `MissingInputError` when nothing that can be read is at `path`."""
    try:
        found = path.exists()
    except (OSError, ValueError) as error:  # a name that is too long, a NUL, a folder that may not be searched
        raise MissingInputError(f"'{path}' cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    if not found:
        raise MissingInputError(f"'{path}' does not exist; check the spelling (relative to {Path.cwd()})")


def parse_parameters(text: str) -> int:
    """Return a number of parameters: "1500000", "1.5M" or "350k".

    Raises:
        UsageError: text of another form.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmM]?)\s*", text)
    count = round(float(match[1]) * {"": 1, "k": 10**3, "m": 10**6}[match[2].lower()]) if match else 0
    if count < 1:
        raise UsageError(f"size '{text}' is no number of parameters; write it as 350k, 1.5M or 1500000")
    return count


def check_suffix(path: Path, *suffixes: str) -> None:
    """Raise `UsageError` when the name of a target does not end with one of `suffixes` (lower case, with the dot)."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"target '{path}' must end with {' or '.join(suffixes)}; rename it")


def check_target(path: Path, *, overwrite: bool) -> None:
    """Check before the work that a file can be written at `path`, leaving nothing behind.

    Raises:
        OutputError: no such folder, a folder that cannot be written to, or `path` is itself a folder.
        OutputExistsError: something is there and `overwrite` is false.
    """
    if path.is_dir():
        raise OutputError(f"target '{path}' is a folder; give the name of a file in it")
    check_target_folder(path.parent)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"target '{path}' exists; add --overwrite to replace it, or choose another name")


def check_target_folder(folder: Path) -> None:
    """Check that files can be made in `folder`, by making one that has no name.

    Raises:
        OutputError: no such folder, or it cannot be written to.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise OutputError(f"folder '{folder}' does not exist; make it first, or choose another target") from None
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be written to: {error.strerror}; choose another target") from None


def make_target_folder(folder: Path) -> None:
    """Make the folder that the results go to.

    Raises:
        OutputError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another with -o") from None
    check_target_folder(folder)


def json_option(function: Function) -> Function:
    """Add --json: the result as JSON on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def audio_option(function: Function) -> Function:
    """Add --audio: whether the sound in the file goes along."""
    choice = click.Choice(["copy", "none"])
    return click.option("--audio", type=choice, default="copy", show_default=True, help="Sound or silence.")(function)


def overwrite_option(function: Function) -> Function:
    """Add --overwrite: an existing target is replaced."""
    return click.option("--overwrite", is_flag=True, help="Replace the target where it exists.")(function)


def device_option(function: Function) -> Function:
    """Add --device: where the network runs."""
    return click.option(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda|cuda:N",
        shell_complete=offer(*DEVICES),
        help="Where the network runs (auto: CUDA if present).",
    )(function)


def calibrate_option(function: Function) -> Function:
    """Add --calibrate: the file brings what its integer products need."""
    return click.option(
        "--calibrate",
        is_flag=True,
        help="Find out what int8 needs and put it into the file (some kilobytes), for its first use to be quick.",
    )(function)


def backend_option(function: Function) -> Function:
    """Add --backend: which engine computes."""
    return click.option(
        "--backend",
        type=Name("backend", BACKENDS),
        default="auto",
        metavar="|".join(BACKENDS),
        help="The engine (auto: the fastest; torch: the reference, to the last bit as the papers' code).",
    )(function)


def precision_option(function: Function) -> Function:
    """Add --precision: arithmetic of the decoder."""
    return click.option(
        "--precision",
        type=Name("precision", PRECISIONS),
        default="fp32",
        metavar="|".join(PRECISIONS),
        help="Arithmetic of the decoder; fp32 is the reference, tf32 and fp16 are for GPUs.",
    )(function)


def pix_fmt_option(function: Function) -> Function:
    """Add --pix-fmt: how uncompressed pictures are laid out."""
    return click.option(
        "--pix-fmt",
        type=Name("pixel format", RAW_FORMATS),
        metavar="|".join(RAW_FORMATS),
        help="Pixel format; default: yuv420p, or yuv444p for odd sizes.",
    )(function)
