import json
from pathlib import Path

import pytest

from nervplay.codec.official_arguments import hnerv_config, nerv_config, parse_hnerv, parse_nerv
from nervplay.errors import GeometryError, UsageError
from nervplay.models.hnerv import PRESETS as HNERV_PRESETS
from nervplay.models.nerv import PRESETS as NERV_PRESETS

NERV_README = """python train_nerv.py -e 300   --lower-width 96 --num-blocks 1 --dataset bunny --frame_gap 1 \\
    --outf bunny_ab --embed 1.25_40 --stem_dim_num 512_1  --reduction 2  --fc_hw_dim 9_16_26 --expansion 1  \\
    --single_res --loss Fusion6   --warmup 0.2 --lr_type cosine  --strides 5 2 2 2 2  --conv_type conv \\
    -b 1  --lr 0.0005 --norm none --act swish """
HNERV_README = """python train_nerv_all.py  --outf 1120  --data_path data/bunny --vid bunny   \\
   --conv_type convnext pshuffel --act gelu --norm none  --crop_list 640_1280  \\
    --resize_list -1 --loss L2  --enc_strds 5 4 4 2 2 --enc_dim 64_16 \\
    --dec_strds 5 4 4 2 2 --ks 0_1_5 --reduce 1.2   \\
    --modelsize 1.5  -e 300 --eval_freq 30  --lower_width 12 -b 2 --lr 0.001"""
HNERV_TIME = """--outf 1120 --data_path data/bunny --vid bunny --conv_type convnext pshuffel --act gelu --norm none
    --crop_list 640_1280 --resize_list -1 --loss L2 --embed pe_1.25_80 --fc_hw 8_16 --dec_strds 5 4 2 2 --ks 0_3_3
    --reduce 2 --modelsize 1.5 -e 300 --eval_freq 30 --lower_width 12 -b 2 --lr 0.001"""


def test_the_readme_of_nerv_is_nerv_s() -> None:
    assert nerv_config(parse_nerv(NERV_README), 132) == NERV_PRESETS["s"].configure(1280, 720, 132)


def test_the_readme_of_hnerv_is_the_papers_preset() -> None:
    assert hnerv_config(parse_hnerv(HNERV_README), 132) == HNERV_PRESETS["1.5m-640x1280"].configure(1280, 640, 132)


def test_the_nerv_baseline_of_hnerv() -> None:
    assert hnerv_config(parse_hnerv(HNERV_TIME), 132) == HNERV_PRESETS["nerv-1.5m-640x1280"].configure(1280, 640, 132)


def test_the_official_defaults_bite() -> None:
    nerv = nerv_config(parse_nerv(""), 10)
    assert (nerv.width, nerv.height, nerv.channels, nerv.stem_width) == (1920, 1080, 128, 1024)
    assert (nerv.expansion, nerv.lower_width, nerv.encoding_levels, nerv.activation) == (8.0, 32, 80, "gelu")
    assert not nerv.single_resolution
    hnerv = parse_hnerv("--enc_strds 5 3 2 2 2 --crop_list 480_960")
    config = hnerv_config(hnerv, 10)
    assert (config.kernel_min, config.kernel_max, config.lower_width) == (3, 3, 32)
    assert (hnerv.quant_model_bit, hnerv.quant_embed_bit) == (8, 6)


def test_values_of_nerv_flags() -> None:
    flags = "--embed none --sigmoid --lw 0.1 --stem 64_2 --conv_type deconv --norm in --fc_hw 2_3_8 --strides 2 2"
    config = nerv_config(parse_nerv(flags), 4)
    assert (config.encoding_levels, config.output, config.side_weight, config.stem_layers) == (0, "sigmoid", 0.1, 2)
    assert (config.upsampling, config.norm, config.grid, config.channels) == ("deconv", "in", (2, 3), 8)


