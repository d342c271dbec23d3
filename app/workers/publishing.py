"""Pictures and figures for a page on the Hub, made by a child process; `app.core.publishing.LooksMaker` with Qt."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from app.core.publishing import Looks, Outcome, PushForm
from app.core.running import Stop
from app.workers.child import ChildJob

__all__ = ["start_looks"]


def start_looks(parent: QObject, form: PushForm, outcome: Outcome) -> Stop:
    """Start the child; return what stops it.

    Args:
        parent: owns the process.
        form: what is to be published.
        outcome: told how it goes, on the thread that called.
    """
    folder = tempfile.TemporaryDirectory(prefix="nervplay-")
    job = ChildJob(
        "app.workers.looks_child",
        "preparation",
        {
            "file": str(form.file),
            "source": str(form.source) if form.source is not None else None,
            "preview": form.preview.value,
            "device": form.device,
            "folder": folder.name,
        },
        parent,
    )
    stopped = over = False

    def ended(ok: bool, message: str) -> None:
        nonlocal over
        over = True
        looks = _looks(job.answer) if ok else None
        folder.cleanup()
        job.deleteLater()
        if not stopped and looks is not None:
            outcome.prepared(looks)
        elif not stopped:
            outcome.failed(message)

    def stop(*, wait: bool) -> None:
        nonlocal stopped
        stopped = True
        if not over:
            (job.wait if wait else job.cancel)()

    job.progressed.connect(lambda done, total, what: outcome.progressed(what, done, total))
    job.ended.connect(ended)
    job.start()
    return stop


def _looks(answer: Mapping[str, Any]) -> Looks:
    """Return what the child made; its pictures are small, see `app.cli.work.pictures`."""
    poster, preview = (Path(path).read_bytes() if path else None for path in (answer["poster"], answer["preview"]))
    return Looks(poster=poster, preview=preview, psnr=answer["psnr"], ms_ssim=answer["ms_ssim"])
