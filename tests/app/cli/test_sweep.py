"""`nervplay sweep`: a file for every size, a table that is true, and no work done twice."""

import csv
import json
from pathlib import Path

import pytest

from nervplay.bitstream import peek_nerv
from nervplay.errors import Interrupted

LADDER = ("--arch", "hnerv", "--sizes", "36k,60k", "--epochs", "2", "--device", "cpu")


def test_a_ladder_is_written_and_kept(nervplay, small_clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ladder"
    ran = nervplay("sweep", small_clip, "-o", folder, *LADDER, "--json")
    assert ran.code == 0, ran.err
    rungs = json.loads(ran.out)
    assert [rung["file"] for rung in rungs] == ["hnerv-36k.nerv", "hnerv-60k.nerv"]
    assert rungs[0]["file_bytes"] < rungs[1]["file_bytes"]
    for rung in rungs:
        file = folder / rung["file"]
        assert file.stat().st_size == rung["file_bytes"]
        report = json.loads(nervplay("eval", file, small_clip, "--json", "--device", "cpu").out)
        assert report["metrics"]["psnr"]["mean"] == pytest.approx(rung["psnr_db"])
        assert report["bpp"] == rung["bpp"]
    with (folder / "ladder.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [(row["size"], int(row["file_bytes"])) for row in rows] == [
        ("36k", rungs[0]["file_bytes"]),
        ("60k", rungs[1]["file_bytes"]),
    ]
    assert "nervplay rd" in ran.err
    stamps = [part.stat().st_mtime_ns for part in sorted((folder / ".parts").iterdir())]
    assert nervplay("sweep", small_clip, "-o", folder, *LADDER).code == 0
    assert stamps == [part.stat().st_mtime_ns for part in sorted((folder / ".parts").iterdir())]
    other = nervplay("sweep", small_clip, "-o", folder, *LADDER, "--seed", "9")
    assert other.code == 3
    assert "belongs to another run" in other.error
    assert "--overwrite" in other.error
    assert peek_nerv(folder / "hnerv-36k.nerv").recipe["training"]["epochs"] == 2
    quick = ("--sizes", "36k", "--epochs", "1", "--seed", "9")
    again = nervplay("sweep", small_clip, "-o", folder, *LADDER, *quick, "--overwrite")
    assert again.code == 0, again.err
    assert peek_nerv(folder / "hnerv-36k.nerv").recipe["training"]["seed"] == 9


def test_a_stopped_one_says_how_to_go_on(
    nervplay, small_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise Interrupted("stopped; saved in x")

    monkeypatch.setattr("app.cli.work.sweep.run_parts", stopped)
    ran = nervplay("sweep", small_clip, "-o", tmp_path / "a", *LADDER)
    assert ran.code == 130
    assert "saved in x; the same command goes on" in ran.err, "it has no --resume"


@pytest.mark.parametrize("sizes", ["", ",", "60k,60k"])
def test_sizes_of_another_form_are_refused(nervplay, small_clip: Path, tmp_path: Path, sizes: str) -> None:
    ran = nervplay("sweep", small_clip, "-o", tmp_path / "a", "--arch", "hnerv", "--sizes", sizes)
    assert ran.code == 2
    assert "write them as 100k,200k,400k" in ran.error
