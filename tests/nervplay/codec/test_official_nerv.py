import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ffmpeg_bridge import open_source
from nervplay.codec import official_nerv as official
from nervplay.codec.official_nerv import open_hnerv_quantised, open_nerv
from nervplay.errors import CheckpointError, GeometryError, UsageError
from nervplay.models import VideoModel
from nervplay.models.hnerv import HNeRV
from nervplay.video.source import ArraySource
from nervplay.video.transform import FrameTransform

SMALL = Path(__file__).resolve().parents[2] / "golden"
NERV = json.loads((SMALL / "nerv_e" / "config.json").read_text())["arguments"]
HNERV = json.loads((SMALL / "hnerv_a" / "config.json").read_text())["arguments"]
QUANTISED = SMALL / "hnerv_a" / "quant_vid.pth"


def arrays(path: Path) -> dict[str, Any]:
    return dict(np.load(path))


def weights(folder: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays(SMALL / folder / "weights.npz").items()}


@torch.no_grad()
def decode(model: VideoModel, index: Any) -> Any:
    return model(torch.as_tensor(index)).numpy()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Tensors that every opening gives from now on, in place of a file; the loading itself has its own tests."""
    tensors: dict[str, Tensor] = {}
    monkeypatch.setattr(official, "load_tensors", lambda _path: dict(tensors))
    return tensors


@pytest.mark.usefixtures("trusted")
def test_a_pruned_checkpoint_of_several_gpus(tmp_path: Path) -> None:
    """Names with "module.", weights as X_orig and X_mask: the product counts, wherever the original has more."""
    state: dict[str, Tensor] = {}
    for name, value in weights("nerv_e").items():
        if name.startswith("stem") and name.endswith("weight"):
            mask = (value != 0).float()
            mask[0, :3] = 0
            state[f"module.{name}_orig"], state[f"module.{name}_mask"] = value, mask
        else:
            state[f"module.{name}"] = value
    torch.save({"epoch": 1, "state_dict": state, "optimizer": {}}, tmp_path / "model_latest.pth")
    model = open_nerv(tmp_path / "model_latest.pth", f"{NERV} --frames 5")
    assert model.config.frame_count == 5
    assert not model.training
    stored = model.stored_state()
    assert not stored["stem.0.weight"][0, :3].any()
    assert torch.equal(stored["stem.0.weight"][1:], state["module.stem.0.weight_orig"][1:])


def test_nerv_decodes_as_the_official_code(quick: dict[str, Tensor]) -> None:
    quick.update({f"state_dict/{name}": value for name, value in weights("nerv_e").items()})
    source = ArraySource(np.zeros((7, 90, 160, 3), np.uint8))
    model, io = open_nerv("x.pth", NERV, source), arrays(SMALL / "nerv_e" / "io.npz")
    out = decode(model, io["frame_index"][:2])[:, :, ::2, ::2]
    np.testing.assert_allclose(out, io["out_stride2"], atol=1e-5, rtol=0)


def test_quantised_hnerv_keeps_its_integers_and_decodes_as_the_official_code(trusted: None) -> None:
    quantised = open_hnerv_quantised(QUANTISED, HNERV)
    raw = official.load_tensors(QUANTISED)
    assert quantised.architecture == "hnerv"
    assert (quantised.tensors["embedding"].bits, quantised.tensors["head.bias"].bits) == (6, 8)
    np.testing.assert_array_equal(
        quantised.tensors["stages.1.conv.weight"].codes, raw["model/decoder.2.conv.upconv.0.weight/quant"]
    )
    np.testing.assert_array_equal(quantised.tensors["embedding"].codes, raw["embed/quant"])
    model = open_nerv(QUANTISED, HNERV)
    assert list(quantised.tensors) == list(model.stored_state())
    io = arrays(SMALL / "hnerv_a" / "io.npz")
    np.testing.assert_allclose(decode(model, range(4))[:, :, ::8, ::8], io["out_quant_stride8"], atol=1e-5, rtol=0)


def test_hnerv_weights_need_the_clip_and_crop_it(quick: dict[str, Tensor]) -> None:
    quick.update({f"state_dict/{name}": value for name, value in weights("hnerv_a").items()})
    io = arrays(SMALL / "hnerv_a" / "io.npz")
    with pytest.raises(UsageError, match=r"holds no embeddings; give the clip .*--source"):
        open_nerv("x.pth", f"{HNERV} --frames 4")
    wide = np.full((1, 244, 326, 3), 99, np.uint8)
    wide[:, 2:242, 3:323] = io["input_u8"]
    model = open_nerv("x.pth", HNERV.replace("--modelsize 0.1", "--modelsize 0.0997"), ArraySource(wide))
    assert isinstance(model, HNeRV)
    np.testing.assert_allclose(model.embedding[0], io["embed_all"][0], atol=2e-5, rtol=0)
    np.testing.assert_allclose(decode(model, [0])[:, :, ::8, ::8], io["out_stride8"], atol=1e-5, rtol=0)
    with pytest.raises(GeometryError, match="crop 320x240 is larger"):
        open_nerv("x.pth", HNERV, ArraySource(wide[:, :200]))


def test_hnerv_weights_with_time_input(quick: dict[str, Tensor]) -> None:
    arguments = (
        "--embed pe_1.25_4 --fc_hw 2_3 --dec_strds 2 2 --ks 0_1_3 --crop_list 8_12 --modelsize 0.002 --lower_width 4"
    )
    config = official.hnerv_config(official.parse_hnerv(arguments), 3)
    torch.manual_seed(0)
    state = HNeRV(config).stored_state()
    names = {"stem.conv": "decoder.0.conv.downconv", "stages.0.conv": "decoder.1.conv.upconv.0"}
    names |= {"stages.1.conv": "decoder.2.conv.upconv.0", "head": "head_layer"}
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            quick[f"state_dict/{theirs}.{part}"] = state[f"{ours}.{part}"]
    model = open_nerv("x.pth", f"{arguments} --frames 3")
    assert decode(model, [2]).shape == (1, 3, 8, 12)
    quick.clear()
    quick["embed/quant"], quick["embed/min"] = torch.zeros(3, 8, 1, 1, dtype=torch.uint8), torch.zeros(())
    quick["embed/scale"] = torch.zeros(())
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            leaf = f"model/{theirs}.{part}"
            quick[f"{leaf}/quant"] = torch.ones_like(state[f"{ours}.{part}"], dtype=torch.uint8)
            quick[f"{leaf}/min"], quick[f"{leaf}/scale"] = torch.tensor(-0.1), torch.tensor(0.01)
    quantised = open_hnerv_quantised("x.pth", arguments)
    assert "embedding" not in quantised.tensors
    assert quantised.config == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers.0.conv.conv.bias": None}, r"lack the tensor 'stages.0.conv.bias' of shape \(8,\)"),
        ({"layers.7.conv.conv.bias": torch.zeros(8)}, "'stages.7.conv.bias' that this nerv does not know"),
        ({"layers.0.conv.conv.bias": torch.zeros(9)}, r"'stages.0.conv.bias' has shape \(9,\); this nerv needs \(8,\)"),
        ({"blob": torch.zeros(9)}, "tensor 'blob' that the official network does not have"),
        ({"stem.0.weight_orig": torch.zeros(3)}, "'stem.0.weight_orig' is half of a pruned weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    quick: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    state = weights("nerv_e") | change
    quick.update({f"state_dict/{name}": value for name, value in state.items() if value is not None})
    with pytest.raises(CheckpointError, match=message):
        open_nerv("x.pth", f"{NERV} --frames 7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.stages.0.0.gamma": None}, "'stages.0.0.scale' is missing"),
        ({"encoder.stages.0.0.gamma": torch.zeros(3)}, r"'stages.0.0.scale' has shape \(3,\)"),
        ({"encoder.stages.0.5.gamma": torch.zeros(32)}, "'stages.0.5.scale' is not known"),
    ],
)
def test_an_encoder_that_does_not_fit_is_named(
    quick: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    state = weights("hnerv_a") | change
    quick.update({f"state_dict/{name}": value for name, value in state.items() if value is not None})
    with pytest.raises(CheckpointError, match=message):
        open_nerv("x.pth", HNERV, ArraySource(np.zeros((4, 240, 320, 3), np.uint8)))


def leaf(bits: int = 0, dtype: torch.dtype = torch.float32, maps: tuple[int, ...] = ()) -> dict[str, Tensor]:
    return {
        "embed/quant": torch.full((4, 8, 3, 4), bits, dtype=torch.uint8),
        "embed/min": torch.zeros(maps, dtype=dtype),
        "embed/scale": torch.zeros(maps, dtype=dtype),
    }


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (leaf(64), "code 64, over 6 bits"),
        (leaf(dtype=torch.float64), "not quantised as the official code does"),
        (leaf(maps=(1, 7, 1, 1)), "no fitting quant, min and scale"),
        (leaf(maps=(1,)), "not quantised as the official code does"),
        ({"embed/quant": torch.zeros(4, 8, 3, 4, dtype=torch.uint8)}, "no fitting quant, min and scale"),
        ({name: value[0] if value.ndim else value for name, value in leaf().items()}, "must be \\(T, C, h, w\\)"),
        (leaf(), "lack the tensor 'stem.conv.weight'"),
    ],
)
def test_integers_that_do_not_fit_are_named(quick: dict[str, Tensor], tensors: dict[str, Tensor], message: str) -> None:
    quick.update(tensors)
    with pytest.raises(CheckpointError, match=message):
        open_hnerv_quantised("x.pth", HNERV)


def test_other_files_are_told_apart(quick: dict[str, Tensor]) -> None:
    quick["state_dict/video_grid.0"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"neither the NeRV nor the HNeRV code \(it has video_grid.0\)"):
        open_nerv("x.pth", "")
    with pytest.raises(CheckpointError, match="open it with open_nerv"):
        open_hnerv_quantised("x.pth", "")


def test_the_number_of_frames_must_be_known_and_agree(quick: dict[str, Tensor]) -> None:
    quick.update({f"state_dict/{name}": value for name, value in weights("nerv_e").items()})
    with pytest.raises(UsageError, match="give --source or add --frames N"):
        open_nerv("x.pth", NERV)
    with pytest.raises(UsageError, match="--frames 3 and the source's 7 frames differ"):
        open_nerv("x.pth", f"{NERV} --frames 3", ArraySource(np.zeros((7, 90, 160, 3), np.uint8)))


@pytest.mark.parametrize(
    "folder", ["nerv_a_90x160_readme_like", "nerv_d_90x160_bilinear_in_noPE", "nerv_e_90x160_deconv"]
)
def test_golden_nerv(folder: str, golden: Path, trusted: None) -> None:
    about, io = json.loads((golden / folder / "config.json").read_text()), arrays(golden / folder / "io.npz")
    arguments = f"{' '.join(about['train_flags'])} --frames {about['n_frames']}"
    model = open_nerv(golden / folder / "checkpoint.pth", arguments)
    np.testing.assert_allclose(decode(model, io["frame_index"]), io["out"], atol=1e-5, rtol=0)


def test_golden_pruned_nerv(golden: Path, trusted: None) -> None:
    folder = golden / "nerv_a_90x160_readme_like"
    about, io = (
        json.loads((folder / "pruned_ratio0.4_lr0.json").read_text()),
        arrays(folder / "pruned_ratio0.4_lr0.npz"),
    )
    model = open_nerv(folder / "pruned_ratio0.4_lr0.pth", f"{' '.join(about['eval_flags'])} --frames 7")
    np.testing.assert_allclose(decode(model, io["frame_index"]), io["out"], atol=1e-5, rtol=0)


def test_golden_hnerv(golden: Path, trusted: None) -> None:
    folder = golden / "hnerv_a"
    about, io = json.loads((folder / "config.json").read_text()), arrays(folder / "io.npz")
    model = open_nerv(folder / "checkpoint.pth", about["argv"], ArraySource(io["input_u8"]))
    assert isinstance(model, HNeRV)
    np.testing.assert_allclose(model.embedding, io["embed_all"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(decode(model, range(4)), io["out"], atol=1e-5, rtol=0)
    quantised = open_nerv(folder / "quant_vid.pth", about["argv"])
    np.testing.assert_allclose(decode(quantised, range(4)), io["out_quant"], atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def bunny(golden: Path) -> VideoModel:
    """The video that the HNeRV authors publish."""
    folder = golden / "hnerv_bunny_quant_vid"
    return open_nerv(folder / "quant_vid.pth", json.loads((folder / "config.json").read_text())["flags"])


LARGEST_ERROR, MEAN_ERROR = 3e-6, 2e-7
"""Of float32 sums in another order than the official frames have; 1.0e-6 and 0.9e-7 were measured with AVX2."""


@pytest.mark.parametrize(
    "index", [0, 131, pytest.param(33, marks=pytest.mark.slow), pytest.param(66, marks=pytest.mark.slow)]
)
def test_the_published_video(bunny: VideoModel, golden: Path, index: int) -> None:
    folder = golden / "hnerv_bunny_quant_vid"
    io, out = arrays(folder / "io.npz"), decode(bunny, [index])
    if f"out_{index}_stride4" in io:
        error = np.abs(out[:, :, ::4, ::4] - io[f"out_{index}_stride4"])
        assert error.max() < LARGEST_ERROR
        assert error.mean() < MEAN_ERROR
    values = (np.clip(out[0], 0, 1) * np.float64(255) + 0.5).transpose(1, 2, 0)
    expected = np.asarray(Image.open(folder / f"expected_frame_{index:04d}.png"))
    # Processors add in different orders: a value on the edge of a byte may fall on its other side, and of values that
    # are off by MEAN_ERROR on average, 255 times that part does.
    beyond = np.maximum(expected - values, values - (expected + 1.0))
    assert beyond.max() < 255 * LARGEST_ERROR
    assert (np.floor(values) != expected).mean() < 255 * MEAN_ERROR


@pytest.mark.slow
def test_the_published_video_has_its_published_quality(bunny: VideoModel, golden: Path, clip: Path) -> None:
    expected = json.loads((golden / "hnerv_bunny_quant_vid" / "metrics.json").read_text())["per_frame"]
    psnr = []
    with FrameTransform(crop=(1280, 640)).apply(open_source(clip)) as source:
        for index, frame in enumerate(source.frames()):
            error = decode(bunny, [index])[0].transpose(1, 2, 0).astype(np.float64) - frame / 255.0
            psnr.append(-10 * np.log10((error**2).mean() + 1e-9))
    assert len(psnr) == 132
    np.testing.assert_allclose(psnr, [frame["psnr"] for frame in expected], atol=1e-3)
    assert np.mean(psnr) == pytest.approx(33.53, abs=0.02)
