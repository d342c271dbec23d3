"""`nervplay serve`: neural video as a URL that every player and tool of this machine opens and seeks in."""

import signal
import sys
import threading

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer_files
from app.cli.output import emit, note
from app.cli.serving import ServingOptions, neural_files, serving_options

__all__ = ["command"]

_LOOK_EVERY = 0.2


@nervplay_command(
    "serve",
    examples=("nervplay serve clip.nerv", "nervplay serve --port 8123 --pix-fmt yuv444p10le clip.nerv"),
    codes=(2, 3, 4, 6),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=offer_files)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Where to listen; 0: any free port."
)
@serving_options
def command(
    *, files: tuple[str, ...], port: int, pix_fmt: str | None, audio: str, cache: int, device: str, precision: str
) -> None:
    """Print a URL for each FILE and serve it, on this machine only, until Ctrl-C.

    What is behind the URL looks like an uncompressed Matroska file: exact seeking, colour tags, sound as second track.
    The path holds a random token; whoever knows the URL can read.
    """
    paths = neural_files(files)
    from app.cli.work.serving import serving

    options = ServingOptions(pix_fmt, audio, cache, device, precision)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with serving(paths, options, port) as (server, urls):
        for file in files:
            emit(urls[file])
        sys.stdout.flush()
        failure = None
        while not stopped.wait(_LOOK_EVERY):
            if server.failure is not failure:
                failure = server.failure
                note(f"a reader was cut off: {failure}")
