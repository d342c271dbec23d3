"""`nervplay play`: the desktop player."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import click

from app.cli.command import command as nervplay_command
from app.cli.offers import offer, offer_files
from app.cli.options import SIZE, TARGET, Name, Number, check_suffix, check_target
from app.core.play_request import PlayRequest
from app.core.session import SUFFIX
from app.core.settings import CANVASES
from app.core.sources import Kind, SourceRef, parse_source
from app.core.view import Mode, parse_mode
from nervplay.choices import DEVICES, PRECISIONS
from nervplay.errors import CapabilityError, MissingInputError, UsageError

__all__ = ["command"]

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
"""One of them is set in the environment where Qt finds a place for windows."""


@nervplay_command(
    "play",
    examples=(
        "nervplay play",
        "nervplay play source.mp4 clip.nerv",
        "nervplay play source.mp4 clip.nerv --mode difference --frame 30",
        "nervplay play 'model_best.pth --official --arch hnerv ...'",
        "nervplay play source.mp4 clip.nerv --screenshot view.png",
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("sources", nargs=-1, metavar="[A] [B] [C] [D]", shell_complete=offer_files)
@click.option(
    "--mode",
    metavar="|".join(Mode),
    shell_complete=offer(*Mode),
    help="How to look at them; wipe where there are two.",
)
@click.option("--frame", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Where to start.")
@click.option(
    "--precision",
    type=Name("precision", PRECISIONS),
    metavar="|".join(PRECISIONS),
    help="Arithmetic of the network.",
)
@click.option(
    "--device",
    metavar="auto|cpu|cuda|cuda:N",
    shell_complete=offer(*DEVICES),
    help="Where the network runs; default: the setting.",
)
@click.option(
    "--canvas", type=Name("canvas", CANVASES), metavar="auto|gpu|soft", help="What paints; default: the setting."
)
@click.option("--size", type=SIZE, metavar="WxH", help="Size of the window.")
@click.option("--play", "playing", is_flag=True, help="Play at once.")
@click.option("--screenshot", type=TARGET, metavar="OUT.png", help="Write the window as it looks when all is measured.")
@click.option("--quit-after", type=Number(min=0), metavar="SECONDS", help="Close the window by itself.")
def command(
    *,
    sources: tuple[str, ...],
    mode: str | None,
    frame: int,
    precision: str | None,
    device: str | None,
    canvas: str | None,
    size: tuple[int, int] | None,
    playing: bool,
    screenshot: Path | None,
    quit_after: float | None,
) -> None:
    """Show up to four clips beside each other: A is the reference, B the neural video.

    A source is a video file, a folder of pictures, a .nerv file, an official checkpoint with its command line, or
    hf://user/name. A session file goes on where it was saved. --screenshot closes the window when it is written.
    """
    if len(sources) > 4:
        raise UsageError(f"{len(sources)} sources were given; the player shows at most four: A, B, C and D")
    if screenshot is not None:
        check_suffix(screenshot, ".png")
        check_target(screenshot, overwrite=True)
    session = Path(sources[0]) if len(sources) == 1 and sources[0].endswith(SUFFIX) else None
    refs = () if session is not None else tuple(_existing(parse_source(text)) for text in sources)
    request = PlayRequest(
        sources=refs,
        session=session,
        mode=parse_mode(mode) if mode is not None else None,
        frame=frame,
        precision=precision or "",
        device=device,
        canvas=canvas,
        playing=playing,
        size=size,
        screenshot=screenshot,
        quit_after=quit_after,
    )
    _program().play(request)


def _existing(ref: SourceRef) -> SourceRef:
    """Return a source whose file is there; addresses and re-encodes are looked at when they are opened."""
    if ref.kind in (Kind.VIDEO, Kind.NERV, Kind.OFFICIAL) and not Path(ref.text).exists():
        raise MissingInputError(f"'{ref.text}' does not exist; check the spelling (relative to {Path.cwd()})")
    return ref.anchored()


def _program() -> ModuleType:
    """Return `app.main`, loaded late and by its name: the command line itself does without Qt.

    Raises:
        CapabilityError: PySide6, or a library that it needs, is not installed; or there is no display, of which Qt
            would end the process.
    """
    if sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        raise CapabilityError(
            "there is no display for the player's window; run it on a desktop or through ssh -X, or set "
            "QT_QPA_PLATFORM=offscreen for --screenshot"
        )
    try:
        return importlib.import_module("app.main")
    except ImportError as error:
        raise CapabilityError(f"the player needs PySide6 ({error}); install it: pip install 'nervplay[app]'") from None
