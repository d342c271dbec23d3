"""What NeRV, E-NeRV and FFNeRV have in common."""

from dataclasses import replace
from typing import Any

import pytest

from nervplay.errors import GeometryError, UsageError
from nervplay.models import resolve_preset

NAMES = ("nerv", "e-nerv", "ffnerv")


def tiny(name: str) -> Any:
    return resolve_preset(f"{name}-tiny")[1].configure(64, 48, 6)


@pytest.mark.parametrize("name", NAMES)
def test_widths_shrink_where_the_frame_grows(name: str) -> None:
    wide = replace(tiny(name), channels=12, expansion=8.0, grid=(3, 4), strides=(2, 2, 1, 2, 2), lower_width=20)
    assert wide.widths == (96, 48, 48, 24, 20)
    assert replace(wide, reduction=3).widths == (96, 32, 32, 20, 20)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strides": ()}, GeometryError, "with strides .* gives 8x6, the frame is 64x48"),
        ({"grid": (6, 9)}, GeometryError, "a grid of 9x6 with strides"),
        ({"height": 47}, GeometryError, "the frame is 64x47; change one"),
        ({"strides": (2, 2, 2) + (1,) * 14}, GeometryError, "change one"),
        ({"channels": 8000, "expansion": 3.0}, UsageError, "must lie in 1 .. 16384"),
        ({"expansion": 0.1}, UsageError, "must lie in 1 .. 16384"),
        ({"lower_width": 0}, UsageError, "lower_width is 0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, change: dict[str, Any], error: type[Exception], message: str) -> None:
    config = replace(tiny(name), grid=(6, 8), strides=(2, 2, 2))
    with pytest.raises(error, match=message):
        replace(config, **change)
