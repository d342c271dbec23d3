"""Serving .nerv files to programs of this machine: what `serve`, `ffmpeg` and `mpv` share."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from app.cli.decoding import open_logged
from app.cli.options import NERV, audio_option, device_option, precision_option
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.programs import run_program
from ffmpeg_bridge.raw import RAW_FORMATS
from models_hub import is_address
from nervplay.codec import open_nerv

__all__ = ["ServingOptions", "is_neural", "run_with_urls", "serving", "serving_options"]

Function = TypeVar("Function", bound=Callable[..., Any])
_LOG = logging.getLogger(__name__)


class ServingOptions(NamedTuple):
    """How files are served; see the options of the same names."""

    pix_fmt: str | None
    audio: str
    cache: int
    device: str
    precision: str


def serving_options(function: Function) -> Function:
    """Add the options that `ServingOptions` holds."""
    pix_fmt = click.option(
        "--pix-fmt", metavar="|".join(RAW_FORMATS), help="Pixel format; default: yuv420p, or yuv444p for odd sizes."
    )
    cache = click.option(
        "--cache",
        type=click.IntRange(min=1),
        default=32,
        show_default=True,
        metavar="MIB",
        help="Memory for decoded frames.",
    )
    return pix_fmt(audio_option(cache(device_option(precision_option(function)))))


def is_neural(word: str) -> bool:
    """Return whether an argument names a .nerv file."""
    return word.lower().endswith(".nerv") or is_address(word)


@contextmanager
def serving(words: list[str], options: ServingOptions, port: int = 0) -> Iterator[tuple[VideoServer, dict[str, str]]]:
    """Serve files while the block runs; give the server, and the URL of each of `words`.

    Args:
        words: names of .nerv files; one that is named twice is opened once.
        options: how.
        port: where to listen; 0 for any free port.

    Raises:
        InputError: a file that is missing or cannot be used.
        GeometryError: a pixel format that a file's frames cannot have.
    """
    with ExitStack() as stack:
        opened = []
        for word in dict.fromkeys(words):
            path: Path = NERV.convert(word.removeprefix("file:"), None, None)
            video = open_nerv(path)
            decoder = stack.enter_context(open_logged(video, device=options.device, precision=options.precision))
            opened.append((word, path, video.file.audio if options.audio == "copy" else None, decoder))
        server = stack.enter_context(VideoServer(cache_bytes=options.cache << 20, port=port))
        urls = {}
        for word, path, sound, decoder in opened:
            urls[word] = server.add(decoder, path.name, pix_fmt=options.pix_fmt, audio=sound)
            _LOG.info("%s is at %s", path, urls[word])
        yield server, urls


def run_with_urls(program: str, arguments: list[str], places: list[int], options: ServingOptions) -> int:
    """Run a program with the URLs of neural files in their places; return its exit code.

    Args:
        program: its path.
        arguments: of the program.
        places: indices of the arguments that name neural files.
        options: how to serve them.

    Raises:
        InputError: a file that is missing or cannot be used.
        Exception: what a decoder raised while the program ran, whatever the program made of it.
    """
    with serving([arguments[place] for place in places], options) as (server, urls):
        words = [urls[word] if place in places else word for place, word in enumerate(arguments)]
        code = run_program([program, *words])
    if server.failure is not None:
        raise server.failure
    return code
