"""The two encoders: which differences, in which order; both kinds of blocks by hand."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.blocks.two_stream import EncoderStream, TwoStreamEncoder, difference_planes, source_index, upstream_rules
from nervplay.errors import UsageError


def test_differences_go_from_the_past_to_the_future_colour_by_colour() -> None:
    here = torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1)
    before = torch.tensor([0.125, 0.25, 0.0]).view(1, 3, 1, 1)
    after = torch.tensor([0.75, 1.0, 0.5]).view(1, 3, 1, 1)
    planes = difference_planes(torch.stack([here, before, after], 1))
    # R: 0.5 - 0.125, 0.75 - 0.5; G: 0.25 - 0.25, 1 - 0.25; B: 1 - 0, 0.5 - 1
    assert planes.flatten().tolist() == [0.375, 0.25, 0.0, 0.75, 1.0, -0.5]
    assert planes.shape == (1, 6, 1, 1)


def test_at_the_ends_of_the_clip_the_frame_is_its_own_neighbour() -> None:
    assert source_index(torch.tensor([2, 0, 3]), 4).tolist() == [[2, 1, 3], [0, 0, 1], [3, 2, 3]]
    assert source_index(torch.tensor([0]), 1).tolist() == [[0, 0, 0]]


def by_hand(state: dict[str, Tensor], x: Tensor, strides: tuple[int, ...], *, plain: bool) -> Tensor:
    def norm(x: Tensor, name: str) -> Tensor:
        mean = x.mean(1, keepdim=True)
        scaled = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return scaled * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    def conv(x: Tensor, name: str, **how: int) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **how)

    for k, stride in enumerate(strides):
        x = norm(conv(x, f"stages.{k}.conv", stride=stride), f"stages.{k}.norm")
        y = conv(x, f"stages.{k}.depthwise", padding=3, groups=x.shape[1])
        if not plain:
            y = norm(y, f"stages.{k}.block_norm")
        y = conv(F.gelu(conv(y, f"stages.{k}.expand")), f"stages.{k}.project")
        x = x + (y if plain else state[f"stages.{k}.scale"][:, None, None] * y)
    return conv(x, "projection")


@torch.no_grad()
@pytest.mark.parametrize("plain", [True, False])
def test_a_stream_is_what_its_head_says(plain: bool) -> None:
    torch.manual_seed(0)
    stream = EncoderStream(6, 5, plain=plain)
    for stride in (3, 2):
        stream.add_stage(stride)
        stream.set_projection(4)
    for parameter in stream.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.rand(2, 6, 12, 18) - 0.5
    embedding = stream(x)
    assert embedding.shape == (2, 4, 2, 3)
    torch.testing.assert_close(embedding, by_hand(stream.state_dict(), x, (3, 2), plain=plain), atol=2e-5, rtol=1e-4)


def test_a_plain_block_owns_no_norm_and_no_scale() -> None:
    stream = EncoderStream(3, 4, plain=True)
    stream.add_stage(2)
    assert not [name for name in stream.state_dict() if "block_norm" in name or "scale" in name]
    full = EncoderStream(3, 4, plain=False)
    full.add_stage(2)
    assert (full.state_dict()["stages.0.scale"] == 1e-6).all()


def streams(*, difference: bool) -> TwoStreamEncoder:
    content = EncoderStream(3, 4, plain=True)
    content.add_stage(4)
    content.set_projection(3)
    if not difference:
        return TwoStreamEncoder(content, None)
    other = EncoderStream(6, 4, plain=True)
    other.add_stage(2)
    other.set_projection(2)
    return TwoStreamEncoder(content, other)


@torch.no_grad()
def test_the_content_stream_reads_the_frame_itself() -> None:
    frames = torch.rand(2, 3, 3, 8, 12)
    encoder = streams(difference=True)
    content, difference = encoder(frames)
    assert (content.shape, difference.shape) == ((2, 3, 2, 3), (2, 2, 4, 6))
    torch.testing.assert_close(content, encoder.content(frames[:, 0]))
    (alone,) = streams(difference=False)(frames[:, 0])
    assert alone.shape == (2, 3, 2, 3)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 2, 3, 8, 12)])
def test_frames_without_neighbours_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"have no neighbours; give \(B, 3, 3, H, W\)"):
        streams(difference=True)(torch.zeros(shape))


def test_the_rules_name_three_places_per_stage() -> None:
    names = {
        "enc.0.weight": "encoder.content.stages.0.conv.weight",
        "enc.4.bias": "encoder.content.stages.1.norm.bias",
        "enc.5.gamma": "encoder.content.stages.1.scale",
        "enc.11.norm.bias": "encoder.content.stages.3.block_norm.bias",
        "enc.2.dwconv.weight": "encoder.content.stages.0.depthwise.weight",
        "enc.2.pwconv1.weight": "encoder.content.stages.0.expand.weight",
        "enc.8.pwconv2.bias": "encoder.content.stages.2.project.bias",
        "last.weight": "encoder.content.projection.weight",
    }
    rules = upstream_rules("content", stages="enc", projection="last")
    for official, ours in names.items():
        assert [re.sub(pattern, new, official) for pattern, new in rules if re.fullmatch(pattern, official)] == [ours]
