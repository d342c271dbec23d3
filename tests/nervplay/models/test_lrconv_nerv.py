"""LRConv-NeRV against table 3 (GFLOPs) and figure 5 (parameters) of its paper, arXiv 2603.18261."""

from dataclasses import replace
from math import floor

import pytest

from nervplay.blocks.conv_kinds import StageConv
from nervplay.models import resolve_preset
from nervplay.models.cost import measure_cost

STEM_GFLOPS = 2 * (80 * 512 + 512 * 9 * 16 * 26) / 1e9
"""The two linear layers of NeRV-S."""


@pytest.mark.parametrize(
    ("stages", "parameters", "gflops", "printed_parameters", "printed_gflops"),
    [
        ("l4", 2_904_689, 64.9265, "2.90", "64.92"),
        ("l3-4", 2_607_473, 30.6872, "2.61", "30.68"),
        ("l2-4", 2_310_257, 22.1274, "2.31", "22.12"),
        ("l1-4", 2_229_011, 21.5424, "2.23", "21.54"),
        ("l0-4", 2_091_107, 21.5027, "2.09", "21.50"),
    ],
)
def test_the_papers_figures(
    stages: str, parameters: int, gflops: float, printed_parameters: str, printed_gflops: str
) -> None:
    entry, preset = resolve_preset(f"nerv-lrconv-{stages}")
    cost = measure_cost(entry.name, preset.configure(1280, 720, 132))
    assert cost.parameters == parameters
    assert cost.gflops == pytest.approx(gflops, abs=5e-5)
    assert f"{cost.parameters / 1e6:.2f}" == printed_parameters
    # Table 3 cuts off what we count; rounding gives its digits only where the stem is left out.
    assert f"{floor(100 * cost.gflops) / 100:.2f}" == printed_gflops
    assert f"{cost.gflops - STEM_GFLOPS:.2f}" == printed_gflops
    assert preset.expected["parameters"] == pytest.approx(1e6 * float(printed_parameters))
    assert preset.expected["gflops"] == float(printed_gflops)


def test_the_text_rounds_with_the_stem_and_saves_9_28_percent() -> None:
    entry, preset = resolve_preset("nerv-lrconv-l4")
    cost = measure_cost(entry.name, preset.configure(1280, 720, 132))
    assert f"{cost.gflops:.2f}" == "64.93"
    dense = measure_cost(entry.name, replace(preset.configure(1280, 720, 132), convolutions=()))
    assert (f"{dense.gflops:.5f}", dense.parameters) == ("201.88365", 3_201_905)
    assert f"{100 * (1 - cost.parameters / dense.parameters):.2f}" == "9.28"


def test_ranks_and_stages() -> None:
    entry, preset = resolve_preset("nerv-lrconv-l0-4")
    config = preset.configure(1280, 720, 132)
    assert config.convolutions == tuple(StageConv(stage=i, kind="low-rank", rho=0.25) for i in range(5))
    model = entry.model(config)
    assert [stage.conv[0].out_channels for stage in model.stages] == [7, 7, 24, 24, 24]
    two = resolve_preset("nerv-lrconv-l3-4")[1].configure(1280, 720, 132)
    assert [choice.stage for choice in two.convolutions] == [3, 4]
