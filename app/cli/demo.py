"""`nervplay demo`: the main job on the bundled sample, in under a minute."""

from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.options import TARGET, device_option, make_target_folder
from app.core import find_sample

__all__ = ["command"]


@nervplay_command("demo", examples=("nervplay demo", "nervplay demo -o /tmp/demo"), codes=(3, 4, 6))
@click.option(
    "-o", "--output", default="nervplay-demo", show_default=True, type=TARGET, metavar="DIR", help="Where the files go."
)
@device_option
def command(*, output: Path, device: str) -> None:
    """Decode the bundled neural video and hold it against its source.

    Writes to DIR: side-by-side.mp4 (neural beside source, with sound), contact-sheet.png, metrics.csv and metrics.json;
    those of an earlier demo are replaced. Prints the table of measures.
    """
    sample = find_sample()
    make_target_folder(output)
    from app.cli.work.demo import demo

    demo(sample, output, device)
