"""Result files: machine and commit above a table."""

from pathlib import Path

import pytest

from app.bench import results
from app.bench.results import write_table
from nervplay import __version__
from nervplay.errors import OutputError


def test_a_table_with_its_head(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.tsv"
    write_table(target, "nervplay bench a.nerv", "cpu", ("a", "b"), [(1, "x"), (2, "y")])
    head, command, *table = target.read_text().splitlines()
    assert head.startswith(f"# nervplay {__version__}")
    assert "torch" in head
    assert "cores" in head
    assert command == "# nervplay bench a.nerv"
    assert table == ["a\tb", "1\tx", "2\ty"]
    write_table(target, "again", "cpu", ("a",), [])
    assert "# again\na\n" in target.read_text()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file' cannot be made: .*; choose another target"):
        write_table(tmp_path / "file" / "a.tsv", "c", "cpu", ("a",), [])


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    text = results.table_text("c", "cpu", ("a",), [])
    assert text.startswith(f"# nervplay {__version__}, torch")
