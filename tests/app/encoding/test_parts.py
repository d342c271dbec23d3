"""Parts: fitted once, resumed, joined, never mixed up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.encoding.local import run_local
from app.encoding.parts import Part, fingerprint_of, fit_part, is_done, join_parts, part_path
from app.encoding.report import PartReport, Tally
from nervplay.bitstream import read_nerv, write_nerv
from nervplay.codec import Precision
from nervplay.decode import open_decoder
from nervplay.errors import CheckpointError, Interrupted
from nervplay.video import VideoSpec


def test_parts_are_fitted_once_and_joined(parts: list[Part], spec: VideoSpec, tmp_path: Path) -> None:
    reports: list[PartReport] = []
    run_local(tmp_path, parts, report=reports.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000.nerv", "0001.nerv", "0002.nerv"]
    assert [report.number for report in reports if report.share == 1 and report.psnr_db is None] == [0, 1, 2]
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    run_local(tmp_path, parts)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times, "nothing is fitted twice"
    file = join_parts(tmp_path, parts, spec, source={"name": "x"}, recipe={"a": 1})
    assert [(s.first_frame, s.frame_count, s.lead, s.tail) for s in file.segments] == [
        (0, 2, 0, 1),
        (2, 3, 1, 1),
        (5, 3, 1, 0),
    ]
    write_nerv(tmp_path / "all.nerv", file)
    with (
        open_decoder(tmp_path / "all.nerv", device="cpu") as whole,
        open_decoder(part_path(tmp_path, 1), device="cpu") as middle,
    ):
        assert len(list(whole.frames())) == 8
        np.testing.assert_array_equal(whole.frame(3), middle.frame(2))


def test_a_stopped_part_goes_on_to_the_same_bits(parts: list[Part], tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    fit_part(tmp_path / "one", parts[0])
    asked = iter([False] * 4 + [True] * 9)
    with pytest.raises(Interrupted, match="saved"):
        fit_part(tmp_path / "two", parts[0], stop=lambda: next(asked))
    assert (tmp_path / "two" / "0000.resume").exists()
    assert not is_done(tmp_path / "two", parts[0])
    fit_part(tmp_path / "two", parts[0])
    assert part_path(tmp_path / "one", 0).read_bytes() == part_path(tmp_path / "two", 0).read_bytes()


@pytest.mark.parametrize("change", ["recipe", "precision", "fingerprint", "config"])
def test_a_part_of_another_run_is_refused(parts: list[Part], tmp_path: Path, change: str) -> None:
    part = parts[0]
    fit_part(tmp_path, part)
    other = {
        "recipe": part.recipe.replace(seed=5),
        "precision": Precision(bits=7),
        "fingerprint": "0" * 16,
        "config": replace(part.config, channels=part.config.channels + 1),  # type: ignore[call-arg]
    }
    with pytest.raises(CheckpointError, match=r"0000\.nerv belongs to another run.*--overwrite"):
        fit_part(tmp_path, replace(part, **{change: other[change]}))
    assert read_nerv(part_path(tmp_path, 0)).segments


def test_clips_are_told_apart(pictures: Path, clip: Path, tmp_path: Path) -> None:
    marks = {fingerprint_of(pictures), fingerprint_of(clip)}
    changed = tmp_path / "clip.mp4"
    data = bytearray(clip.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    marks.add(fingerprint_of(changed))
    assert len(marks) == 3


def test_reports_add_up(parts: list[Part]) -> None:
    tally = Tally(parts)
    assert tally.frames == 0
    tally.add(PartReport(1, 0.5, 30.0, 4.0))
    tally.add(PartReport.finished(parts[0]))
    assert tally.frames == 2 + 1.5
    assert tally.words() == "1/3 segments done, 1 running, 30.00 dB, 4.0 frames/s"
