"""Questions to the user: files, texts, numbers. One class, so that tests answer in its place."""

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

        Args:
            parent: the window.
            title: of the dialog.
            usual: name that is offered.
            kinds: filter as Qt writes it.
        """
        return QFileDialog.getSaveFileName(parent, title, usual, kinds)[0]

    def text(self, parent: QWidget, title: str, question: str) -> str:
        """Return a line of text, or an empty one."""
        answer, ok = QInputDialog.getText(parent, title, question)
        return answer if ok else ""

    def number(self, parent: QWidget, title: str, question: str, value: int, highest: int) -> int | None:
        """Return a number 0 .. highest, or None."""
        answer, ok = QInputDialog.getInt(parent, title, question, value, 0, highest)
        return answer if ok else None
