"""What leaves the device is what the CPU would have made of it, to the byte."""

import numpy as np
import pytest
import torch

from nervplay.decode.cuda.output import FloatPlanes, Rgb8, YuvPlanes
from nervplay.decode.planes import write_yuv
from nervplay.decode.rounding import round_frame
from nervplay.errors import UnknownNameError, UsageError
from nervplay.video.spec import Colour

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
    ),
]


def frame(height: int, width: int) -> np.ndarray:
    """Return random values, some outside [0, 1], some not finite, many on the border of two steps."""
    rng = np.random.default_rng(height * width)
    values = rng.uniform(-0.1, 1.1, (3, height, width)).astype(np.float32)
    values[:, ::2, ::3] = (rng.integers(0, 511, values[:, ::2, ::3].shape) / np.float32(510)).astype(np.float32)
    values[0, 0, :4] = (np.nan, np.inf, -np.inf, 1.0)
    return values


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize("size", [(12, 20), (13, 21), (1, 1)])
def test_rgb_and_floats(place: str, size: tuple[int, int]) -> None:
    values = frame(13, 21)[:, : size[0], : size[1]].copy()
    tensor = torch.from_numpy(values)[None].to(place)
    np.testing.assert_array_equal(Rgb8()(tensor.clone())[0].cpu().numpy(), round_frame(values))
    np.testing.assert_array_equal(FloatPlanes()(tensor)[0].cpu().numpy(), values)


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize("size", [(12, 20), (13, 21), (1, 5)])
@pytest.mark.parametrize("subsampled", [True, False])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("colour", [("bt709", "tv"), ("smpte170m", "pc"), ("bt2020nc", "tv")])
def test_yuv(place: str, size: tuple[int, int], subsampled: bool, depth: int, colour: tuple[str, str]) -> None:
    values = frame(*size)
    (matrix, colour_range), (height, width) = colour, size
    chroma = ((height + 1) // 2, (width + 1) // 2) if subsampled else size
    kind = np.uint8 if depth == 8 else np.uint16
    wanted = tuple(np.full(shape, 77, kind) for shape in (size, chroma, chroma))
    write_yuv(values, wanted, Colour(matrix=matrix, range=colour_range))
    output = YuvPlanes(matrix=matrix, colour_range=colour_range, bit_depth=depth, subsampled=subsampled)
    for got, plane in zip(output(torch.from_numpy(values)[None].to(place)), wanted, strict=True):
        np.testing.assert_array_equal(got.cpu().numpy(), plane)
        assert got.cpu().numpy().dtype == kind


def test_refusals() -> None:
    with pytest.raises(UsageError, match="12 bits"):
        YuvPlanes(matrix="bt709", colour_range="tv", bit_depth=12)
    with pytest.raises(UnknownNameError, match="matrix"):
        YuvPlanes(matrix="bt6", colour_range="tv")
