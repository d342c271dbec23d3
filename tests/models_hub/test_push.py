"""Pushing: one commit or nothing, told by the server's log and by what the server has afterwards."""

import dataclasses
import json

import pytest
from loopback_hub.videos import make_nerv

from models_hub import Publication
from nervplay.bitstream import peek_nerv
from nervplay.errors import BitstreamError, RemoteError, UsageError

ALICE, BOB = "hf_alice_secret", "hf_bob_secret"


def stored(server, name: str) -> dict[str, bytes]:
    """The files of the newest commit."""
    return {path: server.data(file) for path, file in server.repositories[name].head.files.items()}


def test_a_push_is_one_commit_with_everything(server, hubs, publication, nerv) -> None:
    told: list[tuple[int, int]] = []
    made = hubs(ALICE).push(
        publication, "alice/bunny", tag="v1", message="First", progress=lambda *state: told.append(state)
    )
    repository = server.repositories["alice/bunny"]
    assert len(repository.commits) == 2, "the Hub's own first one, and ours"
    assert repository.head.title == "First"
    assert (made.repository, made.revision) == ("alice/bunny", repository.head.sha)
    assert made.url == f"{server.url}/alice/bunny"
    assert repository.private
    assert repository.tags == {"v1": made.revision}
    files = stored(server, "alice/bunny")
    assert set(files) - {".gitattributes"} == set(made.files)
    assert {path: len(data) for path, data in files.items() if path in made.files} == made.files
    assert files["model.safetensors"] == nerv
    assert files["preview/poster.webp"] == publication.poster
    assert files["preview/preview.mp4"] == publication.preview
    assert json.loads(files["config.json"])["architecture"] == "hnerv"
    large = len(nerv) + len(publication.poster) + len(publication.preview)
    assert told[-1] == (large, large)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 5
    assert hubs.said == []


def test_what_was_pushed_is_found_and_pulled(server, hubs, publication, nerv) -> None:
    hub = hubs(ALICE)
    made = hub.push(publication, "alice/bunny", private=False)
    (entry,) = hubs().search(tags=["hnerv", "36p"])
    assert (entry.repository, entry.revision, entry.license) == ("alice/bunny", made.revision, "cc-by-3.0")
    assert (entry.metric("psnr"), entry.metric("ms_ssim")) == (32.25, 0.9612)
    assert entry.metric("bpp") == pytest.approx(8 * len(nerv) / (64 * 36 * 6), rel=1e-5)
    assert hubs().pull(entry.address).path.read_bytes() == nerv


def test_the_login_goes_to_the_hub_only(server, hubs, publication, caplog) -> None:
    caplog.set_level("DEBUG")
    hubs(ALICE).push(publication, "alice/bunny")
    puts = server.seen("PUT /put/")
    assert len(puts) == 3
    for seen in puts:
        assert seen.port == "cdn"
        assert ALICE not in str(seen.headers)
    assert ALICE not in caplog.text


def test_variants(server, hubs, publication, tmp_path) -> None:
    low = tmp_path / "low.nerv"
    low.write_bytes(make_nerv(weights=1000))
    hubs(ALICE).push(dataclasses.replace(publication, variants={"low": low}), "alice/bunny")
    files = stored(server, "alice/bunny")
    assert files["variants/low.safetensors"] == low.read_bytes()
    assert b"variants/low.safetensors" in files["README.md"]
    pulled = hubs(ALICE).pull("hf://alice/bunny/variants/low.safetensors")
    assert pulled.header == peek_nerv(low.read_bytes())


def test_the_hub_decides_what_is_a_large_file(server, hubs, publication) -> None:
    """Pictures it takes as ordinary files travel inside the commit."""
    server.large_names = r"\.safetensors$"
    hubs(ALICE).push(publication, "alice/bunny")
    files = stored(server, "alice/bunny")
    assert files["preview/poster.webp"] == publication.poster
    assert files["preview/preview.mp4"] == publication.preview
    assert len(server.seen("PUT /put/")) == 1


def test_a_variant_of_another_clip_is_refused_before_any_request(server, hubs, publication, tmp_path) -> None:
    other = tmp_path / "other.nerv"
    other.write_bytes(make_nerv(weights=1000, frames=7))
    with pytest.raises(UsageError, match="the variant 'low' has 7 frames"):
        hubs(ALICE).push(dataclasses.replace(publication, variants={"low": other}), "alice/bunny")
    assert server.log == []


def test_pushing_again_sends_only_what_changed(server, hubs, publication) -> None:
    hub = hubs(ALICE)
    hub.push(publication, "alice/bunny")
    server.forget()
    hub.push(dataclasses.replace(publication, title="Bunny 2"), "alice/bunny")
    assert server.seen("PUT ") == []
    assert b"# Bunny 2" in stored(server, "alice/bunny")["README.md"]


