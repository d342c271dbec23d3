from typing import Any

import pytest

from nervplay.errors import GeometryError, UsageError
from nervplay.models.snerv_config import SNeRVConfig, SNeRVTConfig, low_band_strides, paper_blocks

SMALL: dict[str, Any] = {"width": 48, "height": 24, "frame_count": 3, "strides": (3, 2, 1)}
SMALL |= {"encoder_strides": (3, 2), "channels": 6, "embedding_channels": 4}
TEMPORAL: dict[str, Any] = {"temporal_strides": (2, 1), "temporal_up": (2,)}


def test_shapes_follow_from_the_low_band() -> None:
    config = SNeRVConfig(**SMALL)
    assert config.low_size == (12, 24)
    assert config.embedding_shape == (4, 2, 4)
    assert config.rearrangement == 1
    assert SNeRVConfig(**SMALL | {"encoder_strides": (3, 4)}).rearrangement == 2
    assert [stage.kernel for stage in config.stages] == [1, 3, 5]
    assert SNeRVTConfig(**SMALL, **TEMPORAL).temporal_shape == (6, 6, 12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"width": 46}, GeometryError, "width 46 is not a multiple of 12, twice the product"),
        ({"height": 30}, GeometryError, "height 30 is not a multiple of 12"),
        ({"strides": (3, 2)}, GeometryError, "must have 3 to 16 stages"),
        ({"encoder_strides": ()}, GeometryError, "the encoder 1 to 16"),
        ({"strides": (2, 2, 1)}, GeometryError, "do not lead from the embedding back to LL"),
        ({"strides": (3, 2, 2)}, GeometryError, "do not lead from the embedding back to LL"),
        ({"kernel_min": 2}, GeometryError, "kernels must be odd"),
        ({"channels": 0}, UsageError, "SNeRVConfig.channels is 0"),
        ({"kernel_max": 0}, UsageError, "SNeRVConfig.kernel_max is 0"),
        ({"output": -101.0}, UsageError, "SNeRVConfig.output is -101"),
        ({"channels": 8000, "reduction": 0.1}, UsageError, "pass 16384 channels"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SNeRVConfig(**SMALL | change)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"encoder_strides": (3, 4)}, GeometryError, "must have one product"),
        ({"temporal_strides": (4,)}, GeometryError, "must be 1 times the second"),
        ({"temporal_up": ()}, GeometryError, "must be 1 times the second"),
        ({"temporal_strides": (5,), "temporal_up": (5,)}, GeometryError, "LL of 24x12 to the third stage"),
        ({"temporal_strides": ()}, GeometryError, "there must be 1 to 16"),
        ({"temporal_up": (0,)}, UsageError, "temporal_up is"),
        ({"mixing": "4d"}, UsageError, "mixing is '4d'; it must be one of 3d, 2d"),
    ],
)
def test_temporal_layouts_that_cannot_be_are_refused(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SNeRVTConfig.from_config(SMALL | TEMPORAL | change)


def test_what_the_third_stage_leaves_open_is_not_for_the_temporal_code() -> None:
    wide = SMALL | {"width": 96, "height": 48, "strides": (3, 2, 2), "encoder_strides": (3, 4)}
    config = SNeRVTConfig(**wide, temporal_strides=(2, 2), temporal_up=(2,))
    assert config.temporal_shape == (6, 6, 12)
    with pytest.raises(GeometryError, match="must be 2 times the second"):
        SNeRVTConfig(**wide, temporal_strides=(2,), temporal_up=(2,))


def test_strides_are_those_of_half_the_frame() -> None:
    assert low_band_strides(1280, 640, area=8) == (5, 4, 2, 2, 2), "as the paper has them"
    assert low_band_strides(64, 48, area=8) == (2, 2, 2)
    assert low_band_strides(16, 8, area=8) == (2, 1, 1), "filled up to three stages"


@pytest.mark.parametrize("size", [(63, 48), (854, 480), (64, 49), (4, 4)])
def test_sizes_that_do_not_fit_get_a_way_out(size: tuple[int, int]) -> None:
    with pytest.raises(GeometryError, match=r"no half size that divides .*(--crop \d+x\d+|enlarge it)") as caught:
        low_band_strides(*size, area=8)
    _, found, crop = str(caught.value).rstrip(")").partition("--crop ")
    if found:
        width, height = map(int, crop.split("x"))
        assert width <= size[0]
        assert height <= size[1]
        assert low_band_strides(width, height, area=8)


@pytest.mark.parametrize(("parameters", "blocks"), [(1, 2), (750_000, 3), (2_900_000, 6), (10**8, 10)])
def test_residual_blocks_are_those_of_the_nearest_size(parameters: int, blocks: int) -> None:
    assert paper_blocks(parameters) == blocks
