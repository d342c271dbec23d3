"""`nervplay push`: a .nerv file published on the Hub, with a page that a stranger can use."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.fetching import open_hub
from app.cli.measure import measure
from app.cli.options import NERV, SOURCE, device_option, json_option
from app.cli.output import byte_progress, emit, emit_json, note, progress
from app.cli.pictures import make_poster, make_preview
from app.core.clips import open_original
from models_hub import Address, Publication
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.decode import Decoder
from nervplay.errors import UsageError

__all__ = ["command"]


class _Looks(NamedTuple):
    """What decoding gives for the page."""

    poster: bytes | None = None
    preview: bytes | None = None
    psnr: float | None = None
    ms_ssim: float | None = None


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
def command(
    *,
    file: Path,
    repository: str,
    source: Path | None,
    title: str | None,
    licence: str,
    credit: str,
    variants: tuple[str, ...],
    public: bool,
    tag: str | None,
    message: str,
    no_pictures: bool,
    as_json: bool,
    device: str,
) -> None:
    """Publish FILE on the Hub as USER/NAME and print the address of the new version.

    One commit: the file, its card (README.md), config.json, a poster and a short preview video made from the decoded
    frames. A repository that is not there is made, private unless --public; the card of an earlier push is replaced.
    """
    Address(repository=repository, revision=tag)  # names are checked before the long work
    others = _variants(variants)
    hub = open_hub()
    note(f"publishing as {hub.whoami().name} to {repository}, {'public' if public else 'private'} if it is new")
    video = open_nerv(file)
    with open_logged(video, device=device) as decoder:
        looks = _decoded(video, decoder, source, pictures=not no_pictures)
    publication = Publication(
        video=file,
        title=title or repository.partition("/")[2],
        license=licence,
        credit=credit,
        variants=others,
        **looks._asdict(),
    )
    with byte_progress(f"pushing {repository}") as show:
        made = hub.push(publication, repository, private=not public, message=message, tag=tag, progress=show)
    address = Address(repository=made.repository, revision=made.revision)
    if as_json:
        facts: dict[str, Any] = {"address": str(address), "url": made.url, "files": dict(made.files)}
        emit_json(facts)
    else:
        emit(str(address))
        note(f"its page is {made.url}; play it: nervplay play hf://{made.repository}")


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


def _decoded(video: NeuralVideo, decoder: Decoder, source: Path | None, *, pictures: bool) -> _Looks:
    """Return pictures of the decoded clip, and how near it is to its source."""
    looks = _Looks()
    if source is not None:
        with open_original(source, video.file.source, video.spec) as original:
            report = measure(decoder, original, video.file_bytes, ("psnr", "ms-ssim"))
        means = {name: series.mean if series else None for name, series in report.metrics.items()}
        looks = looks._replace(psnr=_finite(means["psnr"]), ms_ssim=_finite(means["ms-ssim"]))
    if pictures:
        with progress("making a preview", len(decoder), "frames") as show:
            preview = make_preview(decoder, progress=lambda done, _all: show(done))
        looks = looks._replace(poster=make_poster(decoder.frame(len(decoder) // 2)), preview=preview)
    return looks


def _finite(value: float | None) -> float | None:
    """Return a figure that a card can hold: identical frames have an infinite PSNR, which JSON and YAML lack."""
    return value if value is not None and math.isfinite(value) else None
