"""How two to four pictures are looked at: mode, wipe position, gain, zoom, centre; `geometry` does the maths.

One `View` is shared by every canvas; a canvas changes it through these methods only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nervplay.errors import UsageError

__all__ = ["DERIVED", "GAINS", "MAX_ZOOM", "MIN_ZOOM", "Mode", "View", "parse_mode"]

MIN_ZOOM, MAX_ZOOM = 0.05, 32.0
"""Device pixels per picture pixel."""

GAINS = (1, 2, 4, 8, 16, 32, 64)
"""Factors by which differences are made visible."""


class Mode(StrEnum):
    """What the canvas shows; the values are the names on the command line and in sessions."""

    A = "a"
    B = "b"
    WIPE = "wipe"
    SIDE = "side"
    DIFFERENCE = "difference"
    SIGNED = "signed"
    HEAT = "heat"
    GRID = "grid"


DERIVED = (Mode.DIFFERENCE, Mode.SIGNED, Mode.HEAT)
"""Modes that show a picture computed from A and B."""


def parse_mode(name: str) -> Mode:
    """Return the mode called `name`, in any case.

    Raises:
        UsageError: no such mode.
    """
    try:
        return Mode(name.lower())
    except ValueError:
        raise UsageError(f"'{name}' is not a view mode; use one of {', '.join(Mode)}") from None


@dataclass
class View:
    """The state of a canvas.

    Args:
        mode: what is shown.
        split: where A ends and B begins in wipe mode, a fraction of the canvas width, 0 .. 1.
        gain: factor on differences, one of `GAINS`.
        zoom: device pixels per picture pixel; None fits the picture into the canvas.
        centre: the point of the picture at the middle of its cell, as fractions of its width and height.
    """

    mode: Mode = Mode.WIPE
    split: float = 0.5
    gain: int = 8
    zoom: float | None = None
    centre: tuple[float, float] = (0.5, 0.5)

    def fit(self) -> None:
        """Show the whole picture, as large as the canvas allows."""
        self.zoom, self.centre = None, (0.5, 0.5)

    def one_to_one(self) -> None:
        """Show one picture pixel per device pixel, around the present centre."""
        self.zoom = 1.0

    def set_split(self, split: float) -> None:
        """Move the border between A and B; outside 0 .. 1 it stays at the edge."""
        self.split = min(1.0, max(0.0, split))

    def change_gain(self, steps: int) -> None:
        """Take the next larger (1) or smaller (-1) gain; stays at the ends."""
        place = GAINS.index(self.gain) + steps
        self.gain = GAINS[min(len(GAINS) - 1, max(0, place))]

    def move_centre(self, x: float, y: float) -> None:
        """Move the centre by fractions of the picture; it never leaves the picture."""
        self.centre = (min(1.0, max(0.0, self.centre[0] + x)), min(1.0, max(0.0, self.centre[1] + y)))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict."""
        return {
            "mode": self.mode.value,
            "split": self.split,
            "gain": self.gain,
            "zoom": self.zoom,
            "centre": list(self.centre),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "View":
        """Return the view that `to_json` wrote.

        Raises:
            UsageError: a value that a view cannot have.
        """
        view = cls()
        try:
            view.mode = parse_mode(str(data.get("mode", view.mode)))
            view.set_split(float(data.get("split", view.split)))
            view.gain = int(data.get("gain", view.gain))
            zoom = data.get("zoom")
            view.zoom = None if zoom is None else min(MAX_ZOOM, max(MIN_ZOOM, float(zoom)))
            x, y = data.get("centre", view.centre)
            view.centre = (min(1.0, max(0.0, float(x))), min(1.0, max(0.0, float(y))))
        except (TypeError, ValueError) as error:
            raise UsageError(f"the saved view {dict(data)} is not sound: {error}; start without it") from None
        if view.gain not in GAINS or not all(map(math.isfinite, (view.split, *view.centre, view.zoom or 1.0))):
            raise UsageError(f"the saved view {dict(data)} is not sound; gain is one of {GAINS}, the rest finite")
        return view