def test_without_pictures(server, hubs, nerv_path) -> None:
    hubs(ALICE).push(Publication(video=nerv_path, title="x"), "alice/bunny")
    assert set(stored(server, "alice/bunny")) == {".gitattributes", "README.md", "config.json", "model.safetensors"}


def test_something_else_is_not_written_over(server, hubs, publication) -> None:
    server.add("alice/llama", "model.safetensors", b"weights of a language model")
    with pytest.raises(
        UsageError, match=r"alice/llama holds something else than a neural video \(model\.safetensors\)"
    ):
        hubs(ALICE).push(publication, "alice/llama")
    assert len(server.repositories["alice/llama"].commits) == 2


def test_a_file_that_is_no_video_is_refused_before_any_request(server, hubs, tmp_path) -> None:
    path = tmp_path / "x.nerv"
    path.write_bytes(b"no video")
    with pytest.raises(BitstreamError):
        hubs(ALICE).push(Publication(video=path, title="x"), "alice/x")
    assert server.log == []


@pytest.mark.parametrize("name", ["bunny", "alice/../x", "alice/bun ny", "alice/x--y", "hf://alice/x", ""])
def test_a_name_that_cannot_be_is_refused_before_any_request(server, hubs, publication, name: str) -> None:
    with pytest.raises(UsageError):
        hubs(ALICE).push(publication, name)
    assert server.log == []


def test_someone_pushed_meanwhile(server, hubs, publication) -> None:
    hub = hubs(ALICE)
    hub.push(publication, "alice/bunny")
    server.fail(r"POST /api/models/alice/bunny/commit/", status=412)
    before = server.repositories["alice/bunny"].head
    with pytest.raises(RemoteError, match="someone changed this repository meanwhile; pull it, then push again"):
        hub.push(dataclasses.replace(publication, title="y"), "alice/bunny")
    assert server.repositories["alice/bunny"].head is before


def test_the_commit_names_its_parent(server, hubs, publication, monkeypatch) -> None:
    """A commit that lands between our look and our commit must not be lost."""
    hub = hubs(ALICE)
    hub.push(publication, "alice/bunny")

    def meddle(done: int, _total: int) -> None:
        if done and not server.repositories["alice/bunny"].head.files.get("other.txt"):
            server.add("alice/bunny", "other.txt", b"theirs", large=False)

    changed = dataclasses.replace(publication, preview=b"new" * 50_000)
    with pytest.raises(RemoteError, match="someone changed this repository"):
        hub.push(changed, "alice/bunny", progress=meddle)
    assert "other.txt" in stored(server, "alice/bunny")


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (False, "does not accept the saved login; log in again: nervplay hub login"),
        ("hf_expired_one", "does not accept the saved login"),
        (BOB, "your login may not change this repository"),
    ],
)
def test_no_right_to_push(server, hubs, publication, token, sentence: str) -> None:
    with pytest.raises(RemoteError, match=sentence):
        hubs(token).push(publication, "alice/bunny")
    assert server.repositories == {}


def test_a_store_that_fails_once_is_asked_again(server, hubs, publication) -> None:
    server.fail("PUT /put/", status=503)
    hubs(ALICE).push(publication, "alice/bunny")
    assert len(server.seen("PUT /put/")) == 4
    assert "error 503" in hubs.said[0]


def test_a_commit_is_never_sent_twice(server, hubs, publication) -> None:
    server.fail("POST .*/commit/", status=500)
    with pytest.raises(RemoteError, match="problem of its own"):
        hubs(ALICE).push(publication, "alice/bunny")
    assert len(server.seen("POST .*/commit/")) == 1


def test_a_tag_that_is_there_stays_and_is_told(server, hubs, publication) -> None:
    hub = hubs(ALICE)
    first = hub.push(publication, "alice/bunny", tag="v1")
    assert hubs.said == []
    hub.push(dataclasses.replace(publication, title="z"), "alice/bunny", tag="v1")
    assert server.repositories["alice/bunny"].tags["v1"] == first.revision
    assert hubs.said == ["the tag v1 of alice/bunny is there already and stays at its version; choose another name"]


def test_a_card_that_the_hub_does_not_take(server, hubs, publication) -> None:
    answer = {"errors": [{"message": '"license" must be one of [...]'}], "warnings": []}
    server.fail("POST /api/validate-yaml", status=400, body=json.dumps(answer).encode())
    with pytest.raises(
        UsageError, match=r'does not take the card: .*"license" must be one of.*; check licence and title'
    ):
        hubs(ALICE).push(publication, "alice/bunny")
    assert len(server.repositories["alice/bunny"].commits) == 1
