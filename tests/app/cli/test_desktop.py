"""`nervplay desktop`: paths on stdout, words on stderr."""

from pathlib import Path


def test_install_and_remove(nervplay, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ran = nervplay("desktop", "install")
    assert ran.code == 0
    assert all(Path(line).is_file() for line in ran.out.splitlines())
    assert "-m app.cli play %F" in (tmp_path / "applications" / "nervplay.desktop").read_text()
    assert "opens .nerv files" in ran.err
    assert len(nervplay("desktop", "remove").out.splitlines()) == 3
    assert "nothing to remove" in nervplay("desktop", "remove").err
    assert nervplay("desktop", "fly").code == 2
