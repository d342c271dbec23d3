import pytest
import torch

from nervplay.models import build_model, get_architecture, resolve_preset
from nervplay.models.cost import count_parameters, measure_cost


@pytest.mark.parametrize(
    ("name", "parameters", "embedding", "gflops"),
    [
        ("nerv-s", 3_201_905, 0, 201.883650176),
        ("nerv-m", 6_282_001, 0, None),
        ("nerv-l", 12_524_563, 0, None),
        ("hnerv-0.35m-640x1280", 312_503 + 327 + 16_896, 16_896, 2 * (7.414635648 - 1.556250752)),
        ("hnerv-0.75m-640x1280", 718_740 + 516 + 16_896, 16_896, 2 * (15.444666496 - 1.556250752)),
        ("hnerv-1.5m-640x1280", 1_487_517 + 759 + 16_896, 16_896, 2 * (30.394666656 - 1.556250752)),
        # The papers give 60.89 GMAC for HNeRV-3M: encoder 1.556 and decoder 59.336 together.
        ("hnerv-3m-640x1280", 3_011_603 + 1_083 + 16_896, 16_896, 2 * (60.892400968 - 1.556250752)),
        ("hnerv-nerv-1.5m-640x1280", 1_507_868, 0, None),
    ],
)
def test_the_papers_figures(name: str, parameters: int, embedding: int, gflops: float | None) -> None:
    entry, preset = resolve_preset(name)
    assert preset.size is not None
    cost = measure_cost(entry.name, preset.configure(*preset.size, 132))
    assert (cost.parameters, cost.embedding_values) == (parameters, embedding)
    if gflops is not None:
        assert cost.gflops == pytest.approx(gflops, abs=1e-9)
    assert preset.expected["parameters"] == cost.parameters
    assert preset.expected["gflops"] == pytest.approx(cost.gflops, abs=6e-4)


def test_the_largest_activation_is_that_of_the_last_convolution() -> None:
    entry, preset = resolve_preset("nerv-s")
    assert measure_cost(entry.name, preset.configure(1280, 720, 132)).largest_activation == 96 * 720 * 1280


def test_transposed_convolutions_count_by_their_input() -> None:
    entry = get_architecture("nerv")
    sizes = {
        "width": 8,
        "height": 4,
        "frame_count": 2,
        "grid": (2, 4),
        "channels": 4,
        "strides": (2,),
        "lower_width": 4,
    }
    config = entry.config(**sizes, upsampling="deconv", encoding_levels=3, stem_width=5)
    macs = 6 * 5 + 5 * 32 + 8 * 4 * 4 * 4 + 32 * 4 * 3
    assert measure_cost("nerv", config).gflops == pytest.approx(2 * macs / 1e9)


def test_the_encoder_does_not_count_and_nothing_is_drawn() -> None:
    config = get_architecture("hnerv").presets["tiny"].configure(64, 64, 3)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    cost = measure_cost("hnerv", config)
    assert torch.equal(before, torch.random.get_rng_state())
    model = build_model("hnerv", config, encoder=True)
    assert count_parameters(model) == cost.parameters
    assert cost.parameters == sum(value.numel() for value in model.stored_state().values())


def test_shared_weights_count_once() -> None:
    model = build_model("hnerv", get_architecture("hnerv").presets["tiny"].configure(64, 64, 3))
    before = count_parameters(model)
    model.stages[1].conv.weight = model.stages[0].conv.weight
    assert count_parameters(model) < before
