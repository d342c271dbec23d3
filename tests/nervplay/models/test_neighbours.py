"""The contract of `VideoModel` where the encoder reads neighbouring frames, and for PNeRV-M, where it does not."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nervplay.errors import UsageError
from nervplay.models import ModelConfig, build_model, get_architecture
from nervplay.models.dnerv import DNeRV
from nervplay.models.pnerv import PNeRV, PNeRVConfig

WIDTH, HEIGHT, FRAMES = 64, 48, 5

pytestmark = pytest.mark.parametrize("kind", ["dnerv", "pnerv", "pnerv-m", "pnerv-running"])


def configure(kind: str) -> ModelConfig:
    config: Any = get_architecture(kind.partition("-")[0]).presets["tiny"].configure(WIDTH, HEIGHT, FRAMES)
    if kind == "pnerv-m":
        assert isinstance(config, PNeRVConfig)
        return replace(config, difference_strides=())
    return replace(config, statistics="running") if kind == "pnerv-running" else config


def build(kind: str, *, encoder: bool = False) -> DNeRV | PNeRV:
    torch.manual_seed(7)
    model = build_model(kind.partition("-")[0], configure(kind), encoder=encoder)
    assert isinstance(model, DNeRV | PNeRV)
    return model


def source(model: DNeRV | PNeRV) -> tuple[Tensor, Tensor]:
    """All frames of a clip, smooth pictures that move, as `training_pairs` of this model takes them."""
    index = torch.arange(FRAMES)
    rows, columns = torch.linspace(0, 3, HEIGHT), torch.linspace(0, 4, WIDTH)
    colours = torch.arange(3)[None, :, None, None]
    phase = rows[None, None, :, None] + columns + 0.4 * index[:, None, None, None] + colours
    frames = torch.sin(phase) * 0.4 + 0.5
    return index, frames[model.source_index(index)]


def fitted(kind: str) -> DNeRV | PNeRV:
    model = build(kind, encoder=True)
    model.store_embeddings(*source(model))
    return model.eval()


def test_who_needs_neighbours(kind: str) -> None:
    model = build(kind)
    assert model.neighbours == (() if kind == "pnerv-m" else (-1, 1))
    wanted = [[0, 0, 1], [1, 0, 2], [4, 3, 4]] if model.neighbours else [0, 1, 4]
    assert model.source_index(torch.tensor([0, 1, 4])).tolist() == wanted
    assert len(model.embedding_names) == (1 if kind == "pnerv-m" else 2)
    for key in model.embedding_names:
        assert model.stored_state()[key].shape[0] == FRAMES


@torch.no_grad()
def test_decoding_needs_the_index_alone(kind: str) -> None:
    trained, plain = fitted(kind), build(kind).eval()
    assert plain.encoder is None
    plain.load_stored_state(trained.stored_state())
    together = plain(torch.arange(FRAMES))
    assert together.shape == (FRAMES, 3, HEIGHT, WIDTH)
    assert together.dtype == torch.float32
    assert 0 <= together.min() <= together.max() <= 1
    assert torch.equal(together, trained(torch.arange(FRAMES)))
    alone = torch.cat([plain(torch.tensor([i])) for i in range(FRAMES)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert not torch.equal(alone[0], alone[1]), "the index matters"


@torch.no_grad()
def test_stored_embeddings_decode_to_what_training_predicts(kind: str) -> None:
    model = fitted(kind)
    index, frames = source(model)
    predicted = model.training_pairs(index, frames)[-1].prediction
    torch.testing.assert_close(model(index), predicted, atol=1e-5, rtol=0)
    state = {name: value.clone() for name, value in model.stored_state().items()}
    order = torch.tensor([3, 1])
    model.store_embeddings(order, frames[order])
    for key, value in model.stored_state().items():
        torch.testing.assert_close(value, state[key], atol=1e-5, rtol=0)


def test_a_few_steps_lower_the_loss(kind: str) -> None:
    model = build(kind, encoder=True).train()
    index, frames = source(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        (pair,) = model.training_pairs(index, frames)
        assert torch.equal(pair.target, frames[:, 0] if model.neighbours else frames)
        loss = (pair.prediction - pair.target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is not None for p in model.parameters()), "every weight takes part"


@torch.no_grad()
def test_what_is_stored_of_a_frame_depends_on_its_neighbours(kind: str) -> None:
    model = fitted(kind)
    index, frames = source(model)
    if not model.neighbours:
        assert "difference_embedding" not in model.stored_state()
        return
    before = model.stored_state()["difference_embedding"].clone()
    frames[2, 2] += 0.1
    model.store_embeddings(index, frames)
    changed = (model.stored_state()["difference_embedding"] != before).flatten(1).any(1)
    assert changed.tolist() == [False, False, True, False, False]
    with pytest.raises(UsageError, match="have no neighbours"):
        model.store_embeddings(index, frames[:, 0])
    with pytest.raises(UsageError, match="have no neighbours"):
        model.training_pairs(index, frames[:, 0])


@torch.no_grad()
def test_weights_go_through_the_meta_device_and_back(kind: str) -> None:
    model = fitted(kind)
    with torch.device("meta"):
        copy = build(kind)
    copy.to_empty(device="cpu")
    copy.load_stored_state(model.stored_state())
    assert torch.equal(copy.eval()(torch.arange(FRAMES)), model(torch.arange(FRAMES)))


def test_the_config_comes_back_from_json(kind: str) -> None:
    config = configure(kind)
    assert type(config).from_config(json.loads(json.dumps(config.to_config()))) == config
    with pytest.raises(UsageError, match="nonsense"):
        type(config).from_config(config.to_config() | {"nonsense": 1})


def test_stored_state_has_no_encoder_and_a_fixed_order(kind: str) -> None:
    with_encoder = build(kind, encoder=True).stored_state()
    assert list(with_encoder) == list(build(kind).stored_state())
    assert not [key for key in with_encoder if key.startswith("encoder")]
