"""`nervplay info`: every figure against the file itself."""

import dataclasses
import json
from pathlib import Path

import pytest

from app.cli.info import describe
from nervplay.bitstream import peek_nerv
from nervplay.codec import open_nerv
from nervplay.models.cost import measure_cost


def test_json_agrees_with_the_file(nervplay, small_nerv: Path) -> None:
    ran = nervplay("info", small_nerv, "--json")
    assert (ran.code, ran.err) == (0, "")
    facts = json.loads(ran.out)
    video = open_nerv(small_nerv)
    cost = measure_cost(video.architecture, video.model.config)
    pixels = 64 * 48 * 10
    size = small_nerv.stat().st_size
    assert facts["path"] == str(small_nerv)
    assert facts["video"] == video.spec.to_json()
    assert (facts["architecture"], facts["config"]) == ("hnerv", video.model.config.to_config())
    assert (facts["parameters"], facts["gflops_per_frame"]) == (cost.parameters, pytest.approx(cost.gflops))
    assert facts["parameters_by_bits"] == {
        "6": cost.embedding_values,
        "8": cost.parameters - cost.embedding_values,
    }
    assert facts["file_bytes"] == size == sum(facts["section_bytes"].values())
    assert facts["bits_per_pixel"] == pytest.approx(8 * size / pixels)
    sound = len(video.file.audio.data)
    assert facts["section_bytes"]["audio"] == sound
    assert facts["bits_per_pixel_video"] == pytest.approx(8 * (size - sound) / pixels)
    assert facts["duration_s"] == pytest.approx(0.4)
    assert facts["bit_rate_kbps"] == pytest.approx(8 * size / 1000 / 0.4)
    assert facts["audio"] == {"codec": "aac", "container": "mp4"}
    assert facts["source"] == {"name": "small.mp4", "transform": {"crop": None, "frames": None, "scale": None}}
    assert facts["recipe"]["preset"] == "hnerv-tiny"
    assert facts["recipe"]["training"]["epochs"] == 2
    assert facts["weights_sha256"] == video.weights_sha256


def test_text_says_the_same(nervplay, small_nerv: Path) -> None:
    ran = nervplay("info", small_nerv)
    lines = dict(line.split("  ", 1) for line in ran.out.splitlines() if "  " in line)
    assert lines["clip"].strip() == "64x48, 10 frames, 25 frames/s, 0.40 s"
    assert lines["sound"].strip().startswith("aac in mp4")
    assert lines["recipe training epochs"].strip() == "2"
    assert f"{small_nerv.stat().st_size:,} bytes" in lines["file"]


def test_a_network_of_the_future_has_no_cost(small_nerv: Path) -> None:
    header = dataclasses.replace(peek_nerv(small_nerv), architecture="zzz")
    assert describe(header)["gflops_per_frame"] is None
