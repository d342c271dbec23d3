import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.codec.official_boost import boost_config, open_boost, parse_boost
from nervplay.errors import CheckpointError, UsageError
from nervplay.models.hnerv_boost import PRESETS, HNeRVBoost
from nervplay.video.source import ArraySource

BUNNY = """python train_nerv_all.py --outf regression --model HNeRV_Boost --sft_block res_sft --ch_t 32 \\
   --data_path ./dataset/bunny --vid bunny \\
   --optim_type Adan --conv_type convnext pshuffel_3x3 --act sin --norm none  --crop_list 720_1280 \\
   --resize_list -1 --loss Fusion10_freq --embed pe_1.25_80 --enc_strds 5 2 2 2 2 --enc_dim 64_16  \\
   --dec_strds 5 2 2 2 2 --ks 0_1_5 --reduce 1.2 --dec_blks 1 1 2 2 2 \\
   --modelsize 2.65 -e 300 --eval_freq 30  --lower_width 12 -b 1 --lr 0.003"""


def test_the_official_script_is_the_preset() -> None:
    config = boost_config(parse_boost(BUNNY), 132, (720, 1280))
    assert config == PRESETS["3m-720x1280"].configure(1280, 720, 132)


def test_official_defaults_bite() -> None:
    words = "--model HNeRV_Boost --sft_block res_sft --embed pe_1.25_80 --enc_strds 5 3 2 2 2 --modelsize 3"
    config = boost_config(parse_boost(words), 10, (480, 960))
    assert (config.kernel_min, config.kernel_max, config.lower_width, config.time_channels) == (3, 3, 32, 32)
    assert (config.activation, config.upsampling, config.decoder_blocks) == ("gelu", "pshuffel", (1,) * 5)


def test_values_of_flags() -> None:
    words = BUNNY + " --lfreq 2.5 --enc_blks 2 --fc_dim 9 --act gelu --out_bias sigmoid --reduce -1 --interpolation"
    config = boost_config(parse_boost(words), 131, (720, 1280))
    assert (config.time_frequency, config.encoder_blocks, config.channels) == (2.5, 2, 9)
    assert (config.activation, config.output, config.reduction) == ("gelu", "sigmoid", None)


def test_interpolation_halves_what_embeddings_take() -> None:
    widths = [
        boost_config(parse_boost(f"{BUNNY} --modelsize 0.64 {flag}"), 131, (720, 1280)).channels
        for flag in ("", "--interpolation")
    ]
    assert widths[1] > widths[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--model HNeRV", "only HNeRV_Boost is known"),
        ("--sft_block none", "res_sft only"),
        ("--embed ''", "need --embed pe_b_L"),
        ("--conv_type convnext", "two words of --conv_type"),
        ("--interpolation", "an odd number of frames"),
        ("--act ressin", "invalid choice"),
        ("--conv_type convnext deconv", "invalid choice"),
    ],
)
def test_what_cannot_be_had_is_named(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        boost_config(parse_boost(f"{BUNNY} {change}"), 132, (720, 1280))


def test_golden_checkpoint_with_its_clip(golden: Path, trusted: None) -> None:
    folder = golden / "hnerv_boost_a"
    about, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
    state = torch.random.get_rng_state()
    model = open_boost(folder / "checkpoint.pth", about["argv"], ArraySource(io["input_u8"]))
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(model, HNeRVBoost)
    assert not model.training
    assert model.config.channels == about["derived"]["fc_dim"]
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)
    model.time_code.copy_(torch.from_numpy(io["pe"]))  # see tests/nervplay/models/test_kin_parity.py
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-5, rtol=0)


def test_a_checkpoint_needs_its_clip_and_the_right_code(golden: Path, trusted: None, tmp_path: Path) -> None:
    arguments = json.loads((golden / "hnerv_boost_a" / "config.json").read_text())["argv"]
    with pytest.raises(UsageError, match="give the clip it was fitted to"):
        open_boost(golden / "hnerv_boost_a" / "checkpoint.pth", arguments)
    torch.save({"state_dict": {"decoder.0.conv.downconv.bias": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="is not of HNeRV_Boost"):
        open_boost(tmp_path / "other.pth", arguments)


def test_the_child_process_loads_it_too(golden: Path) -> None:
    folder = golden / "hnerv_boost_a"
    about, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
    with pytest.raises(UsageError, match="--frames 3 and the source's 4 frames differ"):
        open_boost(folder / "checkpoint.pth", about["argv"] + " --frames 3", ArraySource(io["input_u8"]))
