"""Serving .nerv files to programs of this machine, for `serve`, `ffmpeg` and `mpv`."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.cli.serving import ServingOptions, neural_files
from app.cli.work.decoding import open_logged
from ffmpeg_bridge.http_server import VideoServer
from ffmpeg_bridge.programs import find_program, run_program
from nervplay.codec import open_nerv

__all__ = ["run_with_urls", "serving"]

_LOG = logging.getLogger(__name__)


@contextmanager
def serving(
    files: Mapping[str, Path], options: ServingOptions, port: int = 0
) -> Iterator[tuple[VideoServer, dict[str, str]]]:
    """Serve files while the block runs; give the server, and the URL of each by its name.

    Args:
        files: .nerv files by the names that they were given.
        options: how.
        port: where to listen; 0 for any free port.

    Raises:
        InputError: a file that cannot be used.
        GeometryError: a pixel format that a file's frames cannot have.
    """
    with ExitStack() as stack:
        opened = []
        for word, path in files.items():
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
        program: its name or path.
        arguments: of the program.
        places: indices of the arguments that name neural files.
        options: how to serve them.

    Raises:
        CapabilityError: no such program.
        InputError: a file that is missing or cannot be used.
        Exception: what a decoder raised while the program ran, whatever the program made of it.
    """
    path = find_program(program)
    with serving(neural_files(arguments[place] for place in places), options) as (server, urls):
        words = [urls[word] if place in places else word for place, word in enumerate(arguments)]
        code = run_program([path, *words])
    if server.failure is not None:
        raise server.failure
    return code
