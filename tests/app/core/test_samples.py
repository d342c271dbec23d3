"""The bundled sample is found in a package and in a checkout; where it is missing the message says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.core import find_sample
from app.core.samples import CLIP, FOLDERS, VIDEO
from nervplay.errors import MissingInputError


def test_the_first_complete_folder_wins(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("none", "clip", "video", "full", "later")]
    for folder in folders[1:]:
        folder.mkdir()
        if folder.name != "video":
            (folder / CLIP).touch()
        if folder.name != "clip":
            (folder / VIDEO).touch()
    assert find_sample(folders) == (tmp_path / "full" / VIDEO, tmp_path / "full" / CLIP)


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nervplay encode"):
        find_sample([tmp_path])


def test_folders_are_the_package_and_the_checkout(clip: Path) -> None:
    package, checkout = FOLDERS
    assert package.parts[-3:] == ("app", "resources", "samples")
    assert checkout == clip.parent


def test_core_loads_neither_torch_nor_qt() -> None:
    code = "import sys, app.core; print(sorted({'torch', 'numpy', 'av', 'PySide6', 'click'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
