"""`nervplay models`: the registry, counted, and held against the published figures."""

import json

import pytest

from app.cli.work.models import PresetFigures, measure_preset
from nervplay.models import architecture_names, get_architecture, preset_names

NOT_REPRODUCED = {
    "snerv-0.35m-640x1280",
    "snerv-1.5m-640x1280",
    "snerv-t-0.35m-640x1280",
    "snerv-t-0.75m-640x1280",
    "snerv-t-3m-640x1280",
    "snerv-t-3m-960x1920",
}
"""Figures that SNeRV's supplement prints and its official code does not give; the presets say so."""


def test_json_lists_every_preset(nervplay) -> None:
    ran = nervplay("models", "--json")
    assert (ran.code, ran.err) == (0, "")
    presets = json.loads(ran.out)["presets"]
    assert [preset["name"] for preset in presets] == preset_names()
    for preset in presets:
        if preset["expected"]:
            assert (preset["verdict"] == "match") == (preset["name"] not in NOT_REPRODUCED), preset["name"]


def test_table_has_a_row_per_preset(nervplay) -> None:
    rows = nervplay("models").out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == preset_names()


@pytest.mark.parametrize("name", architecture_names())
def test_one_architecture(nervplay, name: str) -> None:
    rows = nervplay("models", name).out.splitlines()[1:]
    assert {row.split()[0] for row in rows} == {f"{name}-{short}" for short in get_architecture(name).presets}


def test_one_preset_in_full(nervplay) -> None:
    out = nervplay("models", "hnerv-tiny").out
    assert out.startswith("hnerv-tiny\n")
    assert "recipe epochs" in out
    assert "network strides" in out


def test_unknown_name(nervplay) -> None:
    ran = nervplay("models", "hnerv-tini")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean hnerv-tiny" in ran.error


def figures(parameters: int, gflops: float, expected: dict[str, float]) -> PresetFigures:
    return measure_preset("hnerv-tiny")._replace(parameters=parameters, gflops=gflops, expected=expected)


@pytest.mark.parametrize(
    ("parameters", "gflops", "expected", "verdict"),
    [
        (1000, 5.0, {}, ""),
        (1000, 5.0, {"psnr_db": 30.0}, ""),
        (1000, 5.0, {"parameters": 1000, "gflops": 5.01}, "match"),
        (1000, 5.0, {"parameters": 1250, "gflops": 5.01}, "-20.0%"),
        (1000, 5.0, {"parameters": 1000, "gflops": 4.0}, "+25.0%"),
    ],
)
def test_verdict(parameters: int, gflops: float, expected: dict[str, float], verdict: str) -> None:
    assert figures(parameters, gflops, expected).verdict == verdict
