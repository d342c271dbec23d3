"""Frames over the budget lie in a file without a name: equal bits, nothing left behind, and a full disk is told."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nervplay.errors import OutputError
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe, fit, frame_store
from nervplay.training.frame_store import available_memory, in_memory, mapped
from nervplay.video.source import ArraySource

SHAPE = (6, 3, 48, 64)


def open_files(folder: Path) -> list[str]:
    """What this process has open or mapped in a folder."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in maps if str(folder) in line]


def test_a_file_holds_what_memory_does(moving_clip: ArraySource, tmp_path: Path) -> None:
    inside, outside = in_memory(moving_clip.frames(), SHAPE), mapped(moving_clip.frames(), SHAPE, tmp_path)
    assert torch.equal(inside, outside)
    assert outside.shape == SHAPE
    assert outside.is_contiguous()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell what is mapped")
def test_nothing_is_left_when_the_frames_are_gone(moving_clip: ArraySource, tmp_path: Path) -> None:
    frames = mapped(moving_clip.frames(), SHAPE, tmp_path)
    assert not list(tmp_path.iterdir()), "the file has no name"
    assert open_files(tmp_path), "it is there all the same"
    del frames
    assert not open_files(tmp_path)


def test_a_fit_has_the_same_bits_from_a_file(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource, tmp_path: Path
) -> None:
    weights = []
    for memory in (None, 0):
        torch.manual_seed(0)
        model = plain(plain_config, encoder=True, noise=0.1)
        resume = tmp_path / f"{memory}.resume"
        fit(model, moving_clip, Recipe(epochs=3, batch_size=2), device="cpu", resume=resume, frame_memory=memory)
        weights.append(model.stored_state())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.resume", "None.resume"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from nervplay.training.frame_store import mapped

def frames(when):
    for number in range(6):
        if number == when:
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.full((48, 64, 3), number, np.uint8)

# each in a process of its own, which costs little where PyTorch is imported before
for when in (0, 3, 6):
    if not (child := os.fork()):
        mapped(frames(when), (6, 3, 48, 64), Path(sys.argv[1]))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, when
    assert not list(Path(sys.argv[1]).iterdir()), when
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied here")
def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from nervplay.errors import OutputError
from nervplay.training.frame_store import mapped
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    mapped((np.zeros((480, 640, 3), np.uint8) for _ in range(600)), (600, 3, 480, 640), Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


def test_a_disk_without_room(tmp_path: Path) -> None:
    """A real write that stops half-way: a process that may not write files of over 100 kB."""
    shown = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    assert shown.stdout == (
        f"the 600 frames take 0.51 GiB, more than may lie in memory, and could not be put into {tmp_path}: the disk "
        "has no room for them; make room, allow more memory (--frame-memory), or take fewer or smaller frames\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(moving_clip: ArraySource, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"put into .*missing: No such file or directory; make room"):
        mapped(moving_clip.frames(), SHAPE, tmp_path / "missing")


def test_an_error_of_the_clip_stays_what_it_is(tmp_path: Path) -> None:
    def broken() -> Any:
        yield np.zeros((48, 64, 3), np.uint8)
        raise OSError(5, "the clip is gone")

    with pytest.raises(OSError, match="the clip is gone") as caught:
        mapped(broken(), SHAPE, tmp_path)
    assert not isinstance(caught.value, OutputError)


def test_available_memory_is_plausible() -> None:
    assert 2**26 < available_memory() < 2**46


def test_a_container_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_store, "_CGROUP", tmp_path)
    whole = available_memory()
    (tmp_path / "memory.current").write_text("40000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > whole / 2
    (tmp_path / "memory.max").write_text("100000000\n")
    assert available_memory() == 60_000_000
    (tmp_path / "memory.max").write_text("100\n")
    assert available_memory() == 0
