"""`nervplay mpv`: the stock mpv, with files that may be neural."""

from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer_files
from app.cli.pass_through import PassThroughCommand
from app.cli.serving import ServingOptions, is_neural, serving_options
from nervplay.errors import UsageError

__all__ = ["command"]

_NO_DOWNLOADER = "--no-ytdl"  # it would try its luck with our URL when something else is wrong


@nervplay_command(
    "mpv",
    cls=PassThroughCommand,
    examples=("nervplay mpv clip.nerv", "nervplay mpv --device cuda clip.nerv --start=10 --loop"),
    codes=(2, 3, 6),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="FILE...", shell_complete=offer_files)
@click.option("--program", default="mpv", show_default=True, metavar="PATH", help="The mpv to run.")
@serving_options
def command(*, arguments: tuple[str, ...], program: str, **served: Any) -> None:
    """Run mpv with these files and options, in which FILE may be a .nerv file.

    Options of ours stand before the first option or file of mpv. Exit code, signals and standard streams are mpv's own.
    """
    words = list(arguments)
    places = [place for place, word in enumerate(words) if not word.startswith("-") and is_neural(word)]
    if not words:
        raise UsageError("nothing to play; give a file: nervplay mpv clip.nerv")
    if places:
        words.insert(0, _NO_DOWNLOADER)
        places = [place + 1 for place in places]
    from app.cli.work.serving import run_with_urls

    click.get_current_context().exit(run_with_urls(program, words, places, ServingOptions(**served)))
