"""`nervplay ffmpeg`: the stock ffmpeg, with inputs that may be neural."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer_files
from app.cli.pass_through import PassThroughCommand
from app.cli.serving import ServingOptions, is_neural, serving_options
from nervplay.errors import UsageError

__all__ = ["command", "neural_inputs"]


def neural_inputs(arguments: list[str], program: str = "ffmpeg") -> list[int]:
    """Return the places of .nerv files in a command line of ffmpeg: what follows `-i`.

    Args:
        arguments: of the program.
        program: its name or path; ffprobe and ffplay take their one file without `-i`, too.
    """
    pairs = enumerate(pairwise(arguments), start=1)
    places = [place for place, (option, word) in pairs if option == "-i" and is_neural(word)]
    if not places and Path(program).name.startswith(("ffprobe", "ffplay")):
        return [place for place, word in enumerate(arguments) if is_neural(word)][-1:]
    return places


@nervplay_command(
    "ffmpeg",
    cls=PassThroughCommand,
    examples=(
        "nervplay ffmpeg -ss 10 -i clip.nerv -t 5 -c:v libx264 part.mp4",
        "nervplay ffmpeg -i clip.nerv -i source.mp4 -lavfi [0:v][1:v]psnr -f null -",
        "nervplay ffmpeg --program ffprobe clip.nerv",
        "nervplay ffmpeg doctor",
    ),
    codes=(2, 3, 6),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ARGS...|doctor", shell_complete=offer_files)
@click.option("--program", default="ffmpeg", show_default=True, metavar="PATH", help="The ffmpeg to run, or ffprobe.")
@click.option("--json", "as_json", is_flag=True, help="doctor: print the result as JSON.")
@serving_options
def command(*, arguments: tuple[str, ...], program: str, as_json: bool, **served: Any) -> None:
    """Run ffmpeg with ARGS, in which `-i FILE.nerv` works like any other input.

    Options of ours stand before ARGS and begin with two dashes. Exit code, signals and standard streams are ffmpeg's
    own; where a decoder fails, the exit code is ours. `nervplay ffmpeg doctor` runs each ffmpeg, mpv and melt that it
    finds and says which ways into it work here.
    """
    words = list(arguments)
    if words in (["doctor"], ["doctor", "--json"]):
        from app.cli.work.doctor import show_routes

        show_routes(program, as_json=as_json or "--json" in words)
        return
    if not words:
        raise UsageError("nothing to run; give ffmpeg's own arguments: nervplay ffmpeg -i clip.nerv out.mp4")
    from app.cli.work.serving import run_with_urls

    places = neural_inputs(words, program)
    click.get_current_context().exit(run_with_urls(program, words, places, ServingOptions(**served)))
