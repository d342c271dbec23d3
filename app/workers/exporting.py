"""An export in a child process."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject

from app.workers.child import ChildJob

__all__ = ["ExportJob"]


class ExportJob(ChildJob):
    """One child process that runs `app.workers.export_child`.

    Args:
        job: what to export, see there.
        parent: owns it.
    """

    def __init__(self, job: Mapping[str, Any], parent: QObject | None = None) -> None:
        super().__init__("app.workers.export_child", "export", job, parent)
