"""Finding neural videos on the Hub: one request for a page of results, metrics and all."""

from collections.abc import Sequence
from typing import Any

from huggingface_hub import HfApi, ModelCardData
from huggingface_hub.hf_api import ModelInfo

from models_hub.address import Address
from models_hub.entries import Entry
from models_hub.layout import TAG
from models_hub.running import again
from nervplay.errors import UsageError

__all__ = ["MAX_RESULTS", "search"]

MAX_RESULTS = 1000

_FIELDS = ["cardData", "tags", "downloads", "likes", "private", "gated", "sha", "lastModified"]


def search(api: HfApi, text: str | None, tags: Sequence[str], author: str | None, limit: int) -> list[Entry]:
    """Return the repositories that carry our tag and all of `tags`, last changed first.

    Args:
        api: endpoint and token.
        text: part of the name; None for all.
        tags: further tags, all of them wanted ("hnerv", "720p").
        author: only of this user or organisation.
        limit: most results, 1 to 1000.

    Raises:
        UsageError: another limit.
        library and network errors, which the runner explains.
    """
    if not 1 <= limit <= MAX_RESULTS:
        raise UsageError(f"a search gives 1 to {MAX_RESULTS} results, not {limit}")
    rows = again(
        lambda: list(
            api.list_models(
                filter=[TAG, *tags],
                search=text,
                author=author,
                limit=limit,
                sort="last_modified",
                expand=_FIELDS,  # type: ignore[arg-type]  # a list of literals by content
            )
        )
    )
    return [_entry(row) for row in rows if _is_sound(row)]


def _plain(card: ModelCardData | None) -> dict[str, Any]:
    return dict(card.to_dict()) if card else {}  # type: ignore[no-untyped-call]


def _is_sound(row: ModelInfo) -> bool:
    """Return whether name and commit of a result are such: a hostile endpoint may send anything."""
    try:
        Address(repository=row.id, revision=row.sha)
    except UsageError:
        return False
    return True


def _entry(row: ModelInfo) -> Entry:
    return Entry(
        repository=row.id,
        revision=row.sha,
        tags=tuple(row.tags or ()),
        card=_plain(row.card_data),
        downloads=row.downloads or 0,
        likes=row.likes or 0,
        private=bool(row.private),
        gated=bool(row.gated),
        modified=row.last_modified.isoformat() if row.last_modified else "",
    )
