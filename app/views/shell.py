"""What commands may ask of the window; `MainWindow` is it, tests may bring a smaller one."""

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtWidgets import QWidget

from app.core.session import Session
from app.core.sources import SourceRef
from app.views.asking import Asker
from app.views.canvas import Canvas

__all__ = ["Shell"]


class Shell(Protocol):
    """The window as commands see it."""

    asker: Asker

    @property
    def widget(self) -> QWidget:
        """The window itself, as the parent of dialogs."""
        ...

    @property
    def canvas(self) -> Canvas:
        """The canvas in use."""
        ...

    @property
    def inspector_shown(self) -> bool:
        """Whether the inspector is visible."""
        ...

    @property
    def full_screen_on(self) -> bool:
        """Whether the window fills the screen."""
        ...

    def set_theme(self, theme: str) -> None:
        """Use a theme and remember it."""
        ...

    def toggle_inspector(self) -> None:
        """Show or hide the inspector."""
        ...

    def toggle_full_screen(self) -> None:
        """Enter or leave full screen."""
        ...

    def open_dialog(self, name: str) -> None:
        """Open one of the window's dialogs."""
        ...

    def open_sources(self, refs: Sequence[SourceRef], first: int) -> None:
        """Open sources in slots from `first` on."""
        ...

    def restore(self, session: Session) -> None:
        """Go on with a session."""
        ...

    def quit(self) -> None:
        """Close the window."""
        ...
