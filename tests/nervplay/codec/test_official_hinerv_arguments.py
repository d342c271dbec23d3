"""Official HiNeRV command lines: published configuration files, defaults, what is refused."""

import pytest

from nervplay.codec.official_hinerv_arguments import hinerv_config, parse_hinerv
from nervplay.errors import UsageError
from nervplay.models.hinerv import PRESETS

UVG_XL = """--model HiNeRV
--block-type convnext --channels 688 --channels-reduce 2.0 --depths 4 4 4 1
--exps 4. 4. 4. 1. --stem-kernels 3 --kernels 3 3 3 3
--scales-t 1 1 1 1 --scales-hw 5 3 2 2 --stem-paddings -1 -1 -1 --paddings -1 -1 -1
--base-size -1 -1 -1 --base-grid-size 150 -1 -1 16 --base-grid-level 2 --base-grid-level-scale 2. 1. 1. 0.5
--enc-type normalized+temp_local_grid --enc-grid-size -1 32 --enc-grid-level 3 --enc-grid-level-scale 2. 0.5
--enc-grid-depth-scale 1. 0.5 --upsample-type trilinear --upsample-config matmul-th-w"""
UVG_B_S = (
    UVG_XL.replace("688", "320")
    .replace("4 4 4 1", "2 1 1 1")
    .replace("5 3 2 2", "5 4 3 2")
    .replace("150 -1 -1 16", "-1 -1 -1 5")
    .replace("-1 32", "-1 4")
) + " --upsample-norm none"
TRAINING = """--loss 0.7 l1 0.3 ms-ssim_5x5 --train-metric psnr --eval-metric psnr ms-ssim
--crop-size -1 -1 --input-size 1080 1920 --patch-size 1 120 120 --cached patch
--epochs 300 --eval-epochs 30 --log-epochs -1 --warmup-epochs 30 --prune-epochs 60 --prune-warmup-epochs 0
--prune-ratio 0.15 --prune-weight 0.5 --quant-epochs 30 --quant-warmup-epochs 0 --quant-lr-scale 0.1
--quant-level 8 7 6 --quant-noise 0.9 --opt adam --lr 2e-3 --warmup-lr 2e-5 --min-lr 2e-5 --max-norm 1.0
--auto-lr-scaling true --batch-size 144 --eval-batch-size 1 --grad-accum 1 --log-eval false --seed 0"""


@pytest.mark.parametrize(("model", "preset"), [(UVG_XL, "uvg-xl"), (UVG_B_S, "uvg-b-s")])
def test_published_configurations_are_our_presets(model: str, preset: str) -> None:
    words = f"accelerate launch --mixed_precision=fp16 hinerv_main.py --dataset x {TRAINING} {model}"
    assert hinerv_config(parse_hinerv(words), 600) == PRESETS[preset].configure(1920, 1080, 600)


def test_the_frame_size_is_the_scaled_one_or_the_crop() -> None:
    crop = hinerv_config(parse_hinerv(f"{UVG_XL} --crop-size 960 1920"), 600)
    assert (crop.width, crop.height) == (1920, 960)
    both = hinerv_config(parse_hinerv(f"{UVG_XL} --crop-size 960 1920 --input-size 480 960"), 600)
    assert (both.width, both.height) == (960, 480)
    with pytest.raises(UsageError, match="add --input-size HEIGHT WIDTH"):
        hinerv_config(parse_hinerv(UVG_XL), 600)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("--block-type convnext", "", "block-type mlp"),
        ("--stem-kernels 3", "", "stem-kernels 1"),
        ("--kernels 3 3 3 3", "--kernels 3 5 3 3", "kernels"),
        ("--kernels 3 3 3 3", "", "kernels"),
        ("--scales-t 1 1 1 1", "--scales-t 1 2 1 1", "scales-t"),
        ("--base-grid-level 2", "--base-grid-level 3", "base-grid-level 3"),
        ("--enc-grid-size -1 32", "--enc-grid-size 20 32", "enc-grid-size"),
        ("--enc-grid-depth-scale 1. 0.5", "", "enc-grid-depth-scale 1 1 1 1"),
        ("--upsample-type trilinear", "--upsample-type conv3x3", "upsample-type conv3x3"),
        ("--upsample-config matmul-th-w", "--upsample-config matmul-th-w,align", "upsample-config"),
        ("--model HiNeRV", "--head-act tanh", "head-act tanh"),
        ("--model HiNeRV", "--block-bias True", "block-bias True"),
        ("--channels 688", "--chanels 688", "chanels"),
        ("--channels 688", "--channels many", "channels"),
    ],
)
def test_other_networks_are_refused_by_name(old: str, new: str, named: str) -> None:
    assert old in UVG_XL
    with pytest.raises(UsageError, match=named):
        parse_hinerv(UVG_XL.replace(old, new))


def test_unclosed_quotes_are_refused() -> None:
    with pytest.raises(UsageError, match="check quotes"):
        parse_hinerv("--model 'HiNeRV")


def test_sizes_that_contradict_the_frames_are_refused() -> None:
    for old, new in (("--base-size -1 -1 -1", "--base-size 599 -1 -1"), ("150 -1 -1 16", "150 9 -1 16")):
        with pytest.raises(UsageError, match="the frames and strides give"):
            hinerv_config(parse_hinerv(f"{UVG_XL.replace(old, new)} --input-size 1080 1920"), 600)
