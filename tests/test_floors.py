"""The floors hold, statically (import-linter) and at run time; and each contract would notice a violation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("nervplay", "ffmpeg_bridge", "models_hub", "app")

VIOLATIONS = {
    "floors": ("nervplay/bitstream/planted.py", "import nervplay.codec\n"),
    "floors, siblings": ("models_hub/planted.py", "import ffmpeg_bridge\n"),
    "networks know nothing of files": ("nervplay/models/planted.py", "import nervplay.bitstream\n"),
    "decoding does not drag in training": ("nervplay/decode/planted.py", "import nervplay.training\n"),
    "torch-free parts": ("nervplay/video/planted.py", "import torch\n"),
    "commands reach torch and PyAV": ("app/cli/info.py", "def planted():\n    import nervplay.codec\n"),
    "Qt stays in app.views": ("app/core/planted.py", "import PySide6\n"),
    "architectures are independent": ("nervplay/models/nerv.py", "import nervplay.models.hnerv\n"),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that may be spoiled."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_violation_is_caught(tree: Path, contract: str) -> None:
    name, line = VIOLATIONS[contract]
    file = tree / name
    before = file.read_text() if file.exists() else None
    file.write_text((before or "") + line)
    try:
        result = lint_imports(tree)
    finally:
        file.write_text(before) if before is not None else file.unlink()
    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert any(row.startswith(contract.split(",", maxsplit=1)[0]) for row in broken), result.stdout


@pytest.mark.parametrize(
    "package", ["nervplay.choices", "nervplay.bitstream", "nervplay.video", "models_hub", "app.core", "app.cli.main"]
)
def test_light_packages_do_not_load_torch_or_qt(package: str) -> None:
    code = f"import sys, {package}; print(sorted({{'torch', 'PySide6', 'PIL.ImageQt'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
