"""Official DNeRV and PNeRV command lines and YAML files become our configurations."""

from pathlib import Path
from typing import Any

import pytest

from nervplay.codec.official_pnerv_arguments import dnerv_config, parse_pnerv, pnerv_config
from nervplay.errors import GeometryError, MissingInputError, UnknownNameError, UsageError
from nervplay.models.dnerv import DNeRVConfig
from nervplay.models.pnerv import PNeRVConfig

DNERV: dict[str, Any] = {
    "model_name": "D_NeRV",
    "act": "gelu",
    "stride_list": [5, 4, 4, 3, 2],
    "kernel_list": [1, 3, 5, 5, 5],
    "padding_list": [0, 1, 2, 2, 2],
    "encoder_list": [5, 4, 4, 3, 2],
    "diff_enc_list": [4, 3, 2],
    "diff_dec_kernel": [3, 3, 3],
    "diff_dec_stride": [4],
    "diff_dec_padding": [1, 1, 1],
    "conv_type": "conv",
    "c1": 64,
    "d": 16,
    "c2": 92,
    "height": 960,
    "width": 1920,
}
PNERV: dict[str, Any] = {
    "model_name": "P_NeRV",
    "act": "gelu",
    "encoder_list": [5, 4, 4, 3, 2],
    "diff_enc_list": [4, 3, 2],
    "c1": 64,
    "d": 16,
    "kfc_h_w_c": [20, 40, 105],
    "kfc_stride": [2, 3, 2, 2, 2],
    "height": 960,
    "width": 1920,
}


def test_the_published_files_are_our_defaults() -> None:
    assert dnerv_config(DNERV, 50) == DNeRVConfig(width=1920, height=960, frame_count=50)
    assert pnerv_config(PNERV, 50) == PNeRVConfig(width=1920, height=960, frame_count=50)
    assert pnerv_config(PNERV, 50, "running").statistics == "running"
    assert not dnerv_config(DNERV, 50, plain_encoder=False).plain_encoder


def test_values_find_their_places() -> None:
    change = {"act": "swish", "conv_type": "bilinear", "c1": 10, "d": 4, "c2": 30, "diff_dec_kernel": [5]}
    change |= {"diff_dec_padding": [2], "kernel_list": [3, 3, 3, 3, 3, 9], "padding_list": [1, 1, 1, 1, 1]}
    config = dnerv_config(DNERV | change, 7)
    assert (config.activation, config.upsampling, config.encoder_width) == ("swish", "bilinear", 10)
    assert (config.embedding_channels, config.channels, config.difference_kernel) == (4, 30, 5)
    assert config.kernels == (3, 3, 3, 3, 3)
    long = {"encoder_list": [240, 2], "diff_enc_list": [4, 6, 5]}
    assert dnerv_config(DNERV | long, 7).difference_strides == (4, 6), "no more than the frame's stream has"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c2": None}, "DNeRVConfig.channels is None; it must be int"),
        ({"c2": 92.0}, "DNeRVConfig.channels is 92.0"),
        ({"act": "non"}, "must be one of relu, leaky"),
        ({"stride_list": [5, 4, 4, 6]}, r"stride_list is \[5, 4, 4, 6\] and .* runs 5 stages and 1"),
        ({"diff_dec_stride": [2, 2]}, r"diff_dec_stride \[2, 2\]; the official code runs 5 stages and 1"),
        ({"padding_list": [1, 1, 2, 2, 2]}, r"paddings \[1, 1, 2, 2, 2, 1\] of kernels"),
        ({"diff_dec_padding": [0]}, "change the frame size"),
        ({"encoder_list": 5}, "encoder_list of the official configuration is 5; it must list whole numbers"),
        ({"diff_enc_list": []}, r"diff_enc_list of the official configuration is \[\]"),
        ({"kernel_list": [1, 3, 5.0, 5, 5]}, "must list whole numbers"),
        ({"dropout": 1}, "unknown key of the official configuration 'dropout'"),
    ],
)
def test_what_cannot_be_had_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dnerv_config(DNERV | change, 7)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match=r"lacks model\.kfc_stride"):
        pnerv_config({key: value for key, value in PNERV.items() if key != "kfc_stride"}, 7)


def test_the_grid_must_be_that_of_the_frame() -> None:
    with pytest.raises(UsageError, match=r"kfc_h_w_c is \[10, 40, 105\]; .* give 20, 40"):
        pnerv_config(PNERV | {"kfc_h_w_c": [10, 40, 105]}, 7)
    with pytest.raises(GeometryError, match="height 961"):
        pnerv_config(PNERV | {"height": 961}, 7)


def test_a_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a file.yaml"
    path.write_text("seed: 5\nmodel:\n  model_name: D_NeRV\n  c1: 64\n")
    line = f"python -u main.py \\\n --cfg_path '{path}' --output_dir ./outputs/x --time_str 2024 --port 29500"
    assert parse_pnerv(line, Path("x.pth")) == ({"model_name": "D_NeRV", "c1": 64}, "frame")
    assert (
        parse_pnerv(f"--cfg_path '{path}' --statistics running --no_prox --opt_betas 1 2", Path("x.pth"))[1]
        == "running"
    )


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("", MissingInputError, r"cfg\.yaml does not exist .* or lay it as cfg.yaml beside the checkpoint"),
        ("--cfg_path nothing.yaml", MissingInputError, r"nothing\.yaml does not exist"),
        ("--cfg_path {} --fast", UsageError, "unrecognized arguments: --fast"),
        ("--cfg_path {} --statistics batch", UsageError, "invalid choice"),
        ("--cfg_path '{}", UsageError, "do not split into words"),
    ],
)
def test_command_lines_that_are_refused(tmp_path: Path, line: str, error: type[Exception], message: str) -> None:
    (tmp_path / "x.yaml").write_text("model:\n  c1: 64\n")
    with pytest.raises(error, match=message):
        parse_pnerv(line.replace("{}", str(tmp_path / "x.yaml")), tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"seed: 5\n", "has no section 'model'"),
        (b"model: 5\n", "has no section 'model'"),
        (b"\xff\xfe", "is no text"),
        (b"a: 1\n" * 300_000, "has over 1048576 bytes"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        parse_pnerv(f"--cfg_path {tmp_path / 'x.yaml'}", tmp_path / "x.pth")


def test_the_file_beside_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "cfg.yaml").write_text("model:\n  c1: 64\n")
    assert parse_pnerv("", tmp_path / "checkpoint.pth") == ({"c1": 64}, "frame")


def test_an_unknown_key_offers_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean kfc_stride"):
        pnerv_config(PNERV | {"kfc_strides": [1]}, 7)
