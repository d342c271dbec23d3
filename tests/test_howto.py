"""docs/howto/add-an-architecture.md, followed to the letter in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "howto" / "add-an-architecture.md"
STEP = re.compile(r"^(Write|Change|Run)(?: `([^`]+)`)?:\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = (
    "nervplay",
    "ffmpeg_bridge",
    "models_hub",
    "app",
    "tools",
    "docs/models",
    "tests/nervplay/models",
    "tests/support",
    "samples",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the page touches, and of what mypy knows of libraries, which takes it half a minute to find."""
    for folder in COPIED:
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    if (REPOSITORY / ".mypy_cache").is_dir():
        shutil.copytree(REPOSITORY / ".mypy_cache", tmp_path / ".mypy_cache")
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(REPOSITORY / file, tmp_path / file)
    return tmp_path


def change(file: Path, diff: str) -> None:
    """Apply a diff without line numbers: its old lines stand in the file exactly once."""
    old = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " -")
    new = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " +")
    text = file.read_text()
    assert text.count(old) == 1, f"the page's change of {file.name} does not fit:\n{old}"
    file.write_text(text.replace(old, new))


def run(tree: Path, command: str) -> str:
    """Run a line of a shell block with the tree's packages; `nervplay` and the linters come from this environment."""
    scripts = tree / "bin"
    scripts.mkdir(exist_ok=True)
    (scripts / "nervplay").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli "$@"\n')
    (scripts / "nervplay").chmod(0o755)
    path = os.pathsep.join([str(scripts), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tree,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_page_works_as_it_is_written(tree: Path) -> None:
    said = {}
    steps = STEP.findall(PAGE.read_text())
    assert [step[0] for step in steps].count("Run") == PAGE.read_text().count("```sh") == 4
    for verb, name, _, block in steps:
        if verb == "Write":
            assert not (tree / name).exists()
            (tree / name).write_text(block)
        elif verb == "Change":
            change(tree / name, block)
        else:
            said |= {line: run(tree, line) for line in block.splitlines()}
    assert "passed" in next(text for line, text in said.items() if "test_contract" in line)
    assert "keynerv" in said["nervplay info key.nerv"]
    assert sorted(path.name for path in (tree / "frames").iterdir()) == [
        "frame_00000.png",
        "frame_00001.png",
        "frame_00002.png",
    ]
    assert "keynerv-tiny" in (tree / "docs" / "models" / "keynerv.md").read_text()


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_the_page_s_code_is_in_the_house_style(tree: Path, command: str) -> None:
    for verb, name, _, block in STEP.findall(PAGE.read_text()):
        if verb == "Write":
            (tree / name).write_text(block)
    run(tree, f"{command} nervplay/models/keynerv.py")
