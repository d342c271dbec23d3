"""No module of `app.core` loads Qt or torch, whatever it imports on the way: the player's state works without both."""

import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parents[3] / "app" / "core"


def test_no_qt_and_no_torch() -> None:
    names = [f"app.core.{path.stem}" for path in sorted(CORE.glob("*.py")) if path.stem != "__init__"]
    assert "app.core.player" in names
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
        "print(sorted({'torch', 'PySide6'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
