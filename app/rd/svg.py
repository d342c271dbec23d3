"""Plots as inline SVG: colours come from the page's style, so that they follow its light or dark look."""

from collections.abc import Sequence
from html import escape

from app.rd.plot import Panel, draw_panel, shape_of

__all__ = ["mark_svg", "panel_svg"]

_WIDTH, _HEIGHT, _MARK, _LARGE = 460, 330, 4.6, 1.5
_CORNERS = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.25), (1.15, 0.85), (-1.15, 0.85)),
    "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
}
"""Corners of marks, in radii."""


class _SvgCanvas:
    """Collects SVG elements."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def line(self, start: tuple[float, float], end: tuple[float, float], role: str) -> None:
        ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        self.parts.append(f'<line class="{role}" {ends}/>')

    def curve(self, points: Sequence[tuple[float, float]], series: int) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="curve s{series}" points="{path}"/>')

    def mark(self, at: tuple[float, float], series: int, *, large: bool, words: str) -> None:
        shape = _shape(at, shape_of(series), large=large)
        self.parts.append(f'<g class="mark s{series}"><title>{escape(words)}</title>{shape}</g>')

    def text(self, at: tuple[float, float], words: str, anchor: str, role: str) -> None:
        place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}"'
        self.parts.append(f'<text class="{role}" {place}>{escape(words)}</text>')


def panel_svg(panel: Panel) -> str:
    """Return a plot as an SVG element."""
    canvas = _SvgCanvas()
    draw_panel(canvas, panel, 0, 0, (_WIDTH, _HEIGHT))
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {box} role="img" aria-label="{escape(panel.title)}">{"".join(canvas.parts)}</svg>'


def mark_svg(series: int, *, large: bool) -> str:
    """Return the mark of a series for a legend."""
    shape = _shape((8, 8), shape_of(series), large=large)
    return f'<svg class="key" viewBox="0 0 16 16"><g class="mark s{series}">{shape}</g></svg>'


def _shape(at: tuple[float, float], shape: str, *, large: bool) -> str:
    """Return a mark around a point."""
    x, y = at
    radius = _MARK * _LARGE if large else _MARK
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
    corners = [(x + radius * across, y + radius * down) for across, down in _CORNERS[shape]]
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in corners)
    return f'<polygon points="{path}"/>'
