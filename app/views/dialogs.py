"""The window's dialogs by name, none of which stops the player."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QMessageBox

from app.views.command_palette import CommandPalette
from app.views.export_dialog import ExportDialog
from app.views.hub_dialog import HubDialog
from app.views.key_editor import KeyEditor
from app.views.key_help import KeyHelp
from app.views.push_dialog import PushDialog
from app.views.settings_dialog import SettingsDialog
from nervplay import __version__

if TYPE_CHECKING:
    from app.views.main_window import MainWindow

__all__ = ["Dialogs"]

_ABOUT = (
    "<b>nervplay {version}</b><br>Neural video beside its source.<br><br>Canvas: {canvas}<br>Apache-2.0. "
    "Uses Qt for Python (LGPL-3.0), PyTorch and FFmpeg.<br>Big Buck Bunny © Blender Foundation, CC BY 3.0."
)


class Dialogs:
    """Opens them, one of each kind at a time.

    Args:
        window: their parent.
    """

    def __init__(self, window: "MainWindow") -> None:
        self._window = window
        self.shown: dict[str, QDialog] = {}
        self._makers: Mapping[str, Callable[[], QDialog]] = {
            "palette": lambda: CommandPalette(window.actions_, window.run, window),
            "keys": lambda: KeyEditor(window.actions_.keymap, window.keys_changed, window),
            "help": lambda: KeyHelp(window.actions_.keymap, window),
            "settings": lambda: SettingsDialog(window.player.settings, window.settings_changed, window),
            "export": self._export,
            "about": self._about,
            "hub": lambda: HubDialog(window.desk, window),
            "push": lambda: PushDialog(window.player, window.desk, window.asker, window),
        }

    def open(self, name: str) -> None:
        """Show a dialog; one that is open already comes to the front."""
        dialog = self.shown.get(name)
        if dialog is None:
            dialog = self._makers[name]()
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.shown[name] = dialog
            dialog.destroyed.connect(lambda *_: self.shown.pop(name, None))
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _export(self) -> QDialog:
        dialog = ExportDialog(self._window.player, self._window.asker, self._window)
        dialog.finished_with.connect(lambda _ok, words: self._window.player.say(words))
        return dialog

    def _about(self) -> QDialog:
        box = QMessageBox(self._window)
        box.setWindowTitle("About nervplay")
        box.setText(_ABOUT.format(version=__version__, canvas=self._window.canvas.description))
        return box

    def shut_down(self) -> None:
        """Close all, and end what they run."""
        for dialog in list(self.shown.values()):
            if isinstance(dialog, ExportDialog):
                dialog.shut_down()
            dialog.close()
