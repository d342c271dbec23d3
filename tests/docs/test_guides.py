"""What the guides show works: commands and options exist, and Python runs."""

import re
import shlex
from pathlib import Path

import click
import pytest

from app.cli.main import group
from app.cli.pass_through import PassThroughCommand

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDES = sorted((REPOSITORY / "docs" / "guides").glob("*.md"))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(path: Path) -> list[list[str]]:
    text = "\n".join(blocks(path, ""))
    found = re.findall(r"(?:^|\$\(|\$ )nervplay ([^|)\n]*)", text, flags=re.MULTILINE)
    return [shlex.split(line if line.count('"') % 2 == 0 else line.rstrip('"'), comments=True) for line in found]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_commands_and_their_options_exist(guide: Path) -> None:
    shown = commands(guide)
    assert shown
    for name, *words in shown:
        command = group.get_command(click.Context(group), name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        ours = words[: command.count_ours(words)] if isinstance(command, PassThroughCommand) else words
        assert {word.partition("=")[0] for word in ours if word.startswith("-")} <= known, (name, words)


def test_the_python_of_the_ffmpeg_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.nerv").symlink_to(REPOSITORY / "samples" / "bunny-320x180.nerv")
    (code,) = blocks(REPOSITORY / "docs" / "guides" / "ffmpeg.md", "python")
    names: dict[str, object] = {}
    exec(code, names)
    assert str(names["url"]).startswith("http://127.0.0.1:")
