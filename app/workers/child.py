"""A child process of the player: progress and outcome as signals, cancelled without a half-written file."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal

__all__ = ["ChildJob"]

_PATIENCE = 5000
"""Milliseconds that a cancelled child has to clean up."""


class ChildJob(QObject):
    """One child process that runs a module with `app.workers.child_main` around its work.

    Args:
        module: what is run.
        name: what it does, for messages: "export".
        job: what the child is told, JSON-plain.
        parent: owns it.
    """

    progressed = Signal(int, int, str)
    """Frames done, frames in all, and which step that is of; empty where there is one only."""
    ended = Signal(bool, str)
    """Whether it was done, and one line for the user. Sent once."""

    def __init__(self, module: str, name: str, job: Mapping[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._module, self._name, self._job = module, name, dict(job)
        self.answer: dict[str, Any] = {}
        """All that the child said at its end."""
        self._cancelled = False
        self._rest = b""
        self._process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONPATH", ":".join(filter(None, sys.path)))
        environment.insert("OMP_WAIT_POLICY", "PASSIVE")
        self._process.setProcessEnvironment(environment)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._error)

    def start(self) -> None:
        """Start the child."""
        self._process.start(sys.executable, ["-m", self._module])
        self._process.write(json.dumps(self._job).encode() + b"\n")
        self._process.closeWriteChannel()

    @property
    def running(self) -> bool:
        """Whether the child works."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def cancel(self) -> None:
        """Ask the child to clean up and end; `ended` follows."""
        self._cancelled = True
        self._process.terminate()

    def wait(self) -> None:
        """Cancel, and wait until the child is gone: the window closes."""
        if self.running:
            self.cancel()
            if not self._process.waitForFinished(_PATIENCE):
                self._process.kill()
                self._process.waitForFinished(_PATIENCE)

    def _read(self) -> None:
        """Take the child's lines."""
        *lines, self._rest = (self._rest + bytes(self._process.readAllStandardOutput().data())).split(b"\n")
        for line in lines:
            words = json.loads(line)
            if "done" in words:
                self.progressed.emit(words["done"], words["total"], words.get("what", ""))
            else:
                self.answer = words

    def _finished(self) -> None:
        self._read()
        if self._cancelled and not self.answer.get("ok"):
            self.ended.emit(False, f"the {self._name} was cancelled; nothing was written")
        elif self.answer:
            self.ended.emit(bool(self.answer["ok"]), str(self.answer["message"]))
        else:
            lines = bytes(self._process.readAllStandardError().data()).decode(errors="replace").strip().splitlines()
            self.ended.emit(False, f"the {self._name} ended early: {lines[-1] if lines else 'no reason was given'}")

    def _error(self, error: QProcess.ProcessError) -> None:
        """Tell where the child did not even start; everything else ends in `_finished`."""
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(False, f"the {self._name} could not be started: {self._process.errorString()}")
