"""What the shell offers while a word of the command line is typed: names of a list, files, networks."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

import nervplay
from nervplay.bitstream.atomic import atomic_write
from nervplay.user_cache import user_cache

__all__ = ["Offer", "among", "offer", "offer_architectures", "offer_files", "offer_networks", "offer_presets"]

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""Takes what is typed so far; for the `shell_complete` of an option or argument."""


def among(names: Iterable[str], typed: str) -> list[CompletionItem]:
    """Return those of `names` that begin with what is typed."""
    return [CompletionItem(name) for name in names if name.startswith(typed)]


def offer(*names: str) -> Offer:
    """Return an offer of these names."""
    return lambda _ctx, _param, typed: among(names, typed)


def offer_files(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell offer files and folders."""
    return [CompletionItem(typed, type="file")]


def offer_architectures(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer names of architectures."""
    return among(_networks()["architectures"], typed)


def offer_presets(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer names of presets."""
    return among(_networks()["presets"], typed)


def offer_networks(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer names of architectures and presets."""
    return among((*_networks()["architectures"], *_networks()["presets"]), typed)


def _networks() -> dict[str, list[str]]:
    """Return the names of all architectures and presets; kept, since PyTorch comes with asking the registry."""
    models = Path(nervplay.__file__).with_name("models")
    stamp = max(file.stat().st_mtime_ns for file in models.glob("*.py"))
    kept = user_cache() / f"networks-{stamp}.json"
    with suppress(OSError, ValueError):
        names: dict[str, list[str]] = json.loads(kept.read_bytes())
        return names
    from app.cli.work.models import network_names

    names = network_names()
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob("networks-*.json"):
            old.unlink()
        atomic_write(kept, json.dumps(names).encode(), overwrite=True)
    return names
