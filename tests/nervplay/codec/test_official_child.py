import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nervplay.codec.official_child import convert, tensors_of

CHILD = "import sys; from nervplay.codec.official_child import limit_memory; import torch; limit_memory(1 << 28); "


def test_leaves_of_a_tree() -> None:
    tree = {
        "a": {"quant": torch.ones(1), "bits": 8, "shape": torch.Size([2, 5])},
        "b": [torch.ones(1)],
        3: torch.zeros(2),
    }
    leaves = dict(tensors_of(tree, "model"))
    assert list(leaves) == ["model/a/quant", "model/a/bits", "model/a/shape", "model/3"]
    assert (leaves["model/a/bits"].tolist(), leaves["model/a/shape"].tolist()) == (8, [2, 5])


def test_parts_are_taken_and_the_rest_is_left(tmp_path: Path) -> None:
    torch.save({"embed": {"min": torch.ones(2)}, "model": {}, "other": torch.ones(1)}, tmp_path / "a.pth")
    convert(str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors"))
    assert list(load_file(tmp_path / "a.safetensors")) == ["embed/min"]


def test_a_bare_state_dict_will_do_but_nothing_that_is_no_dict(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "a.pth")
    convert(str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors"))
    assert list(load_file(tmp_path / "a.safetensors")) == ["state_dict/x"]
    torch.save([torch.ones(1)], tmp_path / "b.pth")
    with pytest.raises(TypeError, match="holds a list, not a dict"):
        convert(str(tmp_path / "b.pth"), str(tmp_path / "b.safetensors"))


def test_memory_is_limited() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{CHILD} torch.empty(1 << 20); print('small', flush=True); torch.empty(1 << 28)"],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("small\n", 1)
    assert "memory" in done.stderr
