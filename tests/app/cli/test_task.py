"""`--task` of encode and eval."""

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("task", "names"),
    [("interpolation", {"seen frames", "unseen frames"}), ("inpaint-center", {"whole frames", "holes"})],
)
def test_a_file_remembers_its_task(nervplay, small_clip: Path, tmp_path: Path, task: str, names: set[str]) -> None:
    target = tmp_path / "a.nerv"
    assert nervplay("encode", small_clip, target, "--preset", "hnerv-tiny", "--epochs", "1", "--task", task).code == 0
    measured = json.loads(nervplay("eval", target, small_clip, "--json").out)["task"]
    assert measured["name"] == task
    assert names <= measured["psnr_db"].keys()
    table = nervplay("eval", target, small_clip).out
    assert f"task {task}: PSNR (dB) of" in table
    assert all(name in table for name in names)


def test_a_task_may_be_asked_for_and_must_exist(nervplay, small_nerv: Path, small_clip: Path) -> None:
    assert "task" not in json.loads(nervplay("eval", small_nerv, small_clip, "--json").out)
    asked = nervplay("eval", small_nerv, small_clip, "--task", "interpolation", "--json")
    assert json.loads(asked.out)["task"]["psnr_db"]["unseen frames"]["mean"] > 0
    assert "write one of regression" in nervplay("eval", small_nerv, small_clip, "--task", "x").error
