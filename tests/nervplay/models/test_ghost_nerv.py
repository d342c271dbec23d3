"""Ghost-NeRV v1 and v2 against the figures that LRConv-NeRV prints of them, arXiv 2603.18261, table 3."""

import pytest

from nervplay.models import resolve_preset
from nervplay.models.cost import measure_cost

HEAD_GFLOPS = 2 * 96 * 3 * 1280 * 720 / 1e9
"""The 1x1 head of NeRV-S; the printed figures of v2 leave it out."""


@pytest.mark.parametrize(
    ("stages", "gflops", "printed"),
    [
        ("l4", 126.2387, 126.24),
        ("l3-4", 107.3275, 107.32),
        ("l2-4", 102.5997, 102.60),
        ("l1-4", 102.2886, 102.29),
        ("l0-4", 102.2676, 102.26),
    ],
)
def test_version_1_lies_within_a_hundredth(stages: str, gflops: float, printed: float) -> None:
    entry, preset = resolve_preset(f"nerv-ghost-{stages}")
    cost = measure_cost(entry.name, preset.configure(1280, 720, 132))
    assert cost.gflops == pytest.approx(gflops, abs=6e-5)
    assert abs(cost.gflops - printed) < 0.01
    assert preset.expected["gflops"] == printed


@pytest.mark.parametrize(
    ("stages", "gflops", "printed"),
    [
        ("l4", 142.9602, 142.96),
        ("l3-4", 128.3621, 128.36),
        ("l2-4", 124.7126, 124.71),
        ("l1-4", 124.4745, 124.47),
        ("l0-4", 124.4584, 124.46),
    ],
)
def test_version_2_without_the_head_rounds_to_the_printed_figures(stages: str, gflops: float, printed: float) -> None:
    entry, preset = resolve_preset(f"nerv-ghost-v2-{stages}")
    without_head = measure_cost(entry.name, preset.configure(1280, 720, 132)).gflops - HEAD_GFLOPS
    assert without_head == pytest.approx(gflops, abs=6e-5)
    assert round(without_head, 2) == printed
    assert preset.expected["gflops"] == printed
    assert "leaves out the head" in preset.paper
    assert preset.summary.endswith("of NeRV-S (published without the head)")


def test_parameters() -> None:
    """Half of the weights of L4 stay, 3x3 per ghost is added; the gate adds two rows of taps and a point-wise layer."""
    parameters = []
    for name in ("nerv-ghost-l4", "nerv-ghost-v2-l4"):
        entry, preset = resolve_preset(name)
        parameters.append(measure_cost(entry.name, preset.configure(1280, 720, 132)).parameters)
    assert parameters[0] == 3_201_905 - 9 * 96 * 192 + 9 * 192
    assert parameters[1] == parameters[0] + 6 * 96 + 96 * 384 + 384
