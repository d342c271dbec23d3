"""What `nervplay play` was asked for: made by the command line, carried out by `app.main`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.sources import SourceRef
from app.core.view import Mode

__all__ = ["PlayRequest"]


@dataclass(frozen=True, kw_only=True)
class PlayRequest:
    """A request.

    Args:
        sources: A, B, C, D as far as given.
        session: a session file to go on with.
        mode: view mode; wipe, or A alone, when None.
        frame: where to start.
        precision: arithmetic of the network; empty for FP32.
        device: device for networks; the setting when None.
        canvas: "auto", "gpu" or "soft"; the setting when None.
        playing: whether to play at once.
        size: of the window, in pixels.
        screenshot: where to write a picture of the window once everything is shown and measured.
        quit_after: seconds after which the window closes; None to stay open.
    """

    sources: Sequence[SourceRef] = ()
    session: Path | None = None
    mode: Mode | None = None
    frame: int = 0
    precision: str = ""
    device: str | None = None
    canvas: str | None = None
    playing: bool = False
    size: tuple[int, int] | None = None
    screenshot: Path | None = None
    quit_after: float | None = None
