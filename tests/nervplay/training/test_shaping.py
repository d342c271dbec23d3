"""Weights come to the network masked first, quantised then; parameters keep their values and get the gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nervplay.errors import UsageError
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.models.base import ModelConfig, TrainingPair
from nervplay.training import Phase, PhaseHooks
from nervplay.training.shaping import WeightShaping

PRUNE, COARSE = Phase(epochs=1, prune=0.5), Phase(epochs=1, bits=4)
Make = Callable[..., tuple[VideoModel, WeightShaping]]


def lower_half(model: VideoModel, share: float) -> dict[str, Tensor]:
    """Remove the first rows of the pictures."""
    mask = torch.ones_like(model.get_parameter("picture"), dtype=torch.bool)
    mask[:, :, : int(share * mask.shape[2])] = False
    return {"picture": mask}


@pytest.fixture
def make(plain: Any, plain_config: ModelConfig) -> Make:
    def build(**hooks: Any) -> tuple[VideoModel, WeightShaping]:
        torch.manual_seed(0)
        model = plain(plain_config, encoder=True)
        return model, WeightShaping(model, PhaseHooks(**hooks))

    return build


def picture_of(model: VideoModel) -> Tensor:
    weight: Any = model.picture
    return weight


def test_without_a_phase_nothing_is_between(make: Make) -> None:
    model, shaping = make()
    shaping.enter(None, begins=True)
    seen: list[VideoModel] = []
    shaping.pairs(lambda it: seen.append(it) or [])
    assert seen == [model]
    assert model.get_parameter("picture") is picture_of(model)


def test_masks_cut_weights_and_gradients_and_are_folded_at_the_end(make: Make) -> None:
    model, shaping = make(prune=lower_half)
    shaping.enter(PRUNE, begins=True)
    before = picture_of(model).detach().clone()
    (pair,) = shaping.pairs(lambda it: [TrainingPair(picture_of(it).sum((0, 1)), torch.zeros(1))])
    assert not pair.prediction[:24].any()
    assert pair.prediction[24:].all()
    pair.prediction.sum().backward()
    assert not picture_of(model).grad[:, :, :24].any()
    assert (picture_of(model).grad[:, :, 24:] == 1).all()
    assert torch.equal(picture_of(model), before), "only what the network sees is masked"
    shaping.fold()
    assert not picture_of(model)[:, :, :24].any()
    assert torch.equal(picture_of(model)[:, :, 24:], before[:, :, 24:])


def test_a_second_pruning_sees_zeros_and_keeps_them(make: Make) -> None:
    seen: list[Tensor] = []

    def prune(model: VideoModel, share: float) -> dict[str, Tensor]:
        seen.append(picture_of(model).detach().clone())
        mask = torch.ones_like(seen[0], dtype=torch.bool)
        mask[len(seen)] = False
        return {"picture": mask}

    _, shaping = make(prune=prune)
    shaping.enter(PRUNE, begins=True)
    shaping.enter(PRUNE, begins=True)
    assert seen[0][1].all()
    assert not seen[1][1].any()
    assert (~shaping.masks["picture"]).flatten(1).all(1).tolist() == [False, True, True, False, False, False]


def test_the_hook_gets_masked_stored_weights_of_two_dimensions(make: Make) -> None:
    asked: dict[str, Tensor] = {}

    def quantise(name: str, weight: Tensor, phase: Phase) -> Tensor:
        assert phase is COARSE
        asked[name] = weight
        return weight * 0 + 0.5

    _, shaping = make(prune=lower_half, quantise=quantise)
    shaping.enter(PRUNE, begins=True)
    shaping.enter(COARSE, begins=True)
    (pair,) = shaping.pairs(lambda it: [TrainingPair(picture_of(it) * 1, torch.zeros(1))])
    assert (pair.prediction == 0.5).all()
    assert list(asked) == ["picture"], "neither the encoder nor vectors"
    assert not asked["picture"][:, :, :24].any(), "the masks of an earlier phase hold"
    shaping.enter(None, begins=True)
    (pair,) = shaping.pairs(lambda it: [TrainingPair(picture_of(it) * 1, torch.zeros(1))])
    assert not (pair.prediction == 0.5).any()


@pytest.mark.parametrize("preset", ["nerv-tiny", "nerv-binary-tiny"])
def test_weights_are_quantised_in_the_order_of_the_file(preset: str) -> None:
    """Random numbers of the hook fall in that order; weights that are coarse by themselves are left out."""
    architecture, found = resolve_preset(preset)
    model = build_model(architecture.name, found.configure(64, 48, 6))
    asked: list[str] = []
    shaping = WeightShaping(model, PhaseHooks(quantise=lambda name, weight, _: asked.append(name) or weight))
    shaping.enter(COARSE, begins=True)
    shaping.pairs(lambda it: it.training_pairs(torch.tensor([0]), torch.zeros(1, 3, 48, 64)))
    assert asked == [name for name, p in model.named_parameters() if p.ndim > 1 and name not in model.stored_bits]
    assert len(asked) >= 3


def test_a_resumed_phase_does_not_prune_again(make: Make) -> None:
    _, shaping = make(prune=lambda *_: pytest.fail("pruned twice"))
    shaping.enter(PRUNE, begins=False)
    assert not shaping.masks


def test_pruning_without_a_hook_is_refused(make: Make) -> None:
    _, shaping = make()
    with pytest.raises(UsageError, match=r"prunes 0\.5 of the weights; give the fit PhaseHooks"):
        shaping.enter(PRUNE, begins=True)


@pytest.mark.parametrize(
    "masks",
    [
        {"picture": torch.ones(6, 3, 48, 64)},
        {"picture": torch.ones(6, 3, 48, 63, dtype=torch.bool)},
        {"pictures": torch.ones(6, 3, 48, 64, dtype=torch.bool)},
    ],
)
def test_masks_that_fit_nothing_are_refused(make: Make, masks: dict[str, Tensor]) -> None:
    _, shaping = make(prune=lambda *_: masks)
    with pytest.raises(UsageError, match=f"mask '{next(iter(masks))}' of .* fits no parameter"):
        shaping.enter(PRUNE, begins=True)
