"""What the Hub's calls return: plain frozen data without any network behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_hub.address import Address
from nervplay.bitstream import NervHeader

__all__ = ["Account", "Clip", "Entry", "Peek", "Published", "Verdict"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A repository of a neural video, as a search finds it. Names and card come from strangers.

    Args:
        repository: "user/name".
        revision: commit of its main branch; None where the Hub does not say.
        tags: all its tags.
        card: the metadata at the head of its card.
        downloads: downloads of the last month.
        likes: likes.
        private: only its owner sees it.
        gated: its owner must grant access.
        modified: time of the last commit in ISO 8601, "" where the Hub does not say.
    """

    repository: str
    revision: str | None
    tags: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    downloads: int = 0
    likes: int = 0
    private: bool = False
    gated: bool = False
    modified: str = ""

    @property
    def address(self) -> Address:
        """The video at the commit that the search saw."""
        return Address(repository=self.repository, revision=self.revision)

    @property
    def license(self) -> str:
        """Licence of the clip as the card names it, "" without one."""
        value = self.card.get("license")
        return value if isinstance(value, str) else ""

    def metric(self, kind: str) -> float | None:
        """Return a figure of the card ("psnr" in dB, "ms_ssim", "bpp"), or None where the card has none.

        The figure is its author's claim; cards of strangers hold anything, so all other shapes count as none.
        """
        for model in _dicts(self.card.get("model-index")):
            for result in _dicts(model.get("results")):
                for metric in _dicts(result.get("metrics")):
                    value = metric.get("value")
                    if isinstance(value, bool) or not isinstance(value, int | float):
                        continue
                    if metric.get("type") == kind and math.isfinite(value):
                        return float(value)
        return None


def _dicts(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; nothing for whatever else a card holds there."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A neural video on this computer.

    Args:
        path: the file in the cache; read it, never write to it.
        repository: "user/name".
        revision: commit that it belongs to, 40 hexadecimal digits: what a playlist should keep.
        file: its path in the repository.
        header: what the file says about itself.
        from_cache: nothing was downloaded for it.
    """

    path: Path
    repository: str
    revision: str
    file: str
    header: NervHeader
    from_cache: bool

    @property
    def address(self) -> Address:
        """Its address with the commit pinned."""
        return Address(repository=self.repository, revision=self.revision, file=self.file)


@dataclass(frozen=True, kw_only=True)
class Peek:
    """What a video on the Hub says about itself, read without downloading it.

    Args:
        repository: "user/name".
        revision: commit that was read.
        file: its path in the repository.
        header: what the file says about itself.
    """

    repository: str
    revision: str
    file: str
    header: NervHeader

    @property
    def address(self) -> Address:
        """Its address with the commit pinned."""
        return Address(repository=self.repository, revision=self.revision, file=self.file)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a push made.

    Args:
        repository: "user/name", with the user that the Hub filled in.
        revision: the new commit.
        url: page of the repository.
        files: bytes by path of what was sent.
    """

    repository: str
    revision: str
    url: str
    files: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a downloaded file is what the Hub has.

    Args:
        clip_path: the file in the cache.
        file: its path in the repository.
        revision: its commit.
        problem: "" for a sound file, else what is wrong with it.
    """

    clip_path: Path
    file: str
    revision: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who is logged in.

    Args:
        name: user name.
        role: what the token may do ("read", "write", "fineGrained"), "" where the Hub does not say.
        organisations: names of the user's organisations.
    """

    name: str
    role: str
    organisations: tuple[str, ...]
