"""Plots as one PNG, by Pillow: drawn at twice the size and shrunk, which smooths the lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from app.rd.plot import Panel, draw_panel, shape_of
from nervplay.bitstream import replacing
from nervplay.video.lettering import font

__all__ = ["PALETTE", "write_png"]

PALETTE = ("#c2410c", "#1d6fb8", "#15803d", "#7c3aed", "#b45309", "#0f766e", "#be185d", "#4b5563")
"""Colours of the series on white; the page's style has the same and a second set for dark."""

_OVER = 2
_PANEL = (520, 360)
_LEGEND = 44
_INK, _FAINT, _GRID, _PAPER = "#1c2430", "#5b6675", "#e3e7ec", "#ffffff"
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


class _BitmapCanvas:
    """Draws on a Pillow image, all lengths times `_OVER`."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("RGB", (size[0] * _OVER, size[1] * _OVER), _PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._fonts = {"title": font(16 * _OVER), "label": font(12 * _OVER)}

    def line(self, start: tuple[float, float], end: tuple[float, float], role: str) -> None:
        self._draw.line([_scaled(start), _scaled(end)], fill=_GRID if role == "grid" else _FAINT, width=_OVER)

    def curve(self, points: Sequence[tuple[float, float]], series: int) -> None:
        if len(points) > 1:
            self._draw.line([_scaled(point) for point in points], _colour(series), 2 * _OVER, joint="curve")

    def mark(self, at: tuple[float, float], series: int, *, large: bool, words: str) -> None:  # noqa: ARG002 - a picture has no room for words
        (x, y), reach, shape = _scaled(at), (7.5 if large else 5) * _OVER, shape_of(series)
        sides = {"triangle": 3, "square": 4, "diamond": 4}.get(shape)
        if sides is None:
            self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), _colour(series), _PAPER, _OVER)
        else:
            turn = 45 if shape == "diamond" else 0
            self._draw.regular_polygon((x, y, 1.3 * reach), sides, turn, _colour(series), _PAPER, _OVER)

    def text(self, at: tuple[float, float], words: str, anchor: str, role: str) -> None:
        fill = _INK if role == "title" else _FAINT
        self._draw.text(_scaled(at), words, fill, self._fonts[role], anchor=_ANCHORS[anchor])

    def width_of(self, words: str) -> float:
        """Return the columns that a label takes."""
        return self._draw.textlength(words, self._fonts["label"]) / _OVER


def write_png(path: Path, panels: Sequence[Panel], names: Mapping[str, bool], *, title: str, overwrite: bool) -> None:
    """Write all plots into one picture, two beside each other, with a legend on top.

    Args:
        path: the target.
        panels: the plots.
        names: what the series are called, in order -> whether their marks are large.
        title: a line above everything.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError, OutputError: it cannot be written.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    head = 34 + _LEGEND
    size = (columns * _PANEL[0] + 20, head + rows * _PANEL[1] + 10)
    canvas = _BitmapCanvas(size)
    canvas.text((20, 30), title, "start", "title")
    across = 26.0
    for number, (name, large) in enumerate(names.items()):
        canvas.mark((across, 54), number % len(PALETTE), large=large, words=name)
        canvas.text((across + 12, 58), name, "start", "label")
        across += canvas.width_of(name) + 44
    for place, panel in enumerate(panels):
        draw_panel(canvas, panel, 10 + place % columns * _PANEL[0], head + place // columns * _PANEL[1], _PANEL)
    with replacing(path, overwrite=overwrite) as beside:
        canvas.image.resize(size, Image.Resampling.LANCZOS).save(beside, format="PNG", optimize=True)


def _scaled(at: tuple[float, float]) -> tuple[float, float]:
    return at[0] * _OVER, at[1] * _OVER


def _colour(series: int) -> str:
    return PALETTE[series % len(PALETTE)]
