"""The key editor: every command with its keys; a key that another command has is refused until it is taken over."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.core.commands import COMMANDS, MENUS
from app.core.keymap import Keymap, join_keys

__all__ = ["KeyEditor"]


class KeyEditor(QDialog):
    """Shows and changes a keymap.

    Args:
        keymap: changed in place.
        changed: called after every change.
        parent: the window.
    """

    def __init__(self, keymap: Keymap, changed: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._keymap, self._changed = keymap, changed
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 560)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["Command", "Keys"])
        self.tree.setColumnWidth(0, 340)
        self.tree.setAccessibleName("Commands and keys")
        self._items: dict[str, QTreeWidgetItem] = {}
        for menu in MENUS:
            group = QTreeWidgetItem(self.tree, [menu])
            group.setExpanded(True)
            for command in COMMANDS:
                if command.menu == menu:
                    item = QTreeWidgetItem(group, [command.title, join_keys(keymap.keys(command.name))])
                    item.setData(0, Qt.ItemDataRole.UserRole, command.name)
                    self._items[command.name] = item
        self.edit = QKeySequenceEdit()
        self.edit.setMaximumSequenceLength(1)
        self.edit.setAccessibleName("New key")
        self.note = QLabel(" ")
        self.note.setWordWrap(True)
        self.note.setAccessibleName("Conflict")
        row = QHBoxLayout()
        row.addWidget(QLabel("New key:"))
        row.addWidget(self.edit, 1)
        self.buttons: dict[str, QPushButton] = {}
        for name, title, run in (
            ("add", "Add", self._add),
            ("take", "Take over", self._take),
            ("clear", "No key", self._clear),
            ("reset", "Usual keys", self._reset),
        ):
            button = QPushButton(title)
            button.setAutoDefault(False)
            button.clicked.connect(run)
            self.buttons[name] = button
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.addWidget(self.tree)
        column.addWidget(self.note)
        column.addLayout(row)
        self.edit.keySequenceChanged.connect(self._check)
        self.tree.currentItemChanged.connect(self._check)
        self._check()

    @property
    def selected(self) -> str:
        """Name of the selected command; empty for none."""
        item = self.tree.currentItem()
        return str(item.data(0, Qt.ItemDataRole.UserRole) or "") if item is not None else ""

    def select(self, name: str) -> None:
        """Select a command."""
        self.tree.setCurrentItem(self._items[name])

    def _key(self) -> str:
        return self.edit.keySequence().toString(QKeySequence.SequenceFormat.PortableText)

    def _check(self) -> None:
        """Say whether the key is free, and enable what can be done."""
        name, key = self.selected, self._key()
        owner = self._keymap.owner(key, besides=name) if key else None
        titles = {command.name: command.title for command in COMMANDS}
        self.note.setText(f"{key} belongs to '{titles[owner]}'" if owner else " ")
        self.buttons["add"].setEnabled(bool(name and key and not owner))
        self.buttons["take"].setEnabled(bool(name and key and owner))
        self.buttons["clear"].setEnabled(bool(name and self._keymap.keys(name)))
        self.buttons["reset"].setEnabled(bool(name))

    def _assign(self, keys: tuple[str, ...], *, take: bool = False) -> None:
        conflicts = self._keymap.assign(self.selected, keys, take=take)
        self.edit.clear()
        self._refresh()
        if conflicts:
            self.note.setText("; ".join(conflicts))

    def _add(self) -> None:
        self._assign((*self._keymap.keys(self.selected), self._key()))

    def _take(self) -> None:
        self._assign((*self._keymap.keys(self.selected), self._key()), take=True)

    def _clear(self) -> None:
        self._assign(())

    def _reset(self) -> None:
        conflicts = self._keymap.reset(self.selected)
        self._refresh()
        if conflicts:
            self.note.setText("; ".join(conflicts))

    def _refresh(self) -> None:
        for name, item in self._items.items():
            item.setText(1, join_keys(self._keymap.keys(name)))
        self._check()
        self._changed()
