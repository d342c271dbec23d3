"""Binary-NeRV: what it stores. No published figure is claimed of it."""

from fractions import Fraction

import pytest
import torch

from nervplay.bitstream import QuantisedTensor, encode_nerv
from nervplay.codec import Precision, pack, quantise_model
from nervplay.models import VideoModel, resolve_preset
from nervplay.models.base import CoarseLayer
from nervplay.models.cost import measure_cost
from nervplay.video.spec import VideoSpec


def build(name: str) -> VideoModel:
    entry, preset = resolve_preset(name)
    torch.manual_seed(2)
    return entry.model(preset.configure(64, 48, 5)).eval()


@pytest.mark.parametrize("stages", ["l4", "l3-4", "l2-4", "l1-4", "l0-4"])
def test_it_costs_what_a_dense_network_costs_and_claims_nothing(stages: str) -> None:
    entry, preset = resolve_preset(f"nerv-binary-{stages}")
    cost = measure_cost(entry.name, preset.configure(1280, 720, 132))
    assert (cost.parameters, f"{cost.gflops:.5f}") == (3_201_905, "201.88365")
    assert not preset.expected
    assert "cannot be reproduced" in preset.paper
    assert "not reproducible" in preset.summary


def test_only_binary_stages_are_stored_in_one_bit() -> None:
    model = build("nerv-binary-tiny")
    names = [f"stages.{choice.stage}.conv.weight" for choice in model.config.convolutions]
    assert len(names) == 2
    assert model.stored_bits == dict.fromkeys(names, 1)
    assert build("nerv-tiny").stored_bits == {}
    assert not isinstance(model.stages[0], CoarseLayer)
    state, trained = model.stored_state(), model.state_dict()
    for name in state:
        assert torch.equal(state[name], trained[name]) == (name not in names)
    for channel in state[names[0]]:
        assert len(channel.abs().unique()) == 1
    assert list(state) == list(build("nerv-tiny").stored_state()), "the names of a dense network"


@pytest.mark.parametrize("bits", [3, 8, 32])
def test_binary_weights_are_stored_exactly_at_any_precision(bits: int) -> None:
    model = build("nerv-binary-tiny")
    stored, state = quantise_model(model, Precision(bits=bits)), model.stored_state()
    for name in model.stored_bits:
        tensor = stored[name]
        assert isinstance(tensor, QuantisedTensor)
        assert (tensor.bits, tensor.scale.shape) == (1, (len(state[name]), 1, 1, 1))
        assert torch.equal(torch.from_numpy(tensor.dequantise()), state[name])


def test_a_bit_per_weight_in_the_file() -> None:
    """Against dense stages of 8 bits a file loses 7 bits per binary weight and gains 8 bytes per output channel."""
    spec = VideoSpec(width=64, height=48, frame_count=5, rate=Fraction(25))
    sizes = [len(encode_nerv(pack(build(name), spec))) for name in ("nerv-tiny", "nerv-binary-tiny")]
    state, bits = build("nerv-binary-tiny").stored_state(), build("nerv-binary-tiny").stored_bits
    weights, channels = (sum(f(state[name]) for name in bits) for f in (torch.Tensor.numel, len))
    assert sizes[0] - sizes[1] == pytest.approx(weights * 7 / 8 - 8 * channels, rel=0.15)