def test_values_of_hnerv_flags() -> None:
    flags = "--enc_strds 4 2 --dec_strds 2 2 --ks 2_1_3 --conv_type conv pshuffel --num_blks 2_3 --out_bias 0.5 "
    config = hnerv_config(
        parse_hnerv(flags + "--crop_list -1 --enc_dim 24_0.1 --modelsize 0.05 --lower_width 4"), 5, (16, 24)
    )
    assert (config.encoder_kernel, config.kernel_min, config.kernel_max) == (2, 1, 3)
    assert (config.encoder_kind, config.encoder_width, config.encoder_blocks, config.decoder_blocks) == (
        "conv",
        24,
        2,
        3,
    )
    assert config.output == 0.5
    assert config.rearrangement == (2, 2)
    assert config.embedding_channels == int(0.1 * 50_000 / 5 / 6)


def test_the_stem_of_a_model_size_counts_nine_times_its_area() -> None:
    """E = 4 2 and D = 2 2 leave f = 2: C0 solves a C0**2 + 16 * 9 * f**2 C0 = 90000 - embeddings."""
    flags = parse_hnerv("--enc_strds 4 2 --dec_strds 2 2 --ks 0_1_3 --crop_list 16_24 --modelsize 0.09")
    channels = hnerv_config(flags, 5).channels
    a = 4 / 1.2 + 36 / 1.2**3
    b, size = 16 * 9 * 4, 90_000 - 16 * 2 * 3 * 5
    assert a * channels**2 + b * channels <= size < a * (channels + 1) ** 2 + b * (channels + 1)


@pytest.mark.parametrize(
    ("folder", "key"), [("hnerv_a", "argv"), ("hnerv_q", "argv"), ("hnerv_bunny_quant_vid", "flags")]
)
def test_widths_are_those_of_official_runs(folder: str, key: str, golden: Path) -> None:
    about = json.loads((golden / folder / "config.json").read_text())
    config = hnerv_config(parse_hnerv(about[key]), about["resolved_args"]["full_data_length"])
    assert config.channels == about["derived"]["fc_dim"]
    assert list(config.embedding_shape) == about["derived"]["embed_shape"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--num-blocks 2", "leaves the others unused"),
        ("--frame_gap 2", "evenly placed"),
        ("--vid 1 2", "whole clips"),
        ("--act sin", "invalid choice: 'sin'"),
        ("--depth 3", "unrecognized arguments: --depth 3"),
        ("--fc_hw_dim 9_16", "--fc_hw_dim 9_16 of the official arguments must be 3 numbers"),
        ("--strides two", "invalid int value"),
        ("--embed '1.25_40", "check quotes"),
        ("--embed 1.25_x", "must be 2 numbers"),
    ],
)
def test_nerv_flags_that_cannot_be(flags: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nerv_config(parse_nerv(flags), 10)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "either --enc_strds or --embed"),
        ("--enc_strds 5 4 --embed pe_1.25_80", "either --enc_strds or --embed"),
        ("--embed le_4", "either --enc_strds or --embed"),
        ("--enc_strds 5 --resize_list 480", "resized clips"),
        ("--enc_strds 5 --crop_list -1", "leaves the frame size open"),
        ("--enc_strds 5 --crop_list 480", "must be 2 numbers"),
        ("--enc_strds 5 4 4 2 2 --dec_strds 5 4 4 2 2 --reduce -1", "gives no width"),
        ("--enc_strds 5 4 4 2 2 --dec_strds 5 4 4 2 2 --modelsize 0.01", "gives no width"),
        ("--enc_strds 5 4 4 2 2 --dec_strds 5 4 4 2 2 --out_bias high", "must be 1 numbers"),
        ("--enc_strds 5 --conv_type convnext", "two words of --conv_type"),
        ("--lower-width 12", "unrecognized arguments"),
    ],
)
def test_hnerv_flags_that_cannot_be(flags: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hnerv_config(parse_hnerv(flags), 132)


def test_a_crop_that_does_not_fit_the_strides() -> None:
    with pytest.raises(GeometryError, match="not a multiple of 80"):
        hnerv_config(parse_hnerv("--enc_strds 5 4 4 --dec_strds 5 4 4 --ks 0_1_5 --crop_list 100_160"), 10)
