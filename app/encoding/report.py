"""How far the parts of a long clip are, and how far that makes the whole."""

from collections.abc import Sequence
from typing import NamedTuple

from app.encoding.parts import Part
from nervplay.training import Progress

__all__ = ["PartReport", "Tally"]


class PartReport(NamedTuple):
    """How far one part is.

    Args:
        number: which part.
        share: 0 .. 1 of its fit.
        psnr_db: mean of the current epoch's predictions, None when the part was found finished.
        frames_per_second: speed of its fit.
    """

    number: int
    share: float
    psnr_db: float | None = None
    frames_per_second: float = 0.0

    @classmethod
    def of(cls, part: Part, now: Progress) -> "PartReport":
        """Return the report of a running fit."""
        share = (now.epoch - 1 + now.step / now.steps) / now.epochs
        return cls(part.number, share, now.psnr_db, now.frames_per_second)

    @classmethod
    def finished(cls, part: Part) -> "PartReport":
        """Return the report of a part that is done."""
        return cls(part.number, 1.0)


class Tally:
    """Sums the reports of all parts.

    Args:
        parts: all of them.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._frames = {part.number: part.span.count for part in parts}
        self._last: dict[int, PartReport] = {}

    def add(self, report: PartReport) -> None:
        """Note a report; a part that started again on another machine may go back."""
        before = self._last.get(report.number)
        if report.psnr_db is None and before is not None:
            report = report._replace(psnr_db=before.psnr_db)
        self._last[report.number] = report

    @property
    def frames(self) -> float:
        """Frames of the clip that are done, parts of a part included."""
        return sum(self._frames[number] * report.share for number, report in self._last.items())

    def words(self) -> str:
        """Return one phrase for a progress bar."""
        running = [report for report in self._last.values() if report.share < 1]
        done = sum(report.share == 1 for report in self._last.values())
        speed = sum(report.frames_per_second for report in running)
        known = [report.psnr_db for report in running if report.psnr_db is not None]
        quality = f", {sum(known) / len(known):.2f} dB" if known else ""
        return f"{done}/{len(self._frames)} segments done, {len(running)} running{quality}, {speed:.1f} frames/s"
