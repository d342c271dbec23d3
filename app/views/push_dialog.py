"""The push dialog: the neural video that is open, published on the Hub with pictures, figures and variants."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QPushButton,
    QWidget,
)

from app.core.facts import human_size
from app.core.player import Player
from app.core.publishing import LICENCES, Preview, PushForm, Stage, variant_name
from app.core.sources import Kind
from app.views.asking import Asker
from app.workers.hub_desk import HubDesk
from nervplay.errors import UsageError

__all__ = ["PushDialog"]

_FILES = "Neural videos (*.nerv *.safetensors);;All files (*)"
_CLIPS = "Videos (*.mp4 *.mkv *.mov *.webm *.avi *.y4m);;All files (*)"
_PREVIEWS = (
    ("The neural video", Preview.DECODED),
    ("Source and neural video, side by side", Preview.BESIDE),
    ("No pictures", Preview.NONE),
)


class PushDialog(QDialog):
    """A form over the window's publisher; closing it stops nothing.

    Args:
        player: whose neural video is published.
        desk: connection and publisher.
        asker: asks for files.
        parent: the window.
    """

    def __init__(self, player: Player, desk: HubDesk, asker: Asker, parent: QWidget) -> None:
        super().__init__(parent)
        self._player, self._desk, self._asker = player, desk, asker
        self._variants: dict[str, Path] = {}
        self._asked_who = False
        self.setWindowTitle("Publish on the Hub")
        self.setMinimumWidth(560)
        self._form = QFormLayout(self)
        self._file = self._find_file()
        self._add_names()
        self._add_licence()
        self._add_source()
        self._add_variants()
        self._add_foot()
        desk.changed.connect(self.refresh)
        desk.connect_hub()
        self.refresh()

    def _find_file(self) -> Path | None:
        """Return the file that is published: the neural video's, where it is a .nerv file."""
        facts = self._player.neural.facts if self._player.neural is not None else None
        return Path(facts.path) if facts is not None and facts.path and facts.kind != Kind.OFFICIAL.value else None

    # Building

    def _line(self, row: str, hint: str, text: str = "") -> QLineEdit:
        field = QLineEdit(text)
        field.setPlaceholderText(hint)
        field.setAccessibleName(row)
        self._form.addRow(row, field)
        return field

    def _add_names(self) -> None:
        size = f", {human_size(self._file.stat().st_size)}" if self._file is not None and self._file.exists() else ""
        self.file = QLabel(f"{self._file.name}{size}" if self._file is not None else "no .nerv file is open")
        self.file.setToolTip(str(self._file or ""))
        self.file.setTextFormat(Qt.TextFormat.PlainText)
        self.file.setWordWrap(True)
        self._form.addRow("File", self.file)
        self.login = QLabel()
        self.login.setTextFormat(Qt.TextFormat.PlainText)
        self.login.setWordWrap(True)
        self.login.setAccessibleName("Login")
        self.again = QPushButton("Look &again")
        self.again.setAutoDefault(False)
        self.again.setToolTip("After `nervplay hub login` in a terminal")
        self.again.clicked.connect(self._ask_who)
        row = QHBoxLayout()
        row.addWidget(self.login, 1)
        row.addWidget(self.again)
        self._form.addRow("Login", row)
        self.repository = self._line("Repository", "user/name")
        self.repository.textChanged.connect(lambda _text: self.refresh())
        self.private = QCheckBox("&Private: only you can see it, until you change that on its page")
        self.private.setChecked(True)
        self._form.addRow("", self.private)
        self.title = self._line("Title", "heading of the page; the name of the repository where it is empty")
        self.tag = self._line("Version", "a name for this version, as v1; may be empty")

    def _add_licence(self) -> None:
        self.licence = QComboBox()
        self.licence.setEditable(True)
        self.licence.addItems(LICENCES)
        self.licence.setAccessibleName("Licence of the clip")
        editor = self.licence.lineEdit()
        assert editor is not None
        editor.setPlaceholderText("of the clip, as the Hub names it; empty: not told")
        self._form.addRow("Licence", self.licence)
        self.credit = self._line("Credit", "whose clip it is and where it comes from")

    def _add_source(self) -> None:
        self.source = QComboBox()
        self.source.setAccessibleName("Source to measure against")
        self.source.addItem("None: no figures on the page", None)
        a = self._player.slots[0].ref
        if a is not None and a.kind is Kind.VIDEO:
            self.source.addItem(f"A: {a.title}", a.text)
            self.source.setCurrentIndex(1)
        self.source.addItem("Choose a file…", "")
        self.source.activated.connect(self._choose_source)
        self._form.addRow("Measure against", self.source)
        self.preview = QComboBox()
        self.preview.setAccessibleName("What the preview shows")
        for words, kind in _PREVIEWS:
            self.preview.addItem(words, kind)
        self._form.addRow("Preview of", self.preview)

    def _add_variants(self) -> None:
        self.variants = QListWidget()
        self.variants.setAccessibleName("Variants: other rates of the clip")
        self.variants.setMaximumHeight(64)
        add, remove = QPushButton("Add a &variant…"), QPushButton("&Remove")
        add.setToolTip("The same clip at another rate")
        add.clicked.connect(self._add_variant)
        remove.clicked.connect(self._remove_variant)
        row = QHBoxLayout()
        for button in (add, remove):
            button.setAutoDefault(False)
            row.addWidget(button)
        row.addStretch(1)
        self._form.addRow("Variants", self.variants)
        self._form.addRow("", row)

    def _add_foot(self) -> None:
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the push")
        self._form.addRow(self.bar)
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        self.note.setAccessibleName("State of the push")
        self._form.addRow(self.note)
        row = QHBoxLayout()
        row.addStretch(1)
        self.push_button = QPushButton("P&ublish")
        self.push_button.clicked.connect(self.start)
        self.stop_button = QPushButton("Close")
        self.stop_button.clicked.connect(self._stop)
        for button in (self.push_button, self.stop_button):
            button.setAutoDefault(False)
            row.addWidget(button)
        self._form.addRow(row)

    # Doing

    def _ask_who(self) -> None:
        if self._desk.publisher is not None:
            self._desk.publisher.ask_who()
        else:
            self._desk.connect_hub()

    def _choose_source(self, place: int) -> None:
        """Ask for the source clip."""
        if self.source.itemData(place) != "":
            return
        path = self._asker.open_file(self, "Source clip", _CLIPS)
        if path:
            self.source.insertItem(place, Path(path).name, path)
        self.source.setCurrentIndex(place if path else 0)

    def _add_variant(self) -> None:
        path = self._asker.open_file(self, "Variant", _FILES)
        if path:
            name = variant_name(Path(path), self._variants)
            self._variants[name] = Path(path)
            self.variants.addItem(f"{name}: {path}")

    def _remove_variant(self) -> None:
        place = self.variants.currentRow()
        if place >= 0:
            self.variants.takeItem(place)
            del self._variants[list(self._variants)[place]]

    def form(self) -> PushForm:
        """Return what was asked for."""
        assert self._file is not None, "the button is off without a file"
        source = self.source.currentData()
        return PushForm(
            file=self._file,
            repository=self.repository.text().strip(),
            private=self.private.isChecked(),
            title=self.title.text().strip(),
            license=self.licence.currentText().strip(),
            credit=self.credit.text().strip(),
            tag=self.tag.text().strip(),
            variants=dict(self._variants),
            source=Path(source) if source else None,
            preview=Preview(self.preview.currentData()),
            device=self._player.device,
        )

    def start(self) -> None:
        """Publish; what cannot be is said in the dialog and in the banner."""
        if self._desk.publisher is None:
            return
        try:
            self._desk.publisher.start(self.form())
        except UsageError as error:
            self.note.setText(str(error))
            self._player.say(str(error))

    def _stop(self) -> None:
        """Stop what goes on; else close."""
        publisher = self._desk.publisher
        if publisher is not None and publisher.stage is not Stage.IDLE:
            publisher.cancel()
        else:
            self.close()

    def refresh(self) -> None:
        """Show login and progress as they are now."""
        publisher = self._desk.publisher
        if publisher is not None and not self._asked_who:
            self._asked_who = True
            publisher.ask_who()
            return
        self.login.setText(self._login_words())
        running = publisher is not None and publisher.stage is not Stage.IDLE
        ready = publisher is not None and publisher.account is not None and self._file is not None
        self.push_button.setEnabled(ready and not running and "/" in self.repository.text())
        self.again.setVisible(publisher is None or bool(publisher.login_problem))
        self.stop_button.setText("Stop" if running else "Close")
        self.bar.setVisible(running)
        if publisher is not None:
            self.bar.setRange(0, publisher.total)
            self.bar.setValue(publisher.done)
            self.note.setText(self._desk.notice if running and self._desk.notice else publisher.words)
        if self._file is None:
            self.note.setText("only a .nerv file can be published; turn a checkpoint into one with `nervplay import`")
        self._offer_name()

    def _login_words(self) -> str:
        """Return who is logged in, and where, if that is another Hub than the official one."""
        publisher, hub = self._desk.publisher, self._desk.hub
        if publisher is None:
            return self._desk.problem or "connecting …"
        where = f" at {hub.endpoint} (not huggingface.co)" if hub is not None and not hub.is_official else ""
        if publisher.account is not None:
            role = f", a token that can {publisher.account.role}" if publisher.account.role else ""
            return f"{publisher.account.name}{role}{where}"
        return f"{publisher.login_problem or 'asking the Hub …'}{where}"

    def _offer_name(self) -> None:
        """Write "user/file" into an empty name, once the user is known."""
        publisher = self._desk.publisher
        if publisher is None or publisher.account is None or self.repository.text() or self.repository.isModified():
            return
        stem = variant_name(self._file, {}) if self._file is not None else ""
        self.repository.setText(f"{publisher.account.name}/{stem}" if stem else "")

    def keyPressEvent(self, event: Any) -> None:
        """Escape stops first, then closes."""
        if event.key() == Qt.Key.Key_Escape:
            self._stop()
        else:
            super().keyPressEvent(event)
