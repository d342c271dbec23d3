"""What `nervplay eval` does: measuring, and the tables."""

from collections.abc import Mapping
from typing import Any

from app.cli.evaluate import Asked
from app.cli.measures import parse_measures
from app.cli.output import emit_json, note
from app.cli.work.decoding import open_logged
from app.cli.work.measure import emit_report, emit_task, measure
from app.core.clips import open_original
from nervplay.codec import open_nerv
from nervplay.errors import UsageError
from nervplay.metrics.tasks import evaluate_task
from nervplay.video.tasks import REGRESSION, Task, parse_task

__all__ = ["evaluate_file"]


def evaluate_file(asked: Asked) -> None:
    """Measure a file against its source and say what came of it."""
    video = open_nerv(asked.file)
    with (
        open_original(asked.source, video.file.source, video.spec) as original,
        open_logged(video, device=asked.device, precision=asked.precision, backend=asked.backend) as decoder,
    ):
        chosen = _task_of(asked.task, video.file.recipe)
        report = measure(decoder, original, video.file_bytes, parse_measures(asked.metrics))
        series = evaluate_task(decoder, original, chosen) if chosen != REGRESSION else {}
    if asked.table is not None:
        report.write_csv(asked.table, overwrite=asked.overwrite)
        note(f"wrote {asked.table}")
    if asked.as_json:
        measured = {"name": chosen.name, "psnr_db": {name: it.to_json() for name, it in series.items()}}
        facts = {"path": str(asked.file), "source": str(asked.source), "precision": asked.precision, **report.to_json()}
        emit_json(facts | ({"task": measured} if series else {}))
    else:
        emit_report(report)
        if series:
            emit_task(chosen.name, series)


def _task_of(name: str | None, recipe: Mapping[str, Any]) -> Task:
    """Return the task that was asked for, or that the recipe of a file names; regression where it is unknown.

    Raises:
        UsageError: one that does not exist was asked for.
    """
    if name is not None:
        return parse_task(name)
    training = recipe.get("training")
    kept = training.get("task") if isinstance(training, dict) else None
    try:
        return parse_task(str(kept))
    except UsageError:
        return REGRESSION
