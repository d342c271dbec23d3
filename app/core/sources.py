"""What A and B may be, as text: a path, an address on the Hub, a checkpoint with its command line, a re-encode.

    clip.mp4, frames/                                 a video file, a folder of pictures
    clip.nerv, clip.safetensors                       a neural video
    model_best.pth --official "--arch hnerv ..."      a checkpoint of an official code; the rest is its command line
    hf://user/name[@rev]                              a neural video on the Hub
    x265@b, x264@b, svtav1@b                          the source encoded again with as many bytes as B

This module only tells them apart; `app.workers.opening.open_any` opens them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from models_hub import is_address, parse_address
from nervplay.errors import UsageError

__all__ = ["ANCHOR_ENCODERS", "Kind", "SourceRef", "parse_source"]

ANCHOR_ENCODERS: Mapping[str, str] = {"x264": "libx264", "x265": "libx265", "svtav1": "libsvtav1"}
"""Encoders to hold a neural video against, and FFmpeg's names of them."""

_NERV = (".nerv", ".safetensors")
_CHECKPOINTS = (".pth", ".pt", ".zip", ".ckpt")
_OFFICIAL = " --official "
_COMMIT = re.compile(r"@([0-9a-f]{7})[0-9a-f]{33}(?![0-9a-f])")
"""A commit in an address; people know it by its first seven digits."""


class Kind(StrEnum):
    """Kinds of sources."""

    VIDEO = "video"
    NERV = "nerv"
    OFFICIAL = "official"
    HUB = "hub"
    ANCHOR = "anchor"


@dataclass(frozen=True)
class SourceRef:
    """A source that is not opened yet.

    Args:
        kind: what it is.
        text: path, address or encoder name.
        arguments: the official command line of a checkpoint.
    """

    kind: Kind
    text: str
    arguments: str = ""

    @property
    def title(self) -> str:
        """A short name for headings and lists."""
        if self.kind is Kind.ANCHOR:
            return f"{self.text} at the bytes of B"
        if self.kind is Kind.HUB:
            return _COMMIT.sub(r"@\1", self.text)
        return Path(self.text).name or self.text

    def __str__(self) -> str:
        """Return what `parse_source` reads."""
        if self.kind is Kind.ANCHOR:
            return f"{self.text}@b"
        return f"{self.text}{_OFFICIAL}{self.arguments}" if self.arguments else self.text

    def anchored(self) -> "SourceRef":
        """Return the source with the whole path of its file: recent sources and sessions outlive the working folder."""
        if self.kind in (Kind.VIDEO, Kind.NERV, Kind.OFFICIAL):
            return replace(self, text=str(Path(self.text).absolute()))
        return self

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict."""
        return {"kind": self.kind.value, "text": self.text, "arguments": self.arguments}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SourceRef":
        """Return the source that `to_json` wrote.

        Raises:
            UsageError: data of another form.
        """
        try:
            return cls(Kind(data["kind"]), str(data["text"]), str(data.get("arguments", "")))
        except (KeyError, ValueError, TypeError, AttributeError):
            raise UsageError(f"the saved source {data!r} is not sound; open the file again") from None


def parse_source(text: str) -> SourceRef:
    """Return what `text` names; nothing is opened and no network is used.

    Raises:
        UsageError: empty, or an address that the Hub cannot have.
    """
    text = text.strip()
    if not text:
        raise UsageError("the name of a source is empty; give a video, a .nerv file or hf://user/name")
    if is_address(text):
        return SourceRef(Kind.HUB, str(parse_address(text)))
    encoder, at, side = text.rpartition("@")
    if at and side == "b" and encoder in ANCHOR_ENCODERS:
        return SourceRef(Kind.ANCHOR, encoder)
    path, _, arguments = text.partition(_OFFICIAL)
    if arguments or path.lower().endswith(_CHECKPOINTS):
        return SourceRef(Kind.OFFICIAL, path.strip(), _unquoted(arguments.strip()))
    return SourceRef(Kind.NERV if path.lower().endswith(_NERV) else Kind.VIDEO, path)


def _unquoted(text: str) -> str:
    """Return a command line without quotes around all of it, which the command line of `nervplay import` needs."""
    whole = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text[0] not in text[1:-1]
    return text[1:-1].strip() if whole else text
