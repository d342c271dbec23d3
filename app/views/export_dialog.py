"""Export from the window: what, how, where; then a bar with a way to stop. The work is done by a child process."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QWidget,
)

from app.core.player import Player
from app.core.sources import Kind
from app.views.asking import Asker
from app.workers.exporting import ExportJob
from nervplay.choices import EXPORT_CRF

__all__ = ["ExportDialog"]

_WHAT = (
    ("{0} alone", ""),
    ("A and {0} side by side", "side-by-side"),
    ("A above {0}", "stacked"),
    ("Difference", "difference"),
)
_ENCODERS = (("H.264 (x264)", "libx264"), ("H.265 (x265)", "libx265"), ("AV1 (SVT)", "libsvtav1"))


class ExportDialog(QDialog):
    """Asks what to export, runs it, shows how far it is.

    Args:
        player: whose B is exported.
        asker: asks for the file.
        parent: the window.
    """

    finished_with = Signal(bool, str)
    """Whether a file was written, and one line for the user."""

    def __init__(self, player: Player, asker: Asker, parent: QWidget) -> None:
        super().__init__(parent)
        self._player, self._asker = player, asker
        self.job: ExportJob | None = None
        self._leaving = False
        self.setWindowTitle("Export video")
        self.setMinimumWidth(420)
        form = QFormLayout(self)
        self.what = QComboBox()
        for title, layout in _WHAT:
            if not layout or self._reference() is not None:
                self.what.addItem(title.format(player.neural.name if player.neural is not None else "B"), layout)
        form.addRow("What", self.what)
        self.encoder = QComboBox()
        for title, name in _ENCODERS:
            self.encoder.addItem(title, name)
        form.addRow("Encoder", self.encoder)
        self.quality = QSpinBox()
        self.encoder.currentIndexChanged.connect(self._usual_quality)
        self._usual_quality()
        form.addRow("Quality (CRF)", self.quality)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the export")
        self.bar.hide()
        form.addRow(self.bar)
        self.note = QLabel("Sound is copied where there is some.")
        self.note.setWordWrap(True)
        form.addRow(self.note)
        row = QHBoxLayout()
        row.addStretch(1)
        self.start_button = QPushButton("Export…")
        self.start_button.clicked.connect(self.ask)
        self.stop_button = QPushButton("Close")
        self.stop_button.clicked.connect(self._stop)
        row.addWidget(self.start_button)
        row.addWidget(self.stop_button)
        form.addRow(row)

    def _usual_quality(self) -> None:
        """Offer the scale of the encoder that was chosen, at its usual place; a number means something else in each."""
        scale = EXPORT_CRF[self.encoder.currentData()]
        self.quality.setRange(0, scale.most)
        self.quality.setValue(scale.usual)
        self.quality.setToolTip(f"The encoder's own scale, 0 to {scale.most}; smaller is better")

    def _reference(self) -> str | None:
        """Return the path of A where it is a video."""
        ref = self._player.slots[0].ref
        return ref.text if ref is not None and ref.kind is Kind.VIDEO else None

    def _source(self) -> dict[str, Any] | None:
        """Return what the child opens: a .nerv file, or a checkpoint with its command line and its clip."""
        neural = self._player.neural
        if neural is None or neural.facts is None or neural.ref is None:
            return None
        if neural.ref.kind is Kind.OFFICIAL:
            reference = self._player.request_of(neural).reference
            clip = reference.text if reference is not None else None
            return {"file": neural.ref.text, "official": neural.ref.arguments, "reference": clip}
        return {"file": neural.facts.path, "official": "", "reference": None} if neural.facts.path else None

    def ask(self) -> None:
        """Ask where to, and start."""
        source = self._source()
        if source is None:
            self.note.setText("only a neural video in a file can be exported; open a .nerv file or a checkpoint as B")
            return
        usual = Path(source["file"]).with_suffix(".mp4").name
        target = self._asker.save_file(self, "Export video", usual, "Video (*.mp4 *.mov *.mkv)")
        if target:
            self.start(target)

    def start(self, target: str) -> None:
        """Start the child process.

        Args:
            target: the file to write.
        """
        neural, source = self._player.neural, self._source()
        if neural is None or neural.facts is None or source is None:
            return
        facts = neural.facts
        layout = self.what.currentData()
        job: dict[str, Any] = {
            **source,
            "target": target if Path(target).suffix else f"{target}.mp4",
            "beside": self._reference() if layout else None,
            "layout": layout,
            "encoder": self.encoder.currentData(),
            "crf": self.quality.value(),
            "precision": facts.precision,
            "device": facts.device,
        }
        self.job = ExportJob(job, self)
        self.job.progressed.connect(self._progress)
        self.job.ended.connect(self._end)
        for widget in (self.what, self.encoder, self.quality, self.start_button):
            widget.setEnabled(False)
        self.stop_button.setText("Cancel")
        self.bar.setRange(0, 0)
        self.bar.show()
        self.note.setText(f"Writing {job['target']}")
        self.job.start()

    def _progress(self, done: int, total: int, _step: str) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _end(self, ok: bool, message: str) -> None:
        for widget in (self.what, self.encoder, self.quality, self.start_button):
            widget.setEnabled(True)
        self.stop_button.setText("Close")
        self.bar.hide()
        self.note.setText(message)
        self.finished_with.emit(ok, message)
        if self._leaving:
            self.close()

    def _stop(self) -> None:
        """Cancel what runs; else close."""
        if self.job is not None and self.job.running:
            self.job.cancel()
        else:
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Cancel what runs, and close when it has cleaned up."""
        if self.job is not None and self.job.running:
            self._leaving = True
            self.job.cancel()
            event.ignore()

    def shut_down(self) -> None:
        """End the child process and wait for it."""
        if self.job is not None:
            self.job.wait()

    def keyPressEvent(self, event: Any) -> None:
        """Escape cancels first, then closes."""
        if event.key() == Qt.Key.Key_Escape:
            self._stop()
        else:
            super().keyPressEvent(event)
