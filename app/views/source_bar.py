"""The row above the canvas: what is A and B, recent sources to choose from, precision and device of the network."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QWidget

from app.core.facts import Choice
from app.core.player import Player
from app.core.slot import Slot
from app.core.sources import parse_source
from nervplay.errors import NervplayError

__all__ = ["SourceBar"]


class SourceBar(QWidget):
    """Shows and changes the sources.

    Args:
        player: whose slots.
        parent: the widget around it.
    """

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 8, 4)
        self.sources = [self._source_box(number) for number in range(2)]
        self.precision = self._choice_box("Precision of the network", self._choose_precision)
        self.device = self._choice_box("Device of the network", self._choose_device)
        for number, letter in enumerate("AB"):
            label = QLabel(f"<b>{letter}</b>")
            label.setBuddy(self.sources[number])
            row.addWidget(label)
            row.addWidget(self.sources[number], 1)
        row.addWidget(self.precision)
        self.preparing = QProgressBar()
        self.preparing.setAccessibleName("How far a precision is made ready")
        self.preparing.setFixedWidth(110)
        self.preparing.hide()
        row.addWidget(self.preparing)
        row.addWidget(self.device)
        for event in ("clip", "options"):
            player.events.on(event, self.refresh)
        player.events.on("preparing", self._show_preparing)
        self.refresh()

    def _source_box(self, number: int) -> QComboBox:
        box = QComboBox()
        box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        box.setMinimumContentsLength(12)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.setAccessibleName(f"Source {'AB'[number]}")
        box.activated.connect(lambda place: self._choose_source(number, place))
        return box

    def _choice_box(self, name: str, choose: object) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(name)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.activated.connect(choose)
        return box

    def refresh(self) -> None:
        """Show what is open and what may be chosen."""
        for number, box in enumerate(self.sources):
            slot = self._player.slots[number]
            box.clear()
            box.addItem(_title(slot), None)
            for text in self._player.settings.recent:
                if slot.ref is None or text != str(slot.ref):
                    box.addItem(_short(text), text)
            box.setToolTip(_tip(slot))
        neural = self._player.neural
        facts = neural.facts if neural is not None else None
        self._fill(self.precision, facts.precisions if facts else (), facts.precision if facts else "")
        self._fill(self.device, facts.devices if facts else (), facts.device if facts else "")

    def _show_preparing(self) -> None:
        """Show how far INT8 of the network is, beside the precision; playing goes on meanwhile."""
        neural = self._player.neural
        precision, part = neural.preparing if neural is not None else ("", 0.0)
        self.preparing.setVisible(bool(precision))
        self.preparing.setFormat(f"{precision.upper()} %p %")
        self.preparing.setValue(round(100 * part))

    @staticmethod
    def _fill(box: QComboBox, choices: tuple[Choice, ...], current: str) -> None:
        """Offer choices; those that are not here are greyed and say why."""
        box.clear()
        box.setVisible(bool(choices))
        model = box.model()
        assert isinstance(model, QStandardItemModel)
        for place, choice in enumerate(choices):
            box.addItem(choice.name.upper(), choice.name)
            item = model.item(place)
            item.setEnabled(not choice.reason)
            item.setToolTip(choice.reason)
            if choice.name == current or (place == 0 and not current):
                box.setCurrentIndex(place)
        refused = [f"{choice.name.upper()}: {choice.reason}" for choice in choices if choice.reason]
        box.setToolTip("\n".join([box.accessibleName(), *refused]))

    def _choose_source(self, number: int, place: int) -> None:
        text = self.sources[number].itemData(place)
        if text is None:
            return
        try:
            self._player.open(self._player.slots[number], parse_source(text))
        except NervplayError as error:
            self._player.say(str(error))

    def _choose_precision(self, place: int) -> None:
        self._player.set_precision(self.precision.itemData(place))

    def _choose_device(self, place: int) -> None:
        self._player.set_device(self.device.itemData(place))


def _short(text: str) -> str:
    """Return the end of a long path."""
    return text if len(text) <= 60 else "…" + text[-59:]


def _title(slot: Slot) -> str:
    """Return what a slot is, in a few words."""
    if slot.opening and slot.ref is not None:
        return f"opening {slot.ref.title} …"
    if slot.facts is None:
        return "nothing open"
    offset = f"   {slot.offset:+d} frames" if slot.offset else ""
    spec = slot.facts.spec
    size = f"   as {spec.width}x{spec.height}" if slot.facts.whole_size else ""
    return f"{slot.facts.title}{size}{offset}"


def _tip(slot: Slot) -> str:
    if slot.facts is None:
        return "Open a source from the File menu, drop a file on the canvas, or choose a recent one"
    spec = slot.facts.spec
    whole = slot.facts.whole_size
    size = f"{spec.width}x{spec.height}" + (
        f" for the neural video, {whole[0]}x{whole[1]} in the file" if whole else ""
    )
    return f"{slot.ref}\n{size}, {spec.frame_count} frames, {float(spec.rate):g} frames/s"
