"""What a repository of one neural video looks like: file names, tags and limits. Cards are written in `card.py`.

README.md            the card: what this is, how to play it, how it was made, licence
model.safetensors    the .nerv file itself, complete without the others
config.json          a copy of its metadata, for people and for the Hub's download counter; the file wins
preview/poster.webp  a still for lists                    preview/preview.mp4   a short ordinary video
variants/*.safetensors                                    the same clip at other rates
"""

import re

from models_hub.address import DEFAULT_FILE
from nervplay.bitstream import VERSION, NervHeader
from nervplay.bitstream.limits import MAX_FILE_BYTES
from nervplay.errors import UsageError

__all__ = [
    "CARD",
    "CONFIG",
    "LIBRARY",
    "MAX_POSTER_BYTES",
    "MAX_PREVIEW_BYTES",
    "MAX_VIDEO_BYTES",
    "OFFICIAL_ENDPOINT",
    "POSTER",
    "PREVIEW",
    "TAG",
    "VIDEO",
    "is_video_name",
    "repository_tags",
    "variant_path",
]

VIDEO = DEFAULT_FILE
CARD = "README.md"
CONFIG = "config.json"
POSTER = "preview/poster.webp"
PREVIEW = "preview/preview.mp4"

LIBRARY = "nervplay"
TAG = "nerv-video"
"""The tag that searches look for."""

MAX_VIDEO_BYTES = MAX_FILE_BYTES
MAX_POSTER_BYTES = 200_000
MAX_PREVIEW_BYTES = 2_000_000

OFFICIAL_ENDPOINT = "https://huggingface.co"

_VARIANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")


def repository_tags(header: NervHeader) -> list[str]:
    """Return the tags of a repository: the kind, the format's major version, the architecture and the lines."""
    return [TAG, f"{LIBRARY}-format-{VERSION[0]}", header.architecture, f"{header.video.height}p"]


def variant_path(name: str) -> str:
    """Return where the variant called `name` lies in a repository.

    Raises:
        UsageError: a name that is not made of letters, digits, '-', '_' and '.'.
    """
    if not _VARIANT.fullmatch(name) or ".." in name:
        raise UsageError(f"the variant name '{name}' must be letters, digits, '-', '_' or '.', as in 'low'")
    return f"variants/{name}.safetensors"


def is_video_name(path: str) -> bool:
    """Return whether the file `path` of a repository may be a neural video by its name."""
    return path == VIDEO or (path.startswith("variants/") and path.endswith(".safetensors")) or path.endswith(".nerv")
