"""Dark and light: palettes for Qt's own widgets, and the colours of what we paint ourselves."""

from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

__all__ = ["Colours", "apply_theme", "colours"]


class Colours(NamedTuple):
    """Colours as #rrggbb.

    Args:
        window, base, text, faint: of the theme.
        accent: selection and bars.
        good: the first line of plots and the cache.
        second: other lines.
        bad: worst frames and errors.
        grid: lines of plots.
        band: the loop on the timeline.
    """

    window: str
    base: str
    text: str
    faint: str
    accent: str
    good: str
    second: str
    bad: str
    grid: str
    band: str


_DARK = Colours(
    "#1b1d21", "#131518", "#e6e8ec", "#8d939e", "#4c8dff", "#4cc38a", "#f0a33a", "#ff6b6b", "#2c3037", "#24324d"
)
_LIGHT = Colours(
    "#f4f5f7", "#ffffff", "#1c1f24", "#6a7280", "#2563eb", "#15803d", "#b45309", "#c81e1e", "#d9dde3", "#d6e4ff"
)


def _is_dark(theme: str) -> bool:
    """Return whether a theme is dark; a system that does not say counts as dark, for pictures look best on it."""
    if theme == "system":
        return QGuiApplication.styleHints().colorScheme() != Qt.ColorScheme.Light
    return theme == "dark"


def colours() -> Colours:
    """Return the colours that go with the palette in use."""
    return _DARK if QGuiApplication.palette().color(QPalette.ColorRole.Window).lightness() < 128 else _LIGHT


def apply_theme(theme: str) -> None:
    """Set style and palette of the application.

    Args:
        theme: one of `app.core.settings.THEMES`.
    """
    chosen = _DARK if _is_dark(theme) else _LIGHT
    palette, role = QPalette(), QPalette.ColorRole
    for name, colour in (
        (role.Window, chosen.window),
        (role.WindowText, chosen.text),
        (role.Base, chosen.base),
        (role.AlternateBase, chosen.window),
        (role.Text, chosen.text),
        (role.Button, chosen.grid),
        (role.ButtonText, chosen.text),
        (role.BrightText, chosen.bad),
        (role.Highlight, chosen.accent),
        (role.HighlightedText, "#ffffff"),
        (role.ToolTipBase, chosen.window),
        (role.ToolTipText, chosen.text),
        (role.PlaceholderText, chosen.faint),
        (role.Link, chosen.accent),
        (role.Mid, chosen.grid),
        (role.Dark, chosen.grid),
        (role.Light, chosen.grid),
        (role.Shadow, chosen.base),
    ):
        palette.setColor(name, QColor(colour))
    for name in (role.Text, role.ButtonText, role.WindowText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(chosen.faint))
    QApplication.setStyle("Fusion")
    QApplication.setPalette(palette)
    boxes = QPalette(palette)
    boxes.setColor(role.Base, QColor(chosen.grid))  # an empty box on a dark window is not to be seen otherwise
    QApplication.setPalette(boxes, "QCheckBox")  # type: ignore[arg-type]  # the stubs want bytes, Qt takes text only
