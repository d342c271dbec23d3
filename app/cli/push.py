"""`nervplay push`: a .nerv file published on the Hub, with a page that a stranger can use."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, SOURCE, device_option, json_option
from models_hub import Address
from nervplay.errors import UsageError

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    repository: str
    source: Path | None
    title: str | None
    licence: str
    credit: str
    variants: tuple[str, ...]
    public: bool
    tag: str | None
    message: str
    no_pictures: bool
    as_json: bool
    device: str


@nervplay_command(
    "push",
    examples=(
        "nervplay push clip.nerv alice/bunny --source clip.mp4 --license cc-by-4.0",
        "nervplay push clip.nerv alice/bunny --public --tag v1 --variant low=clip-low.nerv",
    ),
    codes=(2, 3, 5, 6, 130),
)
@click.argument("file", type=NERV)
@click.argument("repository", metavar="USER/NAME")
@click.option("--source", type=SOURCE, metavar="SRC", help="Measure against this clip; the figures go on the card.")
@click.option("--title", metavar="TEXT", help="Heading of the page; default: the name of the repository.")
@click.option(
    "--license", "licence", default="", metavar="NAME", help="Of the clip, as the Hub names it: cc-by-4.0, ..."
)
@click.option("--credit", default="", metavar="TEXT", help="Whose clip it is and where it comes from.")
@click.option("--variant", "variants", multiple=True, metavar="NAME=FILE", help="Another rate of the clip; repeatable.")
@click.option("--public", is_flag=True, help="Make a new repository public; without it, it is private.")
@click.option("--tag", metavar="NAME", help="Name this version, as in v1.")
@click.option("--message", default="Publish with nervplay", show_default=True, metavar="TEXT", help="Of the commit.")
@click.option("--no-pictures", is_flag=True, help="No poster and no preview video.")
@json_option
@device_option
def command(**values: Any) -> None:
    """Publish FILE on the Hub as USER/NAME and print the address of the new version.

    One commit: the file, its card (README.md), config.json, a poster and a short preview video made from the decoded
    frames. A repository that is not there is made, private unless --public; the card of an earlier push is replaced.
    """
    asked = Asked(**values)
    Address(repository=asked.repository, revision=asked.tag)  # names are checked before the long work
    others = _variants(asked.variants)
    from app.cli.work.push import push

    push(asked, others)


def _variants(pairs: tuple[str, ...]) -> dict[str, Path]:
    """Return files by name of "NAME=FILE" pairs.

    Raises:
        UsageError: a pair of another form, or a name twice.
        MissingInputError: no such file.
    """
    files: dict[str, Path] = {}
    for pair in pairs:
        name, sign, path = pair.partition("=")
        if not sign or name in files:
            raise UsageError(f"--variant '{pair}' must be NAME=FILE, each name once; as in low=clip-low.nerv")
        files[name] = NERV.convert(path, None, None)
    return files
