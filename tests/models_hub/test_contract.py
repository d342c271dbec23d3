"""The same story on the real Hub: push, find, pull, tag, delete in a private repository that is made for it.

Off by default. With a token that can write (docs/guides/hub.md):

    NERVPLAY_HUB_TOKEN=hf_... python -m pytest -m hub tests/models_hub/test_contract.py
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from models_hub import Hub, Publication, layout
from nervplay.errors import RemoteError

TOKEN = os.environ.get("NERVPLAY_HUB_TOKEN", "")

pytestmark = [
    pytest.mark.hub,
    pytest.mark.skipif(not TOKEN, reason="talks to the real Hub; set NERVPLAY_HUB_TOKEN to a token that can write"),
]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(layout.OFFICIAL_ENDPOINT, TOKEN, tmp_path / "cache")


@pytest.fixture
def repository(hub: Hub) -> Iterator[str]:
    """A name that is free; whatever is there under it afterwards is deleted."""
    name = f"{hub.whoami().name}/nervplay-contract-{secrets.token_hex(4)}"
    yield name
    api = huggingface_hub.HfApi(endpoint=layout.OFFICIAL_ENDPOINT, token=TOKEN)
    api.delete_repo(name, missing_ok=True)


def test_the_real_hub_behaves_as_ours(hub: Hub, repository: str, publication: Publication, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    made = hub.push(publication, repository, private=True, tag="v1", progress=lambda *state: told.append(state))
    assert told[-1][0] == told[-1][1] > 0
    peeked = hub.peek(f"hf://{repository}@v1")
    assert peeked.revision == made.revision
    assert peeked.header.file_bytes == publication.video.stat().st_size
    clip = hub.pull(f"hf://{repository}@v1")
    assert clip.path.read_bytes() == publication.video.read_bytes()
    assert hub.pull(clip.address).from_cache
    assert hub.poster(repository) == publication.poster
    owner = repository.partition("/")[0]
    names = [entry.repository for entry in hub.search(author=owner, limit=1000)]
    print(f"found by search right after the push: {repository in names}")  # noqa: T201 - a fact for whoever runs this
    stranger = Hub(layout.OFFICIAL_ENDPOINT, False, tmp_path / "stranger")
    with pytest.raises(RemoteError, match="there is no such video, or it is private"):
        stranger.pull(f"hf://{repository}")
    with pytest.raises(RemoteError, match="there is no such version"):
        hub.pull(f"hf://{repository}@v9")
