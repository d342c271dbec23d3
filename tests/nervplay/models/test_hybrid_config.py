"""What HNeRV, HNeRV-Boost, SNeRV-B and SNeRV-T have in common."""

from dataclasses import replace
from typing import Any

import pytest

from nervplay.blocks.conv_kinds import StageConv
from nervplay.errors import GeometryError, UsageError
from nervplay.models import resolve_preset

NAMES = ("hnerv", "hnerv-boost", "snerv", "snerv-t")


def tiny(name: str) -> Any:
    return resolve_preset(f"{name}-tiny")[1].configure(64, 48, 6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strides": ()}, GeometryError, "the decoder must have [13] to 16 stages, the encoder [01] to 16"),
        ({"encoder_strides": (1,) * 17}, GeometryError, "the decoder must have [13] to 16 stages, the encoder [01]"),
        ({"width": 66}, GeometryError, "width 66 is not a multiple of 16, (twice )?the product of the encoder strides"),
        ({"height": 50}, GeometryError, "height 50 is not a multiple of 16"),
        ({"channels": 8000, "reduction": 0.1}, UsageError, "pass 16384 channels"),
        ({"output": 101.0}, UsageError, r"Config.output is 101.0; a number must lie in -100 .. 100"),
        ({"convolutions": (StageConv(stage=4, kind="ghost"),)}, UsageError, "convolutions name stage 4"),
        ({"encoder_width": 0}, UsageError, "encoder_width is 0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(tiny(name), **change)


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_ends_at_the_embedding(name: str) -> None:
    config = tiny(name)
    assert config.embedding_shape == (4, 3, 4)
    assert config.encoder_widths == [16] * (len(config.encoder_strides) - 1) + [4]


def test_blocks_of_a_stage_share_its_choice() -> None:
    low_rank = StageConv(stage=2, kind="low-rank", rho=0.5)
    config = replace(tiny("hnerv-boost"), decoder_blocks=(1, 1, 3, 1), convolutions=(low_rank,))
    assert [block.stride for block in config.blocks] == [2, 2, 2, 1, 1, 2]
    assert config.choices == [None, None, low_rank, low_rank, low_rank, None]
    widths = [(block.channels_in, block.channels_out) for block in config.blocks]
    assert widths == [(12, 10), (10, 8), (8, 8), (8, 8), (8, 8), (8, 8)]


def test_kernels_of_boost_end_at_three() -> None:
    config = replace(tiny("hnerv-boost"), kernel_max=7)
    assert [block.kernel for block in config.blocks] == [1, 3, 3, 3]
    assert [block.kernel for block in replace(config, upsampling="pshuffel").blocks] == [1, 3, 5, 7]
