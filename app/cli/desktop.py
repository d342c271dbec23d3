"""`nervplay desktop`: the player in the desktop's menu, and .nerv files that open in it."""

import sys
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.output import emit, note
from app.core import desktop

__all__ = ["command"]


@nervplay_command("desktop", examples=("nervplay desktop install", "nervplay desktop remove"), codes=(2, 4))
@click.argument("action", type=click.Choice(["install", "remove"]))
def command(action: str) -> None:
    """Enter the player into the desktop's menu of programs and let it open .nerv files, for this user; or undo that."""
    if action == "install":
        started = Path(sys.argv[0])
        inside = (sys.executable, "-m", "app.cli")
        paths = desktop.install((str(started.resolve()),) if started.name == "nervplay" else inside)
        note("The player is in the menu of programs, and opens .nerv files")
    else:
        paths = desktop.remove()
        note("The player was taken out of the menu of programs" if paths else "There was nothing to remove")
    for path in paths:
        emit(str(path))
