import numpy as np
import pytest
import torch

from nervplay.codec.official_network import fill_network, frame_count, plain_state
from nervplay.errors import CheckpointError, UsageError
from nervplay.models import build_model, get_architecture
from nervplay.video.source import ArraySource


def test_wrappers_go_and_masks_count() -> None:
    value, mask = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
    tensors = {
        "state_dict/module.a.blocks.0.weight_orig": value,
        "state_dict/module.a.blocks.0.weight_mask": mask,
        "state_dict/module.a.bias": value,
        "model/b.weight": value,
    }
    state = plain_state(tensors)
    assert set(state) == {"a.weight", "a.bias", "b.weight"}
    assert torch.equal(state["a.weight"], torch.tensor([0.0, 2.0]))
    assert torch.equal(state["a.bias"], value)


@pytest.mark.parametrize(
    "tensors",
    [
        {"a_orig": torch.ones(2)},
        {"a_mask": torch.ones(2)},
        {"a_orig": torch.ones(2), "a_mask": torch.ones(3)},
    ],
)
def test_half_a_pruned_weight_is_named(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"'a_(orig|mask)' is half of a pruned weight"):
        plain_state(tensors)


def test_the_number_of_frames_must_be_known_and_agree() -> None:
    source = ArraySource(np.zeros((7, 8, 8, 3), np.uint8))
    assert frame_count(None, source) == frame_count(7, source) == frame_count(7, None) == 7
    with pytest.raises(UsageError, match="--frames 3 and the source's 7 frames differ"):
        frame_count(3, source)
    with pytest.raises(UsageError, match="give --source or add --frames N"):
        frame_count(None, None)


def test_a_network_is_filled_without_drawing_numbers() -> None:
    config = get_architecture("nerv").presets["tiny"].configure(32, 32, 2)
    state = {name: torch.full_like(value, 0.5) for name, value in build_model("nerv", config).stored_state().items()}
    before = torch.random.get_rng_state()
    model = fill_network("nerv", config, {name: value.double() for name, value in state.items()})
    assert torch.equal(before, torch.random.get_rng_state())
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.stored_state().items())
    with pytest.raises(CheckpointError, match=r"does not fit .*: .*lack the tensor 'head\.bias'"):
        fill_network("nerv", config, {name: value for name, value in state.items() if name != "head.bias"})
