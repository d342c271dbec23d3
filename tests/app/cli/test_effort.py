"""How much work a fit is: durations, the limits that reach it, and how its end is told."""

import json
from pathlib import Path

import pytest

from app.cli.effort import parse_bytes, parse_seconds
from app.cli.work.fitting import ending_words, progress_words
from nervplay.bitstream import peek_nerv
from nervplay.errors import OutputError, UsageError
from nervplay.models import resolve_preset
from nervplay.training import FitResult, Progress, Recipe, build_for_training

TINY = ("--preset", "hnerv-tiny")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("45s", 45.0), ("30m", 1800.0), ("1h30m", 5400.0), ("0.5h", 1800.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1d", "-5", "0", "0m", "1h30", "30 m x"])
def test_durations_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 90s, 30m or 1h30m"):
        parse_seconds(text)


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("800k", 800_000), ("1.5M", 1_500_000), ("4GB", 4 * 10**9)])
def test_amounts_of_memory(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "G", "-1", "4T", "4 G", "1e9"])
def test_amounts_of_memory_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 512M or 4G"):
        parse_bytes(text)


@pytest.mark.parametrize("more", [(), ("--segments", "2")])
def test_frames_in_a_file_give_the_same_network(
    nervplay, small_clip: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    for memory in ("0", "1G"):
        options = (*TINY, "--epochs", "2", "--frame-memory", memory, *more)
        assert nervplay("encode", small_clip, tmp_path / f"{memory}.nerv", *options).code == 0
    assert (tmp_path / "0.nerv").read_bytes() == (tmp_path / "1G.nerv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.nerv", "1G.nerv"]


def test_a_time_limit_gives_a_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "100000", "--time-limit", "0.5s", "--json")
    assert ran.code == 0
    assert "the fit ended after" in ran.err
    assert "the time limit was reached" in ran.err
    assert json.loads(ran.out)["psnr_db"] > 5
    assert [path.name for path in tmp_path.iterdir()] == ["a.nerv"]


def test_the_way_to_compute_reaches_the_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    hashes = set()
    for speed in ("exact", "fast"):
        target = tmp_path / f"{speed}.nerv"
        options = (*TINY, "--epochs", "1", "--speed", speed, "--patience", "7")
        assert nervplay("encode", small_clip, target, *options).code == 0
        recipe = peek_nerv(target).recipe["training"]
        assert (recipe["speed"], recipe["patience"]) == (speed, 7)
        hashes.add(peek_nerv(target).weights_sha256)
    assert len(hashes) == 2


def test_batch_and_accumulation_reach_the_file(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    assert nervplay("encode", small_clip, target, *TINY, "--epochs", "1", "--batch", "1", "--accumulate", "2").code == 0
    recipe = peek_nerv(target).recipe["training"]
    assert (recipe["batch_size"], recipe["accumulate"]) == (1, 2)
    refused = nervplay("encode", small_clip, tmp_path / "b.nerv", *TINY, "--epochs", "1", "--accumulate", "1000")
    assert refused.code == 2
    assert "times 1000 batches per update" in refused.err


def test_segments_share_the_time_limit(nervplay, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    options = (*TINY, "--epochs", "100000", "--segments", "2", "--time-limit", "1s", "--audio", "none")
    assert nervplay("encode", small_clip, target, *options).code == 0
    assert len(peek_nerv(target).segments) == 2


def test_a_finished_fit_that_finds_no_room_says_what_is_kept(
    nervplay, small_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("app.cli.work.encode.write_nerv", full)
    target = tmp_path / "a.nerv"
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "1")
    assert ran.code == 4
    assert "nothing is lost: the same command with --resume" in ran.err
    monkeypatch.setattr("nervplay.training.run.write_resume_file", full)
    ran = nervplay("encode", small_clip, target, *TINY, "--epochs", "1", "--overwrite")
    assert "make room: the same command with --resume goes on" in ran.err


def test_words() -> None:
    now = Progress(1, 2, 1, 2, 30.0, 0.1, 5.0, 9.0)
    assert progress_words(now) == "30.00 dB, 5.0 frames/s"
    assert progress_words(now._replace(rollbacks=1)).endswith(", went back once")
    assert progress_words(now._replace(rollbacks=2)).endswith(", went back 2 times")
    architecture, preset = resolve_preset("nerv-tiny")
    model = build_for_training(architecture.name, preset.configure(64, 48, 6), Recipe())
    for ended, words in (("done", None), ("plateau", "no longer got better"), ("time limit", "time limit was")):
        result = FitResult(
            model=model,
            psnr_db=30.0,
            loss=0.1,
            seconds=61.0,
            frames_per_second=1.0,
            epochs=2.5,
            ended=ended,  # type: ignore[arg-type]
            rollbacks=0,
            unsaved=None,
        )
        told = ending_words(result)
        assert (told is None) if words is None else (words in told and "2.5 epochs, 1:01" in told)  # type: ignore[operator]
