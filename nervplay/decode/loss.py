"""How near to float32 integers must come: from what the video itself has lost against its source.

A frame of S dB against its source whose integers have X dB against float32 has, both errors being independent,

    S - 10 log10(1 + 10^((S - X) / 10))    dB

so the better a video, the nearer its integers must be.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "DEFAULT_DB",
    "LOSS_DB",
    "STAND_IN",
    "WORST_LOSS_DB",
    "Need",
    "fitted_db",
    "loss_db",
    "need",
    "retold",
    "told",
]

LOSS_DB = 0.08
"""What a video may lose, in dB. 0.10 are allowed, but the errors are not quite independent: where 0.091 followed from
the formula, 0.107 were measured (HNeRV of Big Buck Bunny)."""
WORST_LOSS_DB = 0.25
"""What its worst frame may lose; 0.30 are allowed."""
DEFAULT_DB = 40.0
"""Taken for a video that does not say how good it is: few neural videos are better."""
_RECIPE_KEY = "psnr_db"
"""Where a file's recipe tells the PSNR of its network against the source, in dB."""


STAND_IN: Mapping[str, float] = {_RECIPE_KEY: 98.76543}
"""Takes as much room in a recipe as `told`, and a little more."""


class Need(NamedTuple):
    """Least PSNR against float32, in dB; peak 1.

    Args:
        mean: of all frames together.
        worst: of each frame.
    """

    mean: float
    worst: float


def loss_db(video_db: float, exact_db: float) -> float:
    """Return what a video of `video_db` against its source loses by errors of `exact_db` against float32, in dB."""
    return 10 * math.log10(1 + 10 ** ((video_db - exact_db) / 10))


def need(video_db: float | None) -> Need:
    """Return how near to float32 the integers of a video must come.

    Args:
        video_db: its PSNR against its source; None where nobody knows.
    """
    known = DEFAULT_DB if video_db is None else video_db
    mean, worst = (known - 10 * math.log10(10 ** (loss / 10) - 1) for loss in (LOSS_DB, WORST_LOSS_DB))
    return Need(mean, worst)


def told(video_db: float) -> dict[str, float]:
    """Return what a file's recipe says of its PSNR, to two decimals; nothing of one that is not plausible."""
    value = round(video_db, 2) if math.isfinite(video_db) else math.nan
    return {} if fitted_db({_RECIPE_KEY: value}) is None else {_RECIPE_KEY: value}


def retold(recipe: Mapping[str, Any], video_db: float | None) -> dict[str, Any]:
    """Return a file's recipe that says this of its PSNR, in dB, and nothing of it where nobody knows."""
    rest = {name: value for name, value in recipe.items() if name != _RECIPE_KEY}
    return rest | ({} if video_db is None else told(video_db))


def fitted_db(recipe: Mapping[str, Any]) -> float | None:
    """Return the PSNR that a file's recipe tells, in dB, or None; anything but a plausible number is no PSNR."""
    value = recipe.get(_RECIPE_KEY)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 200:
        return None
    return float(value)
