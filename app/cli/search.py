"""`nervplay search`: neural videos on the Hub, with the figures of their cards."""

from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.fetching import open_hub
from app.cli.options import json_option
from app.cli.output import emit_json, emit_table, note
from models_hub import Entry
from models_hub.layout import LIBRARY, TAG

__all__ = ["command"]

_METRICS = (("psnr", "PSNR (dB)", 2), ("ms_ssim", "MS-SSIM", 4), ("bpp", "bits/pixel", 4))
"""Name in the card, heading, decimals."""


@nervplay_command(
    "search",
    examples=(
        "nervplay search bunny",
        "nervplay search --tag hnerv --tag 720p --author alice",
        "nervplay search --json",
    ),
    codes=(2, 5, 6),
)
@click.argument("text", required=False)
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="An architecture or a height such as 720p; repeatable."
)
@click.option("--author", metavar="NAME", help="Only of this user or organisation.")
@click.option("--limit", type=int, default=20, show_default=True, metavar="N", help="Most results, up to 1000.")
@json_option
def command(*, text: str | None, tags: tuple[str, ...], author: str | None, limit: int, as_json: bool) -> None:
    """List neural videos on the Hub whose name holds TEXT, last changed first.

    Figures are what the cards claim; `nervplay eval` measures. One request, no download.
    """
    found = open_hub().search(text, tags, author, limit)
    if as_json:
        emit_json([_facts(entry) for entry in found])
    elif found:
        columns = ("address", "tags", *(heading for _, heading, _ in _METRICS), "downloads", "licence", "access")
        emit_table(columns, map(_row, found), left=("tags", "licence", "access"))
    else:
        note("nothing found; try fewer words or tags")


def _facts(entry: Entry) -> dict[str, Any]:
    """Return a result, JSON-plain."""
    return {
        "address": f"hf://{entry.repository}",
        "revision": entry.revision,
        "tags": list(entry.tags),
        **{name: entry.metric(name) for name, _, _ in _METRICS},
        "license": entry.license,
        "downloads": entry.downloads,
        "likes": entry.likes,
        "private": entry.private,
        "gated": entry.gated,
        "modified": entry.modified,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    values = ((entry.metric(name), digits) for name, _, digits in _METRICS)
    figures = ("-" if value is None else f"{value:.{digits}f}" for value, digits in values)
    shown = [
        tag for tag in entry.tags if ":" not in tag and tag not in (LIBRARY, TAG) and not tag.startswith("nervplay-")
    ]
    access = "private" if entry.private else "on request" if entry.gated else "public"
    return (
        f"hf://{entry.repository}", " ".join(shown[:6]), *figures, str(entry.downloads), entry.license or "-", access
    )  # fmt: skip
