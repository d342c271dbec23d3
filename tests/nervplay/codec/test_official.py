"""The front door: every golden checkpoint is known by the names in it, and opened by its own module."""

from pathlib import Path

import pytest
import torch

from nervplay.codec.official import family_of, open_official, open_quantised
from nervplay.errors import CheckpointError, MissingInputError

FAMILIES = {
    "nerv_a_90x160_readme_like/checkpoint.pth": "nerv",
    "nerv_a_90x160_readme_like/pruned_ratio0.4_lr0.pth": "nerv",
    "nerv_e_90x160_deconv/checkpoint.pth": "nerv",
    "enerv_a_90x160/checkpoint.pth": "e-nerv",
    "ffnerv_b_180x320_conv_fp32_sigmoid/checkpoint.pth": "ffnerv",
    "hnerv_a/checkpoint.pth": "hnerv",
    "hnerv_q/checkpoint_pruned10.pth": "hnerv",
    "hnerv_bunny_quant_vid/quant_vid.pth": "hnerv, quantised",
    "hnerv_boost_a/checkpoint.pth": "hnerv-boost",
    "snerv_b_tiny/checkpoint.pth": "snerv",
    "snerv_t_tiny/checkpoint.pth": "snerv",
    "snerv_t_tiny/quant_vid.pth": "snerv, quantised",
    "dnerv_tiny/checkpoint.pth": "pnerv",
    "pnerv_tiny2/checkpoint.pth": "pnerv",
    "bunny_xxs_q/bitstreams/Q6.zip": "hinerv",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_whose_a_file_is_shows_in_its_names(golden: Path, name: str) -> None:
    assert family_of(golden / name) == FAMILIES[name]


def test_wrappers_of_parallel_training_do_not_matter(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.decoder.0.conv.downconv.bias": torch.zeros(2)}}, tmp_path / "x.pth")
    assert family_of(tmp_path / "x.pth") == "hnerv"


def test_a_pickle_with_other_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.zeros(2)}}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"no official code.*layer1\.0\.conv1\.weight.*known are pnerv"):
        open_official(tmp_path / "resnet.pth", "")


def test_a_missing_file_and_one_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.pth"):
        family_of(tmp_path / "nowhere.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        open_quantised(tmp_path / "text.pth", "")


@pytest.mark.usefixtures("trusted")
def test_a_quantised_hnerv_goes_through_the_front_door(golden: Path) -> None:
    arguments = (
        "--crop_list 240_320 --conv_type convnext pshuffel --act gelu --norm none --enc_strds 5 4 2 2 --enc_dim 32_8 "
        "--dec_strds 5 4 2 2 --ks 0_1_5 --reduce 1.2 --modelsize 0.1 --lower_width 12"
    )
    quantised = open_quantised(golden / "hnerv_a" / "quant_vid.pth", arguments)
    assert quantised is not None
    assert quantised.architecture == "hnerv"
    assert quantised.config.frame_count == 4
    assert open_official(golden / "hnerv_a" / "quant_vid.pth", arguments).config == quantised.config
    assert open_quantised(golden / "hnerv_a" / "checkpoint.pth", arguments) is None, "floats have no integers"


@pytest.mark.usefixtures("trusted")
def test_an_e_nerv_goes_through_the_front_door(golden: Path) -> None:
    model = open_official(golden / "enerv_a_90x160" / "checkpoint.pth", "--frames 7")
    assert model.architecture == "e-nerv"
