"""Importance: it predicts what rounding does to the frames, and leaves the network alone."""

import numpy as np
import pytest
import torch

from nervplay.codec.fake_quantise import swapped
from nervplay.codec.importance import output_importance, spread_frames
from nervplay.codec.scale_search import picture_error, with_step
from nervplay.models import VideoModel, build_model, resolve_preset


def small(preset: str) -> VideoModel:
    entry, choice = resolve_preset(preset)
    torch.manual_seed(0)
    model = build_model(entry.name, choice.configure(64, 32, 5))
    model.load_stored_state({k: torch.randn_like(v) * 0.2 for k, v in model.stored_state().items()})
    return model.eval()


def test_frames_are_spread() -> None:
    assert spread_frames(132, 4) == [16, 49, 82, 115]
    assert spread_frames(3, 8) == [0, 1, 2]
    assert spread_frames(1, 4) == [0]


def test_a_known_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of frames that are linear in a weight the importance is the mean square of their derivative, exactly."""
    model = small("nerv-tiny")
    gain = torch.arange(6.0).reshape(1, 3, 1, 2)

    def forward(index: torch.Tensor) -> torch.Tensor:
        return model.head.bias[:, None, None] * gain * (1 + index[:, None, None, None])

    monkeypatch.setattr(model, "forward", forward)
    found = output_importance(model, [0, 2])
    per_channel = gain.square().sum((0, 2, 3)) / 6
    # two pixels of a channel meet with random signs: right in the mean, checked where one of them is 0
    assert found["head.bias"][0] == pytest.approx(float(per_channel[0]) * (1 + 9) / 2)
    assert not found["stem.0.weight"].any()


@pytest.mark.parametrize("preset", ["hnerv-tiny", "nerv-tiny", "ffnerv-tiny"])
def test_it_predicts_the_error_of_rounding(preset: str) -> None:
    model = small(preset)
    importance = output_importance(model, range(5), seed=1)
    state = {name: value.numpy() for name, value in model.stored_state().items()}
    rounded = {}
    for name, values in state.items():
        if name.endswith("weight") or name in model.embedding_names:
            rounded[name] = with_step(values, np.abs(values).max() / np.float32(127.5), 8)
    predicted = sum(picture_error(state[name], q, importance[name].numpy()) for name, q in rounded.items())
    index = torch.arange(5)
    with torch.no_grad():
        before = model(index)
        with swapped(model, {name: torch.from_numpy(q.dequantise()) for name, q in rounded.items()}):
            actual = float((model(index) - before).square().mean())
        assert torch.equal(model(index), before)
    assert predicted == pytest.approx(actual, rel=0.6)


def test_progress_is_told() -> None:
    told: list[int] = []
    output_importance(small("hnerv-tiny"), [1, 3], step=told.append)
    assert told == [1, 2]
