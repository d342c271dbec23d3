"""`nervplay frei0r`: the plug-in that makes neural video a source and a filter of other programs."""

from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, SIZE, Number
from nervplay.errors import UsageError

__all__ = ["command"]


@nervplay_command(
    "frei0r",
    examples=(
        "nervplay frei0r install",
        'ffmpeg -filter_complex "$(nervplay frei0r graph clip.nerv)" out.mp4',
        'ffmpeg -i source.mp4 -vf "$(nervplay frei0r graph clip.nerv --compare wipe)" compare.mp4',
        'FREI0R_PATH="$(nervplay frei0r path)" melt frei0r.nerv model=clip.nerv',
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("action", type=click.Choice(["install", "graph", "path"]))
@click.argument("file", type=NERV, required=False)
@click.option("--folder", type=click.Path(path_type=Path), help="install: where to; default: the user's own folder.")
@click.option("--compare", type=click.Choice(["wipe", "difference", "neural"]), help="graph: a filter, not a source.")
@click.option("--split", type=Number(0, 1), default=0.5, show_default=True, help="graph: where the wipe is.")
@click.option("--size", type=SIZE, help="graph: scale to this size; default: that of FILE.")
@click.option("--start", default="0", metavar="SECONDS", help="graph: begin here; such sources cannot be sought in.")
def command(
    *,
    action: str,
    file: Path | None,
    folder: Path | None,
    compare: str | None,
    split: float,
    size: tuple[int, int] | None,
    start: str,
) -> None:
    """Build the frei0r plug-in and use it: neural video as a filter of FFmpeg, mpv and MLT.

    "install" builds it with the C compiler that is here (or: pip install ziglang) and puts it where every frei0r host
    looks. "graph" prints the text for FFmpeg's -filter_complex, or with --compare for -vf, that shows FILE; names of
    any kind are quoted in it. "path" prints the folder of the plug-in. Without the plug-in, `nervplay ffmpeg` does the
    same.
    """
    if (file is not None) != (action == "graph"):
        raise UsageError("only graph takes a file, and needs one: nervplay frei0r graph clip.nerv")
    from app.cli.work.frei0r import install, show_folder, show_graph

    if file is not None:
        show_graph(file, compare, split=split, size=size, start=start)
    elif action == "install":
        install(folder)
    else:
        show_folder(folder)
