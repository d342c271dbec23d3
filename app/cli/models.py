"""`nervplay models`: which architectures and presets there are, and whether they cost what the papers say."""

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer_networks
from app.cli.options import json_option

__all__ = ["command"]


@nervplay_command("models", examples=("nervplay models", "nervplay models hnerv-tiny --json"), codes=(2,))
@click.argument("name", required=False, shell_complete=offer_networks)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List architectures and presets, or explain the one called NAME (an architecture or a preset).

    Parameters are what a file stores (network and embeddings, without the encoder); GFLOPs are for one frame. Both are
    counted here and held against what paper or official code give, where they do.
    """
    from app.cli.work.models import show_models

    show_models(name, as_json=as_json)
