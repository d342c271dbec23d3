"""`nervplay compress`: settings reach the file, targets are kept, and what is said is what was measured."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nervplay.bitstream import QuantisedTensor, peek_nerv, read_nerv, weights_sha256, write_nerv
from nervplay.codec import open_nerv
from nervplay.codec.prune import prunable
from nervplay.decode import open_decoder
from nervplay.decode.loss import fitted_db
from nervplay.decode.native.library import load


@pytest.fixture(scope="module")
def fitted_nerv(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small clip, fitted well enough that rounding weights costs quality."""
    from app.cli.main import main

    path = tmp_path_factory.mktemp("fitted") / "fitted.nerv"
    assert main(["encode", str(small_clip), str(path), "--preset", "hnerv-tiny", "--epochs", "15"]) == 0
    return path


def test_fixed_bits(nervplay, fitted_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay(
        "compress", fitted_nerv, target, "--bits", "5", "--embed-bits", "4", "--source", small_clip, "--json"
    )
    assert ran.code == 0, ran.err
    summary, header = json.loads(ran.out), peek_nerv(target)
    widths = {t.name: t.bits for t in header.segments[0].tensors}
    assert widths.pop("embedding") == 4
    assert all(bits == (5 if name.endswith("weight") else 8) for name, bits in widths.items())
    assert summary["file_bytes"] == target.stat().st_size < fitted_nerv.stat().st_size == summary["file_bytes_before"]
    assert summary["reference"] == "source"
    report = json.loads(nervplay("eval", target, small_clip, "--metrics", "psnr", "--json").out)
    assert summary["psnr_db"] == pytest.approx(report["metrics"]["psnr"]["mean"])
    assert (summary["bpp"], summary["weights_sha256"]) == (report["bpp"], header.weights_sha256)
    before = read_nerv(fitted_nerv)
    after = read_nerv(target)
    assert (after.video, after.source, after.audio) == (before.video, before.source, before.audio)
    assert after.recipe["training"] == before.recipe["training"]
    assert after.recipe["compression"]["bits"] == 5


def test_what_a_file_says_of_its_psnr_stays_true(nervplay, fitted_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    def told(path: Path) -> float | None:
        return fitted_db(read_nerv(path).recipe)

    def true(path: Path) -> float:
        report = json.loads(nervplay("eval", path, small_clip, "--metrics", "psnr", "--json").out)
        return float(report["metrics"]["psnr"]["mean"])

    assert told(fitted_nerv) == pytest.approx(true(fitted_nerv), abs=0.01)
    measured, reckoned, unknown = (tmp_path / f"{name}.nerv" for name in "abc")
    few = ("--bits", "2", "--embed-bits", "2")
    assert nervplay("compress", fitted_nerv, measured, *few, "--source", small_clip).code == 0
    assert nervplay("compress", fitted_nerv, reckoned, *few).code == 0
    assert true(fitted_nerv) > true(measured) + 0.05
    assert told(measured) == pytest.approx(true(measured), abs=0.01)
    lost = told(fitted_nerv) - told(reckoned)
    assert 0.3 < lost / (told(fitted_nerv) - told(measured)) < 3, "from what IN has lost, and this beside"
    silent = read_nerv(fitted_nerv)
    write_nerv(unknown, replace(silent, recipe={}))
    assert nervplay("compress", unknown, unknown, *few, "--overwrite").code == 0
    assert told(unknown) is None


def test_a_calibrated_file_needs_none(
    nervplay, fitted_nerv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    ready, smaller, limited = (tmp_path / f"{name}.nerv" for name in "abc")
    ran = nervplay("compress", fitted_nerv, ready, "--calibrate", "--json")
    assert ran.code == 0, ran.err
    summary, before = json.loads(ran.out), read_nerv(fitted_nerv)
    assert summary["weights_sha256"] == weights_sha256(before.segments), "nothing was asked of the weights"
    assert summary["file_bytes"] == ready.stat().st_size
    added = summary["int8_bytes"]
    assert 0 < added < summary["file_bytes"] - fitted_nerv.stat().st_size < added + 150
    assert f"int8 {added:,}" in nervplay("info", ready).out
    assert fitted_db(read_nerv(ready).recipe) == fitted_db(before.recipe)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    steps: list[tuple[int, int]] = []
    told = lambda *step: steps.append(step)  # noqa: E731 - short
    open_decoder(ready, device="cpu", backend="native", precision="int8", progress=told).close()
    assert steps == []
    ran = nervplay("compress", ready, smaller, "--bits", "6")
    assert ran.code == 0, ran.err
    assert read_nerv(smaller).extras == {}, "other weights"
    limit = int(0.7 * fitted_nerv.stat().st_size)
    ran = nervplay("compress", fitted_nerv, limited, "--calibrate", "--target-bytes", limit)
    assert ran.code == 0, ran.err
    assert set(read_nerv(limited).extras) == {"x.int8.0000"}
    assert 0.9 * limit < limited.stat().st_size <= limit


def test_a_target_size_is_kept_and_used(nervplay, fitted_nerv: Path, tmp_path: Path) -> None:
    quality = []
    for option, share in (("bytes", 0.85), ("bpp", 0.6)):
        limit = int(share * fitted_nerv.stat().st_size)
        given = str(limit) if option == "bytes" else str(8.0 * limit / (64 * 48 * 10) + 1e-9)
        target = tmp_path / f"{share}.nerv"
        ran = nervplay("compress", fitted_nerv, target, f"--target-{option}", given, "--json")
        assert ran.code == 0, ran.err
        assert limit * 0.93 < target.stat().st_size <= limit
        summary = json.loads(ran.out)
        assert summary["reference"] == "input"
        found = summary["trials"][-1]["file_bytes"]
        assert found - 16 < summary["file_bytes"] <= found, "its PSNR comes behind the search"
        assert f"{found:>10}" in ran.err, "the search is printed"
        quality.append(float(summary["psnr_db"]))
    assert quality == sorted(quality, reverse=True)


def test_a_file_that_keeps_to_its_limit_stays_as_it_is(nervplay, fitted_nerv: Path, tmp_path: Path) -> None:
    before, target = fitted_nerv.read_bytes(), tmp_path / "a.nerv"
    for limit in (("--target-bytes", len(before)), ("--target-psnr", "199", "--bits", "2", "--embed-bits", "2")):
        ran = nervplay("compress", fitted_nerv, target, *limit, "--overwrite")
        assert ran.code == 0, ran.err
        assert target.read_bytes() == before
        assert "decodes to identical frames against what" in ran.err
    ran = nervplay("compress", fitted_nerv, target, "--bits", "16", "--embed-bits", "16", "--overwrite")
    assert "more than before; fewer --bits" in ran.err


def test_mixed_precision_beats_equal_bits(nervplay, fitted_nerv: Path, tmp_path: Path) -> None:
    equal, mixed = tmp_path / "equal.nerv", tmp_path / "mixed.nerv"
    same = json.loads(nervplay("compress", fitted_nerv, equal, "--bits", "5", "--embed-bits", "5", "--json").out)
    limit = ("--target-bytes", same["file_bytes"])
    own = json.loads(nervplay("compress", fitted_nerv, mixed, *limit, "--json").out)
    assert own["file_bytes"] <= same["file_bytes"]
    assert own["psnr_db"] > same["psnr_db"] + 0.5


def test_a_target_quality_is_kept_over_all_frames(
    nervplay, fitted_nerv: Path, small_clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "a.nerv"
    ran = nervplay("compress", fitted_nerv, target, "--target-psnr", "42", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert 42 <= summary["psnr_db"] < 47
    assert summary["file_bytes"] < 0.9 * fitted_nerv.stat().st_size
    ran = nervplay("compress", fitted_nerv, tmp_path / "b.nerv", "--target-psnr", "70", "--source", small_clip)
    assert ran.code == 2
    assert "70 dB cannot be reached: the finest setting has" in ran.err
    assert not (tmp_path / "b.nerv").exists()


def test_pruned_weights_are_zeros_in_the_file(nervplay, fitted_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    assert nervplay("compress", fitted_nerv, target, "--prune", "0.4", "--bits", "6").code == 0
    video = open_nerv(target)
    tensors = video.file.segments[0].tensors
    zeros = total = 0
    for name in prunable(video.model):
        tensor = tensors[name]
        assert isinstance(tensor, QuantisedTensor)
        zeros += int((tensor.dequantise() == 0).sum())
        total += tensor.codes.size
    assert 0.399 < zeros / total < 0.6, "those that were pruned, and some that round to 0"
    biases = [t.dequantise() for n, t in tensors.items() if n.endswith("bias") and isinstance(t, QuantisedTensor)]
    assert np.mean(np.concatenate(biases) == 0) < 0.1


def test_fitting_on_stays_under_the_target(nervplay, fitted_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target, limit = tmp_path / "a.nerv", int(0.55 * fitted_nerv.stat().st_size)
    ran = nervplay(
        "compress", fitted_nerv, target, "--target-bytes", limit, "--source", small_clip, "--qat-epochs", "4", "--json"
    )
    assert ran.code == 0, ran.err
    trials = json.loads(ran.out)["trials"]
    size = target.stat().st_size
    # where fitting on made it larger, a search follows, whose best trial need not be its last
    kept = [trial for trial in trials if trial["file_bytes"] - 16 < size <= trial["file_bytes"] <= limit]
    assert kept
    assert kept[-1]["psnr_db"] > trials[0]["psnr_db"]
    assert kept[-1]["file_bytes"] != trials[0]["file_bytes"], "the weights have moved"


@pytest.fixture(scope="module")
def segmented_nerv(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small clip in three time segments that overlap."""
    from app.cli.main import main

    path = tmp_path_factory.mktemp("segmented") / "clip.nerv"
    options = ("--preset", "hnerv-tiny", "--epochs", "15", "--segments", "3", "--overlap", "1")
    assert main(["encode", str(small_clip), str(path), *options]) == 0
    return path


def test_segments_share_the_target(nervplay, segmented_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target, limit = tmp_path / "a.nerv", int(0.7 * segmented_nerv.stat().st_size)
    options = ("--bits", "6", "--embed-bits", "6", "--target-bytes", limit, "--source", small_clip)
    ran = nervplay("compress", segmented_nerv, target, *options, "--json")
    assert ran.code == 0, ran.err
    assert 0.9 * limit < target.stat().st_size <= limit
    before, after, summary = read_nerv(segmented_nerv), read_nerv(target), json.loads(ran.out)
    for old, new in zip(before.segments, after.segments, strict=True):
        assert (old.first_frame, old.frame_count, old.lead, old.tail) == (
            new.first_frame, new.frame_count, new.lead, new.tail
        )  # fmt: skip
        assert {n: t.shape for n, t in old.tensors.items()} == {n: t.shape for n, t in new.tensors.items()}
    names = [f"{number}/{name}" for number, segment in enumerate(after.segments) for name in segment.tensors]
    assert [row["name"] for row in summary["tensors"]] == names
    report = json.loads(nervplay("eval", target, small_clip, "--metrics", "psnr", "--json").out)
    assert summary["psnr_db"] == pytest.approx(report["metrics"]["psnr"]["mean"])
    assert summary["trials"][-1]["psnr_db"] == pytest.approx(summary["psnr_db"], abs=1.0), "few frames are blended"


def test_segments_are_compressed_in_place(nervplay, segmented_nerv: Path, tmp_path: Path) -> None:
    before, file = segmented_nerv.read_bytes(), tmp_path / "a.nerv"
    file.write_bytes(before)
    ran = nervplay("compress", file, file, "--target-bytes", "1M", "--overwrite")
    assert ran.code == 0, ran.err
    assert file.read_bytes() == before


@pytest.mark.slow
def test_segments_are_pruned_and_fitted_on(nervplay, segmented_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    options = ("--bits", "4", "--embed-bits", "4", "--prune", "0.3", "--source", small_clip)
    ran = nervplay("compress", segmented_nerv, target, *options, "--qat-epochs", "40", "--json")
    assert ran.code == 0, ran.err
    trials = json.loads(ran.out)["trials"]
    assert trials[-1]["psnr_db"] > trials[0]["psnr_db"] + 0.3, "rounded and pruned weights cost less after fitting on"
    for number, segment in enumerate(read_nerv(target).segments):
        part = open_nerv(target).segment(number)
        weights = [segment.tensors[name].dequantise() for name in prunable(part.model)]
        assert np.mean(np.concatenate([weight.ravel() for weight in weights]) == 0) > 0.299


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--qat-epochs", "3"), "give --source SRC"),
        (("--target-bytes", "9k", "--target-bpp", "1"), "--target-bytes and --target-bpp are two targets"),
        (("--target-bytes", "many"), "write it as 200000, 200k or 1.5M"),
        (("--target-bytes", ""), "write it as 200000, 200k or 1.5M"),
        (("--target-bytes", "1e999"), "write it as 200000, 200k or 1.5M"),
        (("--target-bpp", "-1"), "must be above 0"),
        (("--target-psnr", "nan"), "must be above 0 dB, and finite"),
        (
            ("--target-bytes", "900", "--bits", "2", "--embed-bits", "2"),
            "900 bytes cannot be reached: the smallest file of this network has about",
        ),
        (("--prune", "1"), "give what is removed"),
        (("--prune", "-0.1"), "give what is removed"),
        (("--prune", "nan"), "give what is removed"),
        (("--source", "nowhere.mp4"), "nowhere.mp4"),
    ],
)
def test_refusals(nervplay, small_nerv: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    ran = nervplay("compress", small_nerv, tmp_path / "a.nerv", *options)
    assert ran.code == (3 if "--source" in options else 2)
    assert message in ran.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_an_existing_target_stays(nervplay, small_nerv: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    target.write_bytes(b"mine")
    assert nervplay("compress", small_nerv, target).code == 4
    assert target.read_bytes() == b"mine"
    assert nervplay("compress", small_nerv, target, "--overwrite").code == 0


def test_ctrl_c_leaves_nothing(start: Callable, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    run = start("compress", small_nerv, target, "--qat-epochs", "100000", "--source", small_clip)
    line = b""
    while b"     1" not in line:  # the first trial is done, fitting begins
        line = run.stderr.readline()
        assert line, "it ended before it was stopped"
    time.sleep(1.0)
    for _ in range(20):  # a busy machine may still be on its way into the fit
        run.send_signal(signal.SIGINT)
        try:
            _, err = run.communicate(timeout=6)
            break
        except subprocess.TimeoutExpired:
            continue
    assert run.returncode == 130, err
    assert not list(tmp_path.iterdir())
