from typing import Any

import numpy as np
import pytest
import torch

from nervplay.codec.official_kin import (
    KinParser,
    embed_clip,
    fill_with_encoder,
    frame_size,
    output_map,
    solved_width,
)
from nervplay.codec.official_words import numbers, parse_words, whole_numbers
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models.snerv import SNeRV, SNeRVConfig
from nervplay.models.snerv_t import SNeRVT, SNeRVTConfig
from nervplay.video.source import ArraySource

SMALL: dict[str, Any] = {"width": 48, "height": 24, "frame_count": 4, "strides": (2, 3, 1), "encoder_strides": (3, 2)}
SMALL |= {"channels": 6, "embedding_channels": 4, "encoder_width": 5, "lower_width": 4, "residual_blocks": 1}
CLIP = np.random.default_rng(1).integers(0, 256, (4, 26, 52, 3), dtype=np.uint8)
CUT = CLIP[:, 1:25, 2:50]


def parser() -> KinParser:
    made = KinParser("--extra", "--switch", activations=["gelu"])
    made.add_argument("--dec_strds", type=int, nargs="+", default=[5, 4, 4, 2, 2])
    made.add_argument("--ks", default="0_1_5")
    made.add_argument("--lower_width", type=int, default=12)
    return made


def test_words_before_the_script_and_continuations_are_skipped() -> None:
    flags = parse_words(
        parser(), "CUDA_VISIBLE_DEVICES=0 python train.py --lr 1 \\\n  -b 2 --extra x --switch --out_bias .5"
    )
    assert (flags.batchSize, flags.extra, flags.switch, output_map(flags)) == ("2", "x", True, 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [("--nonsense 3", "--nonsense"), ("--act sin", "invalid choice: 'sin'"), ("--lr 'a", "do not split into words")],
)
def test_other_words_are_refused(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_words(parser(), words)


def test_numbers_joined_by_underscores() -> None:
    assert numbers("embed", "pe_1.25_80", 2) == [1.25, 80]
    assert whole_numbers("ks", "0_1_5", 2) == [1, 5]
    for value in ("1", "x_y", ""):
        with pytest.raises(UsageError, match="must be 2 numbers"):
            numbers("enc_dim", value, 2)


def test_the_crop_or_the_whole_frame() -> None:
    source = ArraySource(CLIP)
    assert frame_size(parse_words(parser(), "--crop_list 24_48_last"), source) == (24, 48)
    assert frame_size(parse_words(parser(), "--crop_list -1"), source) == (26, 52)
    with pytest.raises(UsageError, match="must be 2 numbers"):
        frame_size(parse_words(parser(), "--crop_list 24"), source)


def test_the_width_is_given_or_solved() -> None:
    strides = "--enc_strds 5 4 4 2 2 --modelsize 1.5"
    assert solved_width(parse_words(parser(), strides), 16, 16 * 2 * 4 * 132) == 68, "as the README of HNeRV has it"
    assert solved_width(parse_words(parser(), f"{strides} --fc_dim 7"), 16, 0) == 7
    with pytest.raises(UsageError, match="the official rule gives no width"):
        solved_width(parse_words(parser(), f"{strides} --reduce -1"), 16, 0)
    with pytest.raises(UsageError, match="the official rule gives no width"):
        solved_width(parse_words(parser(), f"{strides} --modelsize 0.01"), 16, 20_000)


def test_a_checkpoint_is_loaded_whole_or_its_fault_is_named() -> None:
    model = SNeRV(SNeRVConfig(**SMALL), encoder=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        state = SNeRV(SNeRVConfig(**SMALL), encoder=True).state_dict()
    for name in model.embedding_names:
        del state[name]
    fill_with_encoder(model, state)
    for name, value in state.items():
        assert torch.equal(model.state_dict()[name], value)
    with pytest.raises(CheckpointError, match=r"it lacks the tensor 'encoder.downsample.0.conv.bias'"):
        fill_with_encoder(model, {k: v for k, v in state.items() if k != "encoder.downsample.0.conv.bias"})
    with pytest.raises(CheckpointError, match="has a tensor that they do not know, 'blob'"):
        fill_with_encoder(model, state | {"blob": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"'stem.conv.bias' has shape \(9,\), they give \(6,\)"):
        fill_with_encoder(model, state | {"stem.conv.bias": torch.zeros(9)})


@torch.no_grad()
def test_embeddings_come_from_the_centre_of_the_clip() -> None:
    model = SNeRV(SNeRVConfig(**SMALL), encoder=True).eval()
    embed_clip(model, ArraySource(CLIP))
    stored = model.stored_state()
    model.store_embeddings(torch.arange(4), torch.from_numpy(CUT).permute(0, 3, 1, 2) / 255.0)
    for name in model.embedding_names:
        torch.testing.assert_close(stored[name], model.stored_state()[name], atol=1e-6, rtol=0)
    with pytest.raises(GeometryError, match="larger than"):
        embed_clip(model, ArraySource(CLIP[:, :20]))


@torch.no_grad()
def test_neighbours_come_in_one_pass() -> None:
    layout: dict[str, Any] = {"temporal_strides": (3, 2), "temporal_up": (2, 3)}
    model = SNeRVT(SNeRVTConfig(**SMALL, **layout), encoder=True).eval()
    embed_clip(model, ArraySource(CLIP))
    stored = {name: model.get_buffer(name).clone() for name in model.embedding_names}
    index = torch.arange(4)
    frames = torch.from_numpy(CUT).permute(0, 3, 1, 2) / 255.0
    model.store_embeddings(index, frames[model.source_index(index)])
    for name, value in stored.items():
        torch.testing.assert_close(value, model.get_buffer(name), atol=1e-5, rtol=0)
