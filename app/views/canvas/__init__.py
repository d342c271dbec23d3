"""The comparison canvas, twice: `soft` paints with QPainter on the CPU, `rhi` with one shader; `pick` chooses."""

from app.views.canvas.pick import Canvas, make_canvas

__all__ = ["Canvas", "make_canvas"]
