"""`--convolutions`: what a value may be, and that a network with them is fitted, written, read and shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli.work.stages import parse_convolutions
from nervplay.bitstream import peek_nerv
from nervplay.blocks.conv_kinds import StageConv
from nervplay.errors import UsageError


def ghosts(*stages: int) -> tuple[StageConv, ...]:
    return tuple(StageConv(stage=stage, kind="ghost") for stage in stages)


@pytest.mark.parametrize(
    ("stages", "numbers"),
    [
        ("0", [0]),
        ("3-4", [3, 4]),
        ("1-1", [1]),
        ("0,2", [0, 2]),
        ("4,0-1", [0, 1, 4]),
        ("2-", [2, 3, 4]),
        ("all", [0, 1, 2, 3, 4]),
    ],
)
def test_stages(stages: str, numbers: list[int]) -> None:
    assert parse_convolutions([f"ghost:{stages}"], 5) == ghosts(*numbers)


def test_values_add_up_in_the_order_of_the_stages() -> None:
    assert parse_convolutions([], 5) == ()
    found = parse_convolutions(["ghost-v2:3-", "low-rank:1:rho=0.25", " binary:0 "], 5)
    assert [(choice.stage, choice.kind, choice.rho) for choice in found] == [
        (0, "binary", None),
        (1, "low-rank", 0.25),
        (3, "ghost-v2", None),
        (4, "ghost-v2", None),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([""], "unknown kind of convolution ''; known: binary, ghost, ghost-v2, low-rank"),
        (["lowrank:3:rho=0.5"], "unknown kind of convolution 'lowrank'; did you mean low-rank"),
        (["ghost"], "not of the form that is known; write KIND:STAGES"),
        (["low-rank:1:rho=0.5:2"], "not of the form that is known"),
        (["ghost:"], "'' in convolutions 'ghost:' names no stage; write KIND:STAGES"),
        (["ghost:last"], "'last' in convolutions 'ghost:last' names no stage"),
        (["ghost:-1"], "'-1' in convolutions"),
        (["ghost:1,,2"], "'' in convolutions"),
        (["ghost:1-2-3"], "'1-2-3' in convolutions"),
        (["ghost:5"], "name stage 5; the stages of this network are 0 to 4"),
        (["ghost:3-9999"], "name stage 9999"),
        (["ghost:4-3"], "range '4-3' in convolutions 'ghost:4-3' is empty; write 3-4"),
        (["ghost:1,0-2"], "name stage 1 twice, as ghost and as ghost"),
        (["ghost:1-2", "binary:2"], "name stage 2 twice, as ghost and as binary; name each stage once"),
        (["low-rank:3-4"], "lack the rank over the channels; write low-rank:3-4:rho=0.25"),
        (["low-rank:3:rho=half"], "rho is 'half' in convolutions 'low-rank:3:rho=half'; it must be a number"),
        (["low-rank:3:rho"], "rho is ''"),
        (["low-rank:3:rho=0"], "rho of stage 3 is 0.0; low-rank needs one in 0 .. 1, above 0"),
        (["low-rank:3:rho=nan"], "rho of stage 3 is nan"),
        (["low-rank:3:rank=2"], "unknown parameter of convolutions 'rank'"),
        (["ghost:3:rho=0.5"], "stage 3 has rho 0.5, kind 'ghost' has none; leave it out"),
    ],
)
def test_what_cannot_be_read(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_convolutions(texts, 5)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def summary(nervplay: Any, *arguments: object) -> dict[str, Any]:
    ran = nervplay("encode", *arguments, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


@pytest.mark.parametrize("architecture", ["e-nerv", "ffnerv", "hnerv-boost", "snerv", "snerv-t", "dnerv", "pnerv"])
def test_from_clip_to_frames(nervplay: Any, small_clip: Path, tmp_path: Path, architecture: str) -> None:
    target = tmp_path / "a.nerv"
    choices = ("--convolutions", "low-rank:0:rho=0.5", "--convolutions", "binary:1")
    done = summary(nervplay, small_clip, target, "--preset", f"{architecture}-tiny", *choices, "--epochs", "2")
    header = peek_nerv(target)
    assert (done["architecture"], header.config["convolutions"]) == (
        architecture,
        [{"stage": 0, "kind": "low-rank", "rho": 0.5}, {"stage": 1, "kind": "binary", "rho": None}],
    )
    assert 1 in {tensor.bits for segment in header.segments for tensor in segment.tensors}
    assert nervplay("decode", target, "-o", tmp_path / "a.npy", "--device", "cpu").code == 0
    assert np.load(tmp_path / "a.npy").shape == (10, 48, 64, 3)
    shown = nervplay("info", target)
    assert "low-rank" in shown.out


def test_the_size_is_that_with_the_convolutions(nervplay: Any, small_clip: Path, tmp_path: Path) -> None:
    sized = ("--arch", "hnerv", "--size", "60k", "--epochs", "1")
    summary(nervplay, small_clip, tmp_path / "a.nerv", *sized, "--convolutions", "low-rank:all:rho=0.1")
    thin = peek_nerv(tmp_path / "a.nerv")
    assert thin.weight_count == pytest.approx(60_000, rel=0.1)
    summary(nervplay, small_clip, tmp_path / "b.nerv", *sized)
    assert thin.config["channels"] > peek_nerv(tmp_path / "b.nerv").config["channels"]


def test_they_take_the_place_of_the_presets(nervplay: Any, small_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    summary(nervplay, small_clip, target, "--preset", "nerv-ghost-tiny", "--epochs", "1", "--convolutions", "binary:1-")
    assert peek_nerv(target).config["convolutions"] == [{"stage": 1, "kind": "binary", "rho": None}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "hnerv-tiny", "--convolutions", "ghost:7"], "name stage 7; the stages of this network are 0 to"),
        (["--preset", "hinerv-tiny", "--convolutions", "ghost:0"], "hinerv has no stages of dense convolutions"),
        (["--preset", "srnerv-tiny", "--convolutions", "ghost:0"], "take one of dnerv, e-nerv, ffnerv"),
        (["--preset", "snerv-t-tiny", "--convolutions", "ghost:all"], "3-D convolutions are dense only"),
        (["--arch", "hnerv", "--size", "60k", "--convolutions", "goat:all"], "did you mean ghost"),
        (["--convolutions", "ghost:all"], "no network chosen"),
    ],
)
def test_refused_before_the_work(
    nervplay: Any, small_clip: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    ran = nervplay("encode", small_clip, tmp_path / "a.nerv", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.error
    assert list(tmp_path.iterdir()) == []
