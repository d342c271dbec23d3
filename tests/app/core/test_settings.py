"""Settings are kept whole, brought up to date, and never in the way when they are unsound."""

import json
from pathlib import Path

import pytest

from app.core.settings import (
    MIGRATIONS,
    MOST_CACHE_MB,
    VERSION,
    Settings,
    load_settings,
    save_settings,
    settings_path,
)
from nervplay.errors import OutputError


def test_round_trip(tmp_path: Path) -> None:
    settings = Settings(theme="dark", cache_mb=64, keys={"play": "P"})
    for number in range(20):
        settings.remember(f"{number}.mp4")
    settings.remember("15.mp4")
    assert settings.recent[:2] == ["15.mp4", "19.mp4"]
    assert len(settings.recent) == len(set(settings.recent)) == 12
    path = tmp_path / "deep" / "player.json"
    save_settings(settings, path)
    assert load_settings(path) == (settings, "")


def test_where_they_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_path() == tmp_path / "nervplay" / "player.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert settings_path() == Path.home() / ".config" / "nervplay" / "player.json"
    assert load_settings(tmp_path / "none") == (Settings(), "")


def test_an_old_file_is_brought_up_to_date(tmp_path: Path) -> None:
    assert set(MIGRATIONS) == set(range(1, VERSION))
    path = tmp_path / "player.json"
    path.write_text(json.dumps({"version": 1, "cache_mb_per_source": 100, "theme": "light"}))
    settings, note = load_settings(path)
    assert (settings.cache_mb, settings.theme, note) == (200, "light", "")


def test_a_newer_file_is_read_as_far_as_known(tmp_path: Path) -> None:
    path = tmp_path / "player.json"
    path.write_text(json.dumps({"version": 99, "theme": "dark", "magic": 1, "cache_mb": "much", "recent": ["a", 3]}))
    settings, note = load_settings(path)
    assert (settings.theme, settings.cache_mb, settings.recent, note) == ("dark", 512, ["a"], "")
    save_settings(settings, path)
    assert json.loads((tmp_path / "player.json.kept").read_text())["magic"] == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": "1"}', '{"version": 0}', "\xff"])
def test_unsound_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "player.json"
    path.write_bytes(text.encode("latin-1"))
    settings, note = load_settings(path)
    assert settings == Settings()
    assert "could not be read" in note
    save_settings(settings, path)
    assert load_settings(path) == (settings, "")
    assert (tmp_path / "player.json.kept").read_bytes() == text.encode("latin-1"), note


def test_values_that_nothing_has(tmp_path: Path) -> None:
    path = tmp_path / "player.json"
    wrong = {"version": VERSION, "theme": "pink", "canvas": "foo", "cache_mb": 10**20}
    path.write_text(json.dumps(wrong | {"keys": {"play": "F5"}}))
    settings, note = load_settings(path)
    assert settings == Settings(cache_mb=MOST_CACHE_MB, keys={"play": "F5"})
    save_settings(settings, path)
    assert (note, [file.name for file in tmp_path.iterdir()]) == ("", ["player.json"])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save_settings(Settings(), tmp_path / "file" / "player.json")
