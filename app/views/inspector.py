"""Figures: quality of the frame on the screen, what B is and costs, how fast it decodes, stages, rate, distortion."""

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFormLayout, QGroupBox, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.core.facts import human_rate, human_size
from app.core.pictures import region_psnr, same_size
from app.core.player import Player
from app.core.tracks import Track
from app.views.rd_plot import RdPlot
from app.views.stage_bars import StageBars

__all__ = ["Inspector"]

_REFRESH = 250
"""Milliseconds between two looks at decode figures."""

_QUALITY = ("PSNR", "MS-SSIM", "VMAF", "Region", "Worst")
_MODEL = ("Network", "Size", "Rate", "Weights", "Stored", "Cost")
_DECODE = ("Now", "Latency", "Shown", "Memory")


class Inspector(QScrollArea):
    """The dock of figures.

    Args:
        player: whose figures.
        parent: the widget around it.
    """

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Inspector")
        inside = QWidget()
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(8, 4, 8, 8)
        self._values: dict[str, QLabel] = {}
        self._quality = self._group("Quality of B against A", _QUALITY)
        self._model = self._group("Neural video", _MODEL)
        self._decode = self._group("Decoding", _DECODE)
        self._add_stages()
        self.plot = RdPlot(player)
        plot_group = QGroupBox("Rate and distortion (click: load as B)")
        QVBoxLayout(plot_group).addWidget(self.plot)
        self._column.addWidget(plot_group, 1)
        self.setWidget(inside)
        self.setMinimumWidth(290)
        for event in ("metrics", "frame", "view"):
            player.events.on(event, self._show_quality)
        player.events.on("clip", self.refresh)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH)
        self._timer.timeout.connect(self._show_decode)
        self._timer.start()
        self.refresh()

    def _group(self, title: str, names: tuple[str, ...]) -> QGroupBox:
        box = QGroupBox(title)
        form = QFormLayout(box)
        form.setContentsMargins(8, 4, 8, 4)
        form.setVerticalSpacing(2)
        for name in names:
            value = QLabel("-")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setAccessibleName(name)
            value.setWordWrap(True)
            form.addRow(name, value)
            self._values[name] = value
        self._column.addWidget(box)
        return box

    def _add_stages(self) -> None:
        box = QGroupBox("Stages of a frame, one by one")
        inside = QVBoxLayout(box)
        inside.setContentsMargins(8, 4, 8, 4)
        self._stages = StageBars()
        self._time = QPushButton("Time the stages")
        self._time.clicked.connect(self._player.time_stages)
        inside.addWidget(self._stages)
        inside.addWidget(self._time)
        self._stage_group = box
        self._column.addWidget(box)

    def _set(self, name: str, words: str) -> None:
        if self._values[name].text() != words:
            self._values[name].setText(words)

    def refresh(self) -> None:
        """Show everything anew."""
        self._show_model()
        self._show_quality()
        self._show_decode()

    def _show_quality(self) -> None:
        player = self._player
        track = player.track
        self._quality.setVisible(player.has_pair)
        if track is None:
            return
        if not player.comparable:
            for name in _QUALITY:
                self._set(name, "A and B have different sizes" if name == "PSNR" else "-")
            return
        frame = player.shown_frame
        psnr = track.tracks["psnr"]
        here = player.measurable_at(player.slots[1], frame)
        self._set("PSNR", _metric_words(psnr, frame, "dB", 2) if here else "A and B do not both have this frame")
        ticket = player.quality.ticket(*player.slots[:2])
        similarity = track.tracks["ms-ssim"]
        small = not similarity.known and player.quality.has_none(ticket, "ms-ssim")
        words = "these pictures are too small for it" if small else _metric_words(similarity, frame, "", 4)
        self._set("MS-SSIM", words)
        self._set("VMAF", self._vmaf_words(track.tracks["vmaf"], frame))
        worst = psnr.worst()
        self._set("Worst", "-" if worst is None else f"{psnr.get(worst):.2f} dB at frame {worst}")
        a, b = player.pictures[:2]
        words = "Shift+drag on the picture"
        if player.region is not None and a is not None and b is not None and same_size(a, b):
            x, y, width, height = player.region
            words = f"{region_psnr(a, b, player.region):.2f} dB in {width}x{height} at {x}, {y}"
        self._set("Region", words)

    def _vmaf_words(self, vmaf: Track, frame: int) -> str:
        """Return the VMAF of a frame and its mean, how far it is, or that it is off."""
        if self._player.quality.vmaf_words:
            return f"measuring: {self._player.quality.vmaf_words.removeprefix('VMAF ')}"
        return _metric_words(vmaf, frame, "", 1) if vmaf.known else "off (menu Compare)"

    def _show_model(self) -> None:
        slot = self._player.neural
        facts = slot.facts if slot is not None else None
        for group in (self._model, self._stage_group):
            group.setVisible(facts is not None)
        if slot is None or facts is None:
            return
        self._model.setTitle(f"Neural video {slot.name}")
        spec = facts.spec
        self._set("Network", f"{facts.architecture}, {spec.width}x{spec.height}, {spec.frame_count} frames")
        self._set("Size", human_size(facts.file_bytes or 0))
        self._set("Rate", f"{facts.bits_per_pixel or 0:.4f} bpp = {human_rate(facts.kbit_per_second or 0)}")
        pruned = f", {100 * facts.pruned:.1f} % zero" if facts.pruned is not None else ""
        self._set("Weights", f"{facts.parameters:,}{pruned}")
        total = sum(facts.stored_bits.values()) or 1
        stored = (f"{100 * count / total:.0f} % at {bits} bits" for bits, count in facts.stored_bits.items())
        self._set("Stored", ", ".join(stored))
        self._set("Cost", f"{facts.gflops:.2f} GFLOPs per frame")
        self._stages.show_stages(slot.stages)
        self._stages.setVisible(bool(slot.stages))

    def _show_decode(self) -> None:
        player = self._player
        slot = player.neural or player.slots[1]
        speed = slot.stats.speed(slot.facts.spec.rate) if slot.facts is not None else None
        self._decode.setVisible(slot.facts is not None)
        if slot.facts is None or not self.isVisible():
            return
        facts, transport = slot.facts, player.transport
        if speed is None:
            self._set("Now", "no frame yet")
        else:
            self._set("Now", f"{speed.fps:.1f} fps = {speed.real_time:.2f}x real time")
            self._set("Latency", f"{speed.p50:.1f} ms (p95 {speed.p95:.1f})")
        engine = f", {facts.backend} {facts.precision.upper()} on {facts.device}" if facts.backend else ""
        self._set("Shown", f"{transport.shown:,} frames, {transport.skipped:,} skipped{engine}")
        held = len(slot.cache)
        self._set("Memory", f"{held} of {facts.spec.frame_count} frames decoded and kept")


def _metric_words(track: Track, frame: int, unit: str, digits: int) -> str:
    """Return the value of a frame and the mean, with how many frames it is of."""
    value, mean = track.get(frame), track.mean
    unit = f" {unit}" if unit else ""
    here = "not measured yet" if value is None else f"{value:.{digits}f}{unit}"
    if mean is None:
        return here
    whole = "" if track.known == len(track.values) else f" of {track.known}"
    return f"{here} (mean{whole} {mean:.{digits}f})"
