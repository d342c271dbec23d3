"""The window's dialogs by name, none of which stops the player; each is imported when it is opened first."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QMessageBox

from nervplay import __version__

if TYPE_CHECKING:
    from app.views.export_dialog import ExportDialog
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
        self._exporting: ExportDialog | None = None
        self._makers: Mapping[str, Callable[[], QDialog]] = {
            "palette": self._palette,
            "keys": self._keys,
            "help": self._help,
            "settings": self._settings,
            "export": self._export,
            "about": self._about,
            "hub": self._hub,
            "push": self._push,
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

    def _palette(self) -> QDialog:
        from app.views.command_palette import CommandPalette

        return CommandPalette(self._window.actions_, self._window.run, self._window)

    def _keys(self) -> QDialog:
        from app.views.key_editor import KeyEditor

        return KeyEditor(self._window.actions_.keymap, self._window.keys_changed, self._window)

    def _help(self) -> QDialog:
        from app.views.key_help import KeyHelp

        return KeyHelp(self._window.actions_.keymap, self._window)

    def _settings(self) -> QDialog:
        from app.views.settings_dialog import SettingsDialog

        return SettingsDialog(self._window.player, self._window.settings_changed, self._window)

    def _hub(self) -> QDialog:
        from app.views.hub_dialog import HubDialog

        return HubDialog(self._window.desk, self._window)

    def _push(self) -> QDialog:
        from app.views.push_dialog import PushDialog

        return PushDialog(self._window.player, self._window.desk, self._window.asker, self._window)

    def _export(self) -> QDialog:
        from app.views.export_dialog import ExportDialog

        dialog = self._exporting = ExportDialog(self._window.player, self._window.asker, self._window)
        dialog.finished_with.connect(lambda _ok, words: self._window.player.say(words))
        dialog.destroyed.connect(lambda *_: self._forget(dialog))
        return dialog

    def _forget(self, dialog: "ExportDialog") -> None:
        """Let go of an export's dialog that is gone."""
        if self._exporting is dialog:
            self._exporting = None

    def _about(self) -> QDialog:
        box = QMessageBox(self._window)
        box.setWindowTitle("About nervplay")
        box.setText(_ABOUT.format(version=__version__, canvas=self._window.canvas.description))
        return box

    def shut_down(self) -> None:
        """Close all, and end what they run."""
        if self._exporting is not None:
            self._exporting.shut_down()
        for dialog in list(self.shown.values()):
            dialog.close()
