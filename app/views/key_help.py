"""All keys and what the mouse does, on one page."""

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from app.core.commands import COMMANDS, MENUS
from app.core.keymap import Keymap

__all__ = ["KeyHelp", "help_page"]

_MOUSE = (
    ("Wheel", "zoom at the cursor"),
    ("Drag", "pan"),
    ("Drag the handle, Ctrl+drag", "wipe"),
    ("Shift+drag", "measure a region"),
    ("Double click", "fit"),
    ("Timeline: click, drag", "seek, scrub"),
    ("Timeline: Shift+drag", "loop a range"),
    ("Timeline: wheel", "zoom in time"),
)
_COLUMNS = 3


def help_page(keymap: Keymap) -> str:
    """Return the page as HTML: a block per menu with the commands that have keys, and one for the mouse."""
    blocks = []
    for menu in MENUS:
        rows = [
            (" &nbsp; ".join(f"<b>{escape(key)}</b>" for key in keymap.keys(command.name)), escape(command.title))
            for command in COMMANDS
            if command.menu == menu and keymap.keys(command.name)
        ]
        blocks.append((menu, rows))
    blocks.append(("Mouse", [(f"<b>{escape(what)}</b>", escape(does)) for what, does in _MOUSE]))
    columns: list[list[str]] = [[] for _ in range(_COLUMNS)]
    heights = [0] * _COLUMNS
    for title, rows in sorted(blocks, key=lambda block: -len(block[1])):
        place = heights.index(min(heights))
        heights[place] += len(rows) + 2
        lines = "".join(f"<tr><td>{keys} &nbsp;</td><td>{title}</td></tr>" for keys, title in rows)
        columns[place].append(f"<h3>{title}</h3><table cellspacing=2>{lines}</table>")
    cells = "".join(f'<td valign="top" width="{100 // _COLUMNS}%">{"".join(column)}</td>' for column in columns)
    return f'<table width="100%" cellspacing="16"><tr>{cells}</tr></table>'


class KeyHelp(QDialog):
    """Shows the page.

    Args:
        keymap: the keys in use.
        parent: the window.
    """

    def __init__(self, keymap: Keymap, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(1120, 760)
        page = QTextBrowser()
        page.setHtml(help_page(keymap))
        page.setAccessibleName("Keys and mouse")
        QVBoxLayout(self).addWidget(page)
