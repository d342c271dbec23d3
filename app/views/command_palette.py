"""The command palette: type a few letters, take a command with Enter."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.core.commands import COMMANDS
from app.core.keymap import join_keys
from app.views.actions import Actions

__all__ = ["CommandPalette", "ranked"]


def ranked(text: str, titles: list[str]) -> list[int]:
    """Return the places of titles that hold all words of `text`, best first: words at beginnings count most.

    Args:
        text: what was typed.
        titles: what may be meant.
    """
    words = text.lower().split()
    scored = []
    for place, title in enumerate(titles):
        low = title.lower()
        if all(word in low for word in words):
            starts = sum(low.startswith(word) or f" {word}" in low for word in words)
            scored.append((-starts, place))
    return [place for _, place in sorted(scored)]


class CommandPalette(QDialog):
    """A list of commands that gets shorter as one types.

    Args:
        actions: what can be done.
        run: carries a command out, by name.
        parent: the window.
    """

    def __init__(self, actions: Actions, run: Callable[[str], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._run = run
        self.setWindowTitle("Commands")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(520, 420)
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type the name of a command")
        self.field.setAccessibleName("Name of a command")
        self.list = QListWidget()
        self.list.setAccessibleName("Commands")
        column = QVBoxLayout(self)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self._commands = [command for command in COMMANDS if actions.by_name[command.name].isEnabled()]
        self._keys = [join_keys(actions.keymap.keys(command.name)) for command in self._commands]
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._take)
        self.list.itemActivated.connect(self._take)
        self.list.itemClicked.connect(self._take)
        self.field.installEventFilter(self)
        self._filter("")

    def _filter(self, text: str) -> None:
        self.list.clear()
        titles = [f"{command.menu}: {command.title}" for command in self._commands]
        for place in ranked(text, titles):
            keys = f"    {self._keys[place]}" if self._keys[place] else ""
            item = QListWidgetItem(titles[place] + keys)
            item.setData(Qt.ItemDataRole.UserRole, self._commands[place].name)
            item.setToolTip(self._commands[place].tip)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _take(self) -> None:
        """Close, then carry out what is selected."""
        item = self.list.currentItem()
        name = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        self.close()
        if name is not None:
            self._run(name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrow keys move in the list while the field has the cursor."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Down.value: 1, Qt.Key.Key_Up.value: -1}.get(event.key())
            if steps is not None:
                self.list.setCurrentRow(min(self.list.count() - 1, max(0, self.list.currentRow() + steps)))
                return True
        return super().eventFilter(watched, event)
