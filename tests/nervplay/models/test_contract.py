"""What every architecture keeps, asked of its preset "tiny": the contract in `nervplay.models.base.VideoModel`."""

import json

import pytest
import torch
from torch import Tensor

from nervplay.errors import CapabilityError, FrameIndexError, UsageError
from nervplay.models import ModelConfig, VideoModel, architecture_names, build_model, get_architecture

WIDTH, HEIGHT, FRAMES = 64, 48, 5

pytestmark = pytest.mark.parametrize("name", architecture_names())


def configure(name: str) -> ModelConfig:
    return get_architecture(name).presets["tiny"].configure(WIDTH, HEIGHT, FRAMES)


def build(name: str, *, encoder: bool = False) -> VideoModel:
    torch.manual_seed(7)
    return build_model(name, configure(name), encoder=encoder)


def source() -> tuple[Tensor, Tensor]:
    """All frames of a clip: indices (T,) and smooth pictures (T, 3, H, W) that move."""
    index = torch.arange(FRAMES)
    rows, columns = torch.linspace(0, 3, HEIGHT), torch.linspace(0, 4, WIDTH)
    phase = (
        rows[None, None, :, None] + columns + 0.4 * index[:, None, None, None] + torch.arange(3)[None, :, None, None]
    )
    return index, torch.sin(phase) * 0.4 + 0.5


def fitted(name: str) -> VideoModel:
    model = build(name, encoder=True)
    index, frames = source()
    model.store_embeddings(index, frames[model.source_index(index)])
    return model.eval()


@torch.no_grad()
def test_frames_come_out(name: str) -> None:
    frames = fitted(name)(torch.tensor([4, 0, 4]))
    assert frames.shape == (3, 3, HEIGHT, WIDTH)
    assert frames.dtype == torch.float32
    assert 0 <= frames.min() <= frames.max() <= 1
    assert torch.equal(frames[0], frames[2])
    assert not torch.equal(frames[0], frames[1]), "the index matters"


@torch.no_grad()
def test_positions_between_frames(name: str) -> None:
    model = fitted(name)
    whole = torch.tensor([4.0, 0.0, 3.0], dtype=torch.float64)
    if not model.continuous_time:
        with pytest.raises(CapabilityError, match="one embedding per frame"):
            model.at_position(whole)
        return
    torch.testing.assert_close(model.at_position(whole), model(whole.long()), atol=1e-5, rtol=0)
    between = model.at_position(torch.tensor([3.5], dtype=torch.float64))[0]
    frames = model(torch.tensor([3, 4]))
    assert between.shape == frames[0].shape
    assert not torch.equal(between, frames[0])
    assert not torch.equal(between, frames[1])


@pytest.mark.parametrize("index", [-1, FRAMES, 10**12])
def test_an_index_outside_the_clip(name: str, index: int) -> None:
    with pytest.raises(FrameIndexError, match=f"0 to {FRAMES - 1}"):
        build(name).check_index(index)


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=pytest.mark.cuda)])
@torch.no_grad()
def test_a_network_moves_to_another_device(name: str, device: str) -> None:
    """Nothing in it stays behind: no table or constant is kept outside of parameters and buffers."""
    moved = fitted(name).to(device)
    frames = moved(torch.tensor([1, 0], device=device))
    assert (frames.device.type, frames.shape) == (device, (2, 3, HEIGHT, WIDTH))
    if device != "meta":
        torch.testing.assert_close(frames.cpu(), fitted(name)(torch.tensor([1, 0])), atol=1e-3, rtol=0)


@torch.no_grad()
def test_a_batch_is_its_frames_one_by_one(name: str) -> None:
    model = fitted(name)
    together = model(torch.arange(FRAMES))
    alone = torch.cat([model(torch.tensor([i])) for i in range(FRAMES)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert torch.equal(alone[1:2], model(torch.tensor([1]))), "the same index gives the same frame"


def test_a_seed_gives_the_same_network(name: str) -> None:
    first, second = build(name, encoder=True).state_dict(), build(name, encoder=True).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_config_comes_back_from_json(name: str) -> None:
    config = configure(name)
    assert type(config).from_config(json.loads(json.dumps(config.to_config()))) == config
    with pytest.raises(UsageError, match="nonsense"):
        type(config).from_config(config.to_config() | {"nonsense": 1})


@torch.no_grad()
def test_weights_go_through_the_meta_device_and_back(name: str) -> None:
    model = fitted(name)
    with torch.device("meta"):
        copy = build_model(name, configure(name))
    copy.to_empty(device="cpu")
    copy.load_stored_state(model.stored_state())
    index = torch.arange(FRAMES)
    assert torch.equal(copy.eval()(index), model(index))


def test_stored_state_has_no_encoder_and_a_fixed_order(name: str) -> None:
    with_encoder, without = build(name, encoder=True), build(name)
    assert list(with_encoder.stored_state()) == list(without.stored_state())
    assert not [key for key in with_encoder.stored_state() if key.startswith("encoder")]
    assert without.encoder is None
    for key in without.embedding_names:
        assert without.stored_state()[key].shape[0] == FRAMES


def test_wrong_weights_are_named(name: str) -> None:
    model = build(name)
    state = model.stored_state()
    key = list(state)[-1]
    with pytest.raises(UsageError, match=f"lack the tensor '{key}'"):
        model.load_stored_state({k: v for k, v in state.items() if k != key})
    with pytest.raises(UsageError, match=f"'{key}' has shape"):
        model.load_stored_state(state | {key: torch.zeros(1, 2, 3, 4, 5)})
    with pytest.raises(UsageError, match="'nonsense'"):
        model.load_stored_state(state | {"nonsense": torch.zeros(1)})


def test_a_few_steps_lower_the_loss(name: str) -> None:
    model = build(name, encoder=True).train()
    index, frames = source()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        pairs = model.training_pairs(index, frames[model.source_index(index)])
        assert pairs[-1].prediction.shape == frames.shape
        assert torch.equal(pairs[-1].target, frames)
        loss = torch.stack([pair.weight * (pair.prediction - pair.target).square().mean() for pair in pairs]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is not None for p in model.parameters()), "every weight takes part"


def test_gradients_do_not_depend_on_the_memory_layout(name: str) -> None:
    """`--speed fast` lays weights and frames with their channels last; a layer with a wrong gradient shows here."""
    index, frames = source()
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model = build(name, encoder=True).train()
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=layout)
        seen = frames[model.source_index(index[2:3])]
        seen = seen.contiguous(memory_format=layout) if seen.ndim == 4 else seen
        pairs = model.training_pairs(index[2:3], seen)
        torch.stack([(pair.prediction - pair.target).square().mean() for pair in pairs]).sum().backward()
        gradients.append([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    plain, last = (torch.cat(parts) for parts in gradients)
    assert (plain - last).norm() < 1e-4 * plain.norm()


@torch.no_grad()
def test_stored_embeddings_decode_to_what_training_predicts(name: str) -> None:
    model = fitted(name)
    index, frames = source()
    predicted = model.training_pairs(index, frames[model.source_index(index)])[-1].prediction
    torch.testing.assert_close(model(index), predicted, atol=1e-5, rtol=0)
    state = model.stored_state()
    order = torch.tensor([3, 1])
    model.store_embeddings(order, frames[model.source_index(order)])
    after = model.stored_state()
    for key in state:
        torch.testing.assert_close(after[key], state[key], atol=1e-5, rtol=0)
