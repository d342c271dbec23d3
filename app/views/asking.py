"""Questions to the user: files, texts, numbers. One class, so that tests answer in its place."""

from pathlib import PurePath

from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

__all__ = ["Asker"]


class Asker:
    """Asks with the system's dialogs. An empty answer means that the user thought better of it."""

    def open_file(self, parent: QWidget, title: str, kinds: str) -> str:
        """Return the path of an existing file, or an empty text.

        Args:
            parent: the window.
            title: of the dialog.
            kinds: filter as Qt writes it.
        """
        return QFileDialog.getOpenFileName(parent, title, "", kinds)[0]

    def save_file(self, parent: QWidget, title: str, usual: str, kinds: str) -> str:
        """Return the path of a file to write; the dialog has asked before an existing one is replaced.

        A name without an ending gets that of `usual` in the dialog: what it asks about is what will be written.

        Args:
            parent: the window.
            title: of the dialog.
            usual: name that is offered.
            kinds: filter as Qt writes it.
        """
        dialog = QFileDialog(parent, title, "", kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(PurePath(usual).suffix.removeprefix("."))
        dialog.selectFile(usual)
        return dialog.selectedFiles()[0] if dialog.exec() else ""

    def text(self, parent: QWidget, title: str, question: str) -> str:
        """Return a line of text, or an empty one."""
        answer, ok = QInputDialog.getText(parent, title, question)
        return answer if ok else ""

    def number(self, parent: QWidget, title: str, question: str, value: int, highest: int) -> int | None:
        """Return a number 0 .. highest, or None."""
        answer, ok = QInputDialog.getInt(parent, title, question, value, 0, highest)
        return answer if ok else None
