from pathlib import Path

import pytest

from nervplay.codec.official_enerv_config import enerv_config
from nervplay.codec.plain_yaml import read_yaml
from nervplay.errors import GeometryError, UsageError
from nervplay.models.enerv_config import ENeRVConfig

WRITTEN = """
seed: 1  # same as the original NeRV repo
dataset_path: './data/# bunny'
model:
  model_name: E_NeRV
  # pe related
  pos_b: 1.25
  pos_l: 80
  xypos_b: 1.5
  xypos_l: 70
  pos_b_tm: 1.125
  pos_l_tm: 60
  stem_dim_num: '512_40'
  fc_hw_dim: "9_16_196"
  act: gelu
  stride_list: [5, 2, 2]
  expansion: 3
  reduction: 4
  lower_width: 90
  num_blocks: 1
  bias: true
  norm: none
  conv_type: deconv
  sin_res: false
  sigmoid: true
  block_dim: 256
  mlp_dim: 128

optim:
  lr: 0.0005
"""


def test_what_the_settings_mean() -> None:
    assert enerv_config(read_yaml(WRITTEN), 12) == ENeRVConfig(
        width=320,
        height=180,
        frame_count=12,
        grid=(9, 16),
        channels=196,
        strides=(5, 2, 2),
        expansion=3.0,
        reduction=4,
        lower_width=90,
        time_base=1.25,
        time_levels=80,
        place_base=1.5,
        place_levels=70,
        modulation_base=1.125,
        modulation_levels=60,
        stem_widths=(512, 40),
        block_width=256,
        hidden_width=128,
        upsampling="deconv",
        norm="none",
        activation="gelu",
        single_resolution=False,
        output="sigmoid",
    )


def test_a_file_that_the_official_code_wrote(golden: Path) -> None:
    config = enerv_config(read_yaml((golden / "enerv_a_90x160" / "cfg.yaml").read_text()), 7)
    assert (config.strides, config.stem_widths, config.grid, config.channels) == ((5, 2), (96,), (9, 16), 20)
    assert config.single_resolution
    dim = read_yaml(WRITTEN.replace("sigmoid: true", "sigmoid: false").replace("'512_40'", "512"))
    assert (enerv_config(dim, 7).output, enerv_config(dim, 7).stem_widths) == ("tanh", (512,))


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("model_name: E_NeRV", "model_name: NeRV", UsageError, "is NeRV; only E_NeRV"),
        ("bias: true", "bias: false", UsageError, "layers without bias"),
        ("bias: true", "bias: perhaps", UsageError, "model.bias of the official configuration is 'perhaps'"),
        ("act: gelu", "act: sin", UsageError, "model.act of .* is 'sin'; it must be one of"),
        ("  pos_l: 80\n", "", UsageError, "lacks model.pos_l"),
        ("pos_l: 80", "pos_l: many", UsageError, "model.pos_l of .* is 'many'; it must be int"),
        ("[5, 2, 2]", "5", UsageError, "model.stride_list of .* is 5"),
        ('"9_16_196"', "9_16", UsageError, "fc_hw_dim of .* has 2 numbers"),
        ("512_40", "512_x", UsageError, "model.stem_dim_num of .* is 512_x; it must be whole numbers"),
        ('"9_16_196"', "1_1_196", GeometryError, "has 1 places"),
        ("model:", "network:", UsageError, "has no section 'model'"),
    ],
)
def test_what_cannot_be_had_is_named(old: str, new: str, error: type[Exception], message: str) -> None:
    assert old in WRITTEN
    with pytest.raises(error, match=message):
        enerv_config(read_yaml(WRITTEN.replace(old, new)), 12)
