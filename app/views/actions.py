"""Actions from the table of commands: one per row, with its keys, enabled when what it needs is there."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenuBar

from app.core.commands import COMMANDS, MENUS, Needs
from app.core.keymap import Keymap, join_keys
from app.core.player import Player

__all__ = ["HELD", "Actions", "available"]

HELD = "flip"
"""The command that lasts as long as its key is held; the canvas listens for its keys itself."""


def available(player: Player, needs: Needs) -> bool:
    """Return whether what a command needs is there."""
    if needs is Needs.CLIP:
        return player.has_clip
    if needs is Needs.PAIR:
        return player.has_pair
    if needs is Needs.NEURAL:
        return player.neural is not None
    if needs is Needs.METRICS:
        track = player.track
        return track is not None and any(item.known for item in track.tracks.values())
    return True


class Actions(QObject):
    """All actions by command name.

    Args:
        player: says what is available.
        handlers: what carries each command out, by name.
        checked: whether a switch is on, by name of the switch.
        parent: owns the actions.
    """

    def __init__(
        self,
        player: Player,
        handlers: Mapping[str, Callable[[], None]],
        checked: Callable[[str], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._player, self._checked = player, checked
        self.keymap = Keymap(player.settings.keys)
        self.by_name: dict[str, QAction] = {}
        for command in COMMANDS:
            action = QAction(command.title, self)
            action.setObjectName(command.name)
            action.setCheckable(command.checked)
            action.triggered.connect(lambda _on=False, run=handlers[command.name]: run())
            action.triggered.connect(self.refresh)
            self.by_name[command.name] = action
        self.apply_keys()
        for event in ("clip", "transport", "view", "options", "metrics"):
            player.events.on(event, self.refresh)
        self.refresh()

    def apply_keys(self) -> None:
        """Give every action the keys that the keymap has now."""
        for command in COMMANDS:
            keys = self.keymap.keys(command.name)
            action = self.by_name[command.name]
            if command.name != HELD:
                action.setShortcuts([QKeySequence(key) for key in keys])
            tip = f"{command.title}. {command.tip}" if command.tip else command.title
            action.setToolTip(f"{tip} ({join_keys(keys)})" if keys else tip)
            action.setStatusTip("")

    def refresh(self) -> None:
        """Enable what is available and tick the switches that are on."""
        for command in COMMANDS:
            action = self.by_name[command.name]
            enabled = available(self._player, command.needs)
            if action.isEnabled() != enabled:
                action.setEnabled(enabled)
            if command.checked:
                on = self._checked(command.name)
                if action.isChecked() != on:
                    action.setChecked(on)

    def fill(self, bar: QMenuBar) -> None:
        """Put all actions into menus, in the order of the table."""
        for title in MENUS:
            menu = bar.addMenu(title)
            menu.setToolTipsVisible(True)
            for command in COMMANDS:
                if command.menu == title:
                    menu.addAction(self.by_name[command.name])
