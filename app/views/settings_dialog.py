"""The settings that have no key: memory for decoded pictures, canvas, device."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QSpinBox, QWidget

from app.core.player import Player
from app.core.settings import CANVASES, MOST_CACHE_MB, THEMES
from nervplay.choices import DEVICES

__all__ = ["SettingsDialog"]


class SettingsDialog(QDialog):
    """Changes settings in place.

    Args:
        player: whose settings are shown and changed, and the device that it uses.
        changed: called when the dialog is accepted.
        parent: the window.
    """

    def __init__(self, player: Player, changed: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._player, self._changed = player, changed
        settings = player.settings
        self.setWindowTitle("Settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        form = QFormLayout(self)
        self.memory = QSpinBox()
        self.memory.setRange(0, MOST_CACHE_MB)
        self.memory.setSingleStep(128)
        self.memory.setSuffix(" MB")
        self.memory.setValue(settings.cache_mb)
        self.memory.setToolTip("A clip that fits plays in real time on its second pass, however slow its decoder is")
        form.addRow("Memory for decoded pictures", self.memory)
        self.theme = self._box(THEMES, settings.theme)
        form.addRow("Theme", self.theme)
        self.canvas = self._box(CANVASES, settings.canvas)
        form.addRow("Canvas (next start)", self.canvas)
        self.device = self._box(DEVICES, player.device)
        form.addRow("Device for networks", self.device)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)
        self.accepted.connect(self._take)

    @staticmethod
    def _box(names: tuple[str, ...], current: str) -> QComboBox:
        box = QComboBox()
        box.addItems(list(dict.fromkeys((*names, current))))  # cuda:1 is not in the list, and stays
        box.setCurrentText(current)
        return box

    def _take(self) -> None:
        """Keep what was chosen."""
        player, settings = self._player, self._player.settings
        settings.cache_mb = self.memory.value()
        settings.theme, settings.canvas = self.theme.currentText(), self.canvas.currentText()
        if self.device.currentText() != player.device:  # one that only this run was started with is not kept
            player.device = settings.device = self.device.currentText()
        self._changed()
