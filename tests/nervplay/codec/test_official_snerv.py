import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.codec import official_snerv
from nervplay.codec.official_snerv import open_snerv, open_snerv_quantised, parse_snerv, snerv_config
from nervplay.errors import CheckpointError, UsageError
from nervplay.models import snerv_t
from nervplay.models.snerv import PRESETS as B_PRESETS
from nervplay.models.snerv import SNeRV, rename_upstream_keys
from nervplay.models.snerv_t import PRESETS as T_PRESETS
from nervplay.models.snerv_t import SNeRVT
from nervplay.video.source import ArraySource

README = """CUDA_VISIBLE_DEVICES=0 python train_snerv.py  --outf exp_1 --data_path  data/bunny --vid bunny \\
    --model snerv \\
    --enc_strds 5 4 2 2 2 --dec_strds 5 4 2 2 2 \\
    --num_blocks 6 --fc_dim 111 \\
    --crop_list 640_1280 --data_split 1_1_1 --eval_freq 50 -e 300 \\
    --lr 0.001 --suffix SNeRV --emb_size 0"""
README_T = """python train_snerv_t.py --outf exp_1 --data_path  data/bunny --vid bunny --model snerv_t \\
    --enc_strds 5 4 2 2 2 --dec_strds 5 4 2 2 2 --num_blocks 6 --fc_dim 103 \\
    --crop_list 640_1280 --data_split 1_1_1 --eval_freq 50 -e 300 --lr 0.001 --suffix SNeRV_T --emb_size 20"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Tensors that every opening gives from now on, in place of a file."""
    tensors: dict[str, Tensor] = {}
    monkeypatch.setattr(official_snerv, "load_tensors", lambda _path: dict(tensors))
    return tensors


def golden_case(golden: Path, name: str) -> tuple[Path, str, dict[str, Any]]:
    folder = golden / name
    return folder, json.loads((folder / "config.json").read_text())["argv"], dict(np.load(folder / "io.npz"))


def test_the_official_readme_is_the_presets() -> None:
    size = (640, 1280)
    assert snerv_config(parse_snerv(README), 132, size) == B_PRESETS["3m-640x1280"].configure(1280, 640, 132)
    assert snerv_config(parse_snerv(README_T), 132, size) == T_PRESETS["3m-640x1280"].configure(1280, 640, 132)
    flat = README_T.replace("--model snerv_t", "--model snerv_t_2d")
    assert snerv_config(parse_snerv(flat), 132, size).to_config()["mixing"] == "2d"
    assert parse_snerv(README_T.replace("--model snerv_t", "")).model == "snerv_t", "the script's own default"


def test_without_fc_dim_the_official_rule_gives_the_width() -> None:
    words = README.replace("--fc_dim 111", "--modelsize 3.0")
    assert snerv_config(parse_snerv(words), 132, (640, 1280)).channels == 124
    narrow = snerv_config(parse_snerv(words.replace("--emb_size 0", "--emb_size 20")), 132, (640, 1280))
    assert narrow.channels < 124, "SNeRV-B counts a temporal code that it does not have"


