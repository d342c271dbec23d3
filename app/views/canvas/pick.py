"""Which canvas: the GPU's where there is a GPU, else the painter's. Chosen actively: software GL works, but is slow."""

from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app.core.player import Player
from app.core.settings import CANVASES
from app.views.canvas.soft import SoftCanvas
from nervplay.errors import UnknownNameError

if TYPE_CHECKING:
    from app.views.canvas.rhi import RhiCanvas

__all__ = ["Canvas", "make_canvas"]

Canvas: TypeAlias = "SoftCanvas | RhiCanvas"

_NO_GPU = ("offscreen", "minimal", "minimalegl", "vnc", "linuxfb")
"""Platforms of Qt that have no GPU to offer."""


def make_canvas(player: Player, kind: str = "auto", parent: QWidget | None = None) -> Canvas:
    """Return a canvas.

    Args:
        player: whose pictures and view it shows.
        kind: "auto" tries the GPU and gives up (signal `failed`) where rendering would run on the CPU; "gpu" takes what
            renderer there is; "soft" paints on the CPU.
        parent: the widget around it.

    Raises:
        UnknownNameError: another kind.
    """
    if kind not in CANVASES:
        raise UnknownNameError("canvas", kind, CANVASES)
    if kind == "soft" or QGuiApplication.platformName() in _NO_GPU:
        return SoftCanvas(player, parent)
    from app.views.canvas.rhi import RhiCanvas

    return RhiCanvas(player, parent, refuse_software=kind == "auto")
