"""What `nervplay frei0r` does: building the plug-in, and filter graphs for it."""

from pathlib import Path

from app.cli.output import emit, note
from ffmpeg_bridge.frei0r import compare_graph, install_plugins, plugin_folder, source_graph
from nervplay.codec import open_nerv

__all__ = ["install", "show_folder", "show_graph"]


def show_graph(file: Path, compare: str | None, *, split: float, size: tuple[int, int] | None, start: str) -> None:
    """Print a filter graph that shows a file.

    Args:
        file: the .nerv file.
        compare: how a filter compares with it; None for a source.
        split: where the wipe is, 0 .. 1.
        size: (width, height) that a source is scaled to; None for that of the file.
        start: seconds from the beginning.
    """
    video = open_nerv(file)
    options = "strict" if start == "0" else f"strict+start={start}"
    name = str(file.resolve())
    if compare is not None:
        emit(compare_graph(video.spec, name, options=options, mode=compare, split=split))
    else:
        emit(source_graph(video.spec, name, options=options, size=size))


def install(folder: Path | None) -> None:
    """Build the plug-in and put it into a folder, None for the user's own."""
    report = install_plugins(folder)
    note(f"nerv and nervcmp are in {report.folder}, made by {report.made_by}; nervplay ffmpeg doctor tries them")


def show_folder(folder: Path | None) -> None:
    """Print the folder of the plug-in, None for the user's own."""
    emit(str(folder or plugin_folder()))
