"""The shared cache: ours are listed, checked and removed; other tools' files are left alone."""

import hashlib
import shutil
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download
from loopback_hub.videos import make_nerv

from models_hub import store
from nervplay.errors import UsageError


def damage(path: Path) -> None:
    blob = path.resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")


@pytest.fixture
def foreign(server, hubs, cache) -> Path:
    """Another tool's model, fetched by the library itself into the same cache, by plain HTTP."""
    hubs()
    server.add("bob/llama", "model.safetensors", b"a language model")
    return Path(hf_hub_download("bob/llama", "model.safetensors", cache_dir=cache, endpoint=server.url, token=False))


def test_only_neural_videos_are_listed(hubs, video, foreign) -> None:
    clip = hubs().pull(video)
    (listed,) = hubs().local()
    assert (listed.path, listed.repository, listed.revision) == (clip.path, "alice/bunny", clip.revision)
    assert listed.header == clip.header
    assert listed.from_cache


def test_the_library_finds_what_we_pulled(server, hubs, video, cache) -> None:
    clip = hubs().pull(video)
    server.__exit__()
    found = hf_hub_download(
        "alice/bunny", "model.safetensors", revision=clip.revision, cache_dir=cache, local_files_only=True
    )
    assert Path(found) == clip.path


def test_another_tools_model_is_not_removed(hubs, foreign) -> None:
    with pytest.raises(UsageError, match="no neural video of bob/llama"):
        hubs().remove("bob/llama")
    assert foreign.exists()


def test_remove_takes_all_versions_and_parts(server, hubs, video, cache) -> None:
    hubs().pull(video)
    server.add("alice/bunny", "model.safetensors", make_nerv(seed=2))
    hubs().pull(video)
    assert len(hubs().local()) == 2
    (cache / "models--alice--bunny" / "blobs" / "x.incomplete").write_bytes(b"part")
    assert hubs().remove("alice/bunny") > 1_000_000
    assert hubs().local() == []
    assert not (cache / "models--alice--bunny").exists()
    with pytest.raises(UsageError):
        hubs().remove("alice/bunny")


def test_verify(server, hubs, video) -> None:
    clip = hubs().pull(video)
    server.forget()
    (sound,) = hubs().verify("alice/bunny")
    assert (sound.problem, sound.clip_path, sound.revision) == ("", clip.path, clip.revision)
    damage(clip.path)
    (broken,) = hubs().verify(clip.address)
    assert "digest" in broken.problem
    with pytest.raises(UsageError, match="nothing of hf://alice/bunny@v9 is on this computer"):
        hubs().verify("alice/bunny@v9")
    assert server.log == []


def test_verify_without_links_falls_back_on_the_files_own_checksums(hubs, video) -> None:
    clip = hubs().pull(video)
    content = clip.path.read_bytes()
    clip.path.unlink()
    clip.path.write_bytes(content[:-1] + b"?")
    (broken,) = hubs().verify("alice/bunny")
    assert broken.problem
    assert str(clip.path) not in broken.problem


@pytest.mark.parametrize("name", ["sha256", "git"])
def test_digests(tmp_path: Path, name: str) -> None:
    data = b"0123456789" * 300_000
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    digest = hashlib.sha256(data).hexdigest() if name == "sha256" else git
    blob = tmp_path / digest
    blob.write_bytes(data)
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert store.is_intact(link)
    blob.write_bytes(data[:-1] + b"?")
    assert not store.is_intact(link)
    plain = tmp_path / "plain"
    shutil.copy(blob, plain)
    assert store.is_intact(plain), "a name that is no digest says nothing"


def test_sweep_leaves_fresh_parts(tmp_path: Path) -> None:
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / "x.1234.incomplete"
    part.write_bytes(b"")
    born = part.stat().st_mtime
    store.sweep(tmp_path, "a/b", now=born + 24 * 3600 - 60)
    assert part.exists()
    store.sweep(tmp_path, "a/b", now=born + 24 * 3600 + 60)
    assert not part.exists()
    store.sweep(tmp_path, "a/none")
