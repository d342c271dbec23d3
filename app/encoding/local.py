"""The local engine: parts one after the other in this process, all of its cores for each."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.encoding.parts import Part, fit_part
from app.encoding.report import PartReport
from nervplay.training import Progress

__all__ = ["run_local"]


def run_local(
    folder: Path,
    parts: Sequence[Part],
    *,
    report: Callable[[PartReport], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Fit all parts that are not finished.

    Args:
        folder: where parts and their states lie; it exists.
        parts: the work.
        report: told how far each part is.
        stop: asked after every step.

    Raises:
        Interrupted: `stop` returned true; everything is saved.
        NervplayError: what a part raised; finished parts stay.
    """
    for part in parts:

        def tell(now: Progress, part: Part = part) -> None:
            if report is not None:
                report(PartReport.of(part, now))

        fit_part(folder, part, progress=tell, stop=stop)
        if report is not None:
            report(PartReport.finished(part))
