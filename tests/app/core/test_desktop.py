"""Desktop entries: written for this user, valid, and gone again."""

import configparser
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from app.core.desktop import MIME_TYPE, install, remove
from nervplay.errors import OutputError


@pytest.fixture
def home(monkeypatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def test_install_and_remove(home: Path) -> None:
    paths = install(("/opt/my tools/nervplay",))
    assert all(path.is_file() and home in path.parents for path in paths)
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(home / "applications" / "nervplay.desktop")
    assert entry["Desktop Entry"]["Exec"] == "'/opt/my tools/nervplay' play %F"
    assert MIME_TYPE in entry["Desktop Entry"]["MimeType"]
    root = ET.parse(home / "mime" / "packages" / "nervplay.xml").getroot()
    assert [item.get("pattern") for item in root.iter() if item.tag.endswith("glob")] == ["*.nerv"]
    ET.parse(home / "icons" / "hicolor" / "scalable" / "apps" / "nervplay.svg")
    assert install(("nervplay",)) == paths
    assert remove() == paths
    assert remove() == []
    assert not any(path.exists() for path in paths)


def test_a_folder_that_cannot_be_made(home: Path) -> None:
    (home / "applications").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        install(("nervplay",))