def test_values_of_flags() -> None:
    words = README + " --ks 0_3_3 --num_blks 2_1 --reduce -1 --out_bias 0.5 --act leaky01 --enc_dim 24_0.1 --norm in"
    config = snerv_config(parse_snerv(words), 10, (640, 1280))
    plain = config.to_config()
    assert (plain["kernel_min"], plain["kernel_max"], config.encoder_blocks) == (3, 3, 2)
    assert (config.reduction, config.output, config.activation, config.norm) == (None, 0.5, "leaky01", "in")
    assert (config.encoder_width, config.embedding_channels) == (24, int(0.1 * 1.5e6 / 10 / 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--resize_list 320", "resized clips are not known"),
        ("--data_len 30", "cut the clip to that length"),
        ("--embed pe_1.25_40", "need --enc_strds, a convnext encoder and no --embed"),
        ("--conv_type conv pshuffel", "need --enc_strds, a convnext encoder"),
        ("--model snerv_t --emb_size 7", r"rows of the crop and emb_size must be one of 960 with 20"),
        ("--model hnerv", "invalid choice"),
    ],
)
def test_what_cannot_be_had_is_named(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        snerv_config(parse_snerv(f"{README} {change}"), 132, (640, 1280))


@torch.no_grad()
def test_golden_quantised_b(golden: Path, trusted: None) -> None:
    folder, arguments, io = golden_case(golden, "snerv_b_tiny")
    quantised = open_snerv_quantised(folder / "quant_vid.pth", arguments)
    raw = official_snerv.load_tensors(folder / "quant_vid.pth")
    assert quantised.architecture == "snerv"
    np.testing.assert_array_equal(quantised.tensors["norm"].codes.ravel(), raw["norm/quant"])
    np.testing.assert_array_equal(
        quantised.tensors["spectrum.fusion.join_fine.enter.weight"].codes, raw["model/decoder.12.main.0.weight/quant"]
    )
    bits = (
        quantised.tensors["norm"].bits,
        quantised.tensors["embedding"].bits,
        quantised.tensors["stem.conv.bias"].bits,
    )
    assert bits == (6, 6, 8)
    model = open_snerv(folder / "quant_vid.pth", arguments)
    assert list(quantised.tensors) == list(model.stored_state())
    np.testing.assert_allclose(model.get_buffer("norm").flatten(), io["norm_dequant_all"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io["out_quant"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_golden_quantised_t(golden: Path, trusted: None) -> None:
    folder, arguments, io = golden_case(golden, "snerv_t_tiny")
    model = open_snerv(folder / "quant_vid.pth", arguments)
    assert isinstance(model, SNeRVT)
    np.testing.assert_allclose(model.temporal, io["temp_dequant_all"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io["out_quant"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_golden_checkpoint_with_its_clip(golden: Path, trusted: None) -> None:
    folder, arguments, io = golden_case(golden, "snerv_b_tiny")
    state = torch.random.get_rng_state()
    model = open_snerv(folder / "checkpoint.pth", arguments, ArraySource(io["input_u8"]))
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(model, SNeRV)
    assert not model.training
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(model.norm.flatten(), io["norm_all"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(model(torch.arange(4)), io["out"], atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match="holds no embeddings; give the clip"):
        open_snerv(folder / "checkpoint.pth", arguments)


def parameters_of(golden: Path, name: str) -> list[str]:
    """Return the official names of all weights of a golden network, encoders included."""
    return list(json.loads((golden / name / "config.json").read_text())["derived"]["params"])


@torch.no_grad()
def test_a_checkpoint_of_t_reads_neighbours_and_crops(golden: Path, quick: dict[str, Tensor]) -> None:
    arguments = "--model snerv_t --enc_strds 5 3 2 2 2 --dec_strds 5 3 2 2 2 --fc_dim 3 --lower_width 2 --num_blocks 2 "
    arguments += "--enc_dim 4_2 --crop_list 480_960 --emb_size 10"
    flags = parse_snerv(arguments)
    config = snerv_config(flags, 3, (480, 960))
    torch.manual_seed(2)
    made = SNeRVT(config, encoder=True).eval()  # type: ignore[arg-type]  # --model says so
    for name, parameter in made.named_parameters():
        if name.endswith("scale"):
            torch.nn.init.normal_(parameter)
    names = snerv_t.rename_upstream_keys({name: name for name in parameters_of(golden, "snerv_t_tiny")})
    weights = made.state_dict()
    quick.update({f"state_dict/module.{theirs}": weights[ours] for ours, theirs in names.items()})
    clip = np.random.default_rng(0).integers(0, 256, (3, 482, 964, 3), dtype=np.uint8)
    clip[1:] //= 2
    model = open_snerv("x.pth", arguments, ArraySource(clip))
    assert isinstance(model, SNeRVT)
    index = torch.arange(3)
    frames = torch.from_numpy(clip[:, 1:481, 2:962]).permute(0, 3, 1, 2) / 255.0
    made.store_embeddings(index, frames[made.source_index(index)])
    for name in model.embedding_names:
        torch.testing.assert_close(model.get_buffer(name), made.get_buffer(name), atol=2e-5, rtol=0)
    torch.testing.assert_close(model(torch.tensor([1])), made(torch.tensor([1])), atol=1e-5, rtol=0)
    assert model.norm[2, 1] < 1.1 < model.norm[1, 1], "a bright neighbour widens the norm"


def leaf(name: str, shape: tuple[int, ...], value: int = 1, maps: tuple[int, ...] = ()) -> dict[str, Tensor]:
    return {
        f"{name}/quant": torch.full(shape, value, dtype=torch.uint8),
        f"{name}/min": torch.zeros(maps),
        f"{name}/scale": torch.ones(maps),
    }


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "'norm' has no fitting quant, min, scale"),
        (leaf("norm", (7,)), r"norm has shape \(7,\); 4 frames need \(8,\)"),
        (leaf("norm", (8,), maps=(8,)), "norm has shape"),
        (leaf("norm", (8,), 64), "'norm' has code 64, over 6 bits"),
        (leaf("norm", (8,)) | {"norm/min": torch.zeros(1)}, "not quantised as the official code does"),
        (leaf("norm", (8,)), "lack the tensor 'stem.conv.weight'"),
        (leaf("norm", (8,)) | leaf("model/blob", (3,)), "tensor 'blob' that the official network does not have"),
        (leaf("embed", (4, 8, 2)), r"must be \(T, C, h, w\)"),
    ],
)
def test_integers_that_do_not_fit_are_named(quick: dict[str, Tensor], tensors: dict[str, Tensor], message: str) -> None:
    quick.update(leaf("embed", (4, 8, 1, 2)) | tensors)
    arguments = "--enc_strds 4 3 2 2 2 --dec_strds 4 3 2 2 2 --num_blocks 2 --fc_dim 24 --emb_size 0 --enc_dim 32_8"
    with pytest.raises(CheckpointError, match=message):
        open_snerv_quantised("x.pth", arguments)


def test_a_norm_of_many_frames_has_a_map_of_its_own(quick: dict[str, Tensor], golden: Path) -> None:
    """Lists of more than 50 numbers get a float16 map of shape (1,)."""
    _, arguments, _ = golden_case(golden, "snerv_b_tiny")
    names = rename_upstream_keys({name: name for name in parameters_of(golden, "snerv_b_tiny")})
    stored = SNeRV(snerv_config(parse_snerv(arguments), 30, (192, 384))).stored_state()  # type: ignore[arg-type]
    for ours, theirs in names.items():
        if ours in stored:
            quick.update(leaf(f"model/{theirs}", tuple(stored[ours].shape)))
    quick.update(leaf("embed", (30, 8, 1, 2)) | leaf("norm", (60,), 5))
    quick["norm/min"], quick["norm/scale"] = torch.zeros(1).half(), torch.full((1,), 0.25).half()
    norm = open_snerv_quantised("x.pth", arguments).tensors["norm"]
    assert (norm.codes.shape, norm.minimum.shape) == ((30, 2), (1, 1))
    assert (norm.dequantise() == 1.25).all()
