"""VMAF by a child process; `app.core.vmaf.VmafStarter` with Qt."""

from PySide6.QtCore import QObject

from app.core.running import Stop
from app.core.vmaf import VmafListener, VmafRequest
from app.workers.child import ChildJob

__all__ = ["start_vmaf"]


def start_vmaf(parent: QObject, request: VmafRequest, listener: VmafListener) -> Stop:
    """Start the child; return what stops it.

    Args:
        parent: owns the process.
        request: what is measured.
        listener: told how it goes, on the thread that called.
    """
    job = ChildJob("app.workers.vmaf_child", "measurement", request.to_json(), parent)
    stopped = over = False

    def ended(ok: bool, message: str) -> None:
        nonlocal over
        over = True
        job.deleteLater()
        if not stopped and ok:
            listener.measured(job.answer["values"])
        elif not stopped:
            listener.failed(message)

    def progressed(done: int, total: int) -> None:
        if not stopped:
            listener.progressed(done, total)

    def stop(*, wait: bool) -> None:
        nonlocal stopped
        stopped = True
        if not over:
            (job.wait if wait else job.cancel)()

    job.progressed.connect(progressed)
    job.ended.connect(ended)
    job.start()
    return stop
