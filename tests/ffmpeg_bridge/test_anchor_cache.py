"""The cache of anchors: found again, damaged ones passed over, oldest out first."""

import os
from pathlib import Path

import pytest

from ffmpeg_bridge.anchor_cache import AnchorCache
from nervplay.errors import OutputError


def put(cache, key, size, age=0):
    cache.video(key).write_bytes(bytes(size))
    cache.add(key, {"size": size})
    record = cache.folder / f"{key}.json"
    if record.exists():
        os.utime(record, ns=(10**18 - age, 10**18 - age))


def keys(cache):
    return {path.stem for path in cache.folder.iterdir()}


def test_the_users_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert AnchorCache().folder == tmp_path / "x" / "nervplay" / "anchors"
    assert AnchorCache().folder.is_dir()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert AnchorCache().folder == tmp_path / "home" / ".cache" / "nervplay" / "anchors"


def test_found_again(tmp_path):
    cache = AnchorCache(tmp_path)
    assert cache.find("a") is None
    put(cache, "a", 10)
    assert AnchorCache(tmp_path).find("a") == {"size": 10}
    cache.video("a").unlink()
    assert cache.find("a") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_record_is_none(tmp_path, text):
    cache = AnchorCache(tmp_path)
    put(cache, "a", 10)
    (tmp_path / "a.json").write_bytes(text)
    assert cache.find("a") is None


def test_the_oldest_go_first(tmp_path):
    cache = AnchorCache(tmp_path, budget=3500)
    for number, key in enumerate("abc"):
        put(cache, key, 1000, age=10 - number)
    assert keys(cache) == {"a", "b", "c"}
    cache.find("a")  # used now
    put(cache, "d", 1000)
    assert keys(cache) == {"a", "c", "d"}
    put(cache, "e", 9000)
    assert keys(cache) == {"e"}, "what was just made stays, however large"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME"):
        AnchorCache(Path(tmp_path / "file" / "cache"))
