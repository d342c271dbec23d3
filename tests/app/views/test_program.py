"""The program itself under a window system: networks and software GL in one process."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.display
def test_a_network_beside_software_gl(small_clip: Path, small_nerv: Path, tmp_path: Path) -> None:
    """Where Triton is installed, its LLVM and Mesa's must not meet."""
    target = tmp_path / "view.png"
    program = [sys.executable, "-m", "app.cli", "play", small_clip, small_nerv, "--screenshot", target]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    with Image.open(target) as picture:
        assert min(picture.size) >= 500


def test_garbage_is_collected_when_other_sources_are_open(monkeypatch) -> None:
    from types import SimpleNamespace

    from app import main
    from app.core.player import Player

    player, calls = Player(), []
    monkeypatch.setattr(main, "settle", lambda: calls.append(player.slots[0].facts))
    main.settle_when_opened(player)
    for title in ("a", "a", "b"):
        player.slots[0].facts = SimpleNamespace(title=title)
        player.events.emit("clip")
    assert [facts.title for facts in calls] == ["a", "b"]
