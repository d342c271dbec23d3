"""What happens between two steps of a fit: look at the losses, report, save, stop."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nervplay.errors import Interrupted
from nervplay.training.progress import Progress
from nervplay.training.run import Run

__all__ = ["Watch"]

TICK = 0.1  # seconds between two reports, and between two looks at the losses (on CUDA the only synchronisation)


class Watch:
    """Reports at most ten times a second, saves at most every `save_every` seconds, and at once when stopped.

    Args:
        run: the fit.
        identity: of the resume file; see `nervplay.training.checkpoint.identity_of`.
        resume: the resume file, or None to save nothing.
        save_every: seconds between two saves.
        progress: called with every report.
        stop: asked after every step whether to stop.
    """

    def __init__(
        self,
        run: Run,
        identity: Mapping[str, Any],
        *,
        resume: Path | None,
        save_every: float,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._run, self._identity, self._resume, self._save_every = run, identity, resume, save_every
        self._progress, self._stop = progress, stop
        self._started = time.monotonic()
        self._first = run.finished_steps
        self._next_tick = self._started
        self._next_save = self._started + save_every

    def between_steps(self) -> None:
        """Do what is due after a step.

        Raises:
            Interrupted: `stop` said so; the state is saved.
            UsageError: the fit has diverged; nothing is saved.
            OutputError: the resume file cannot be written.
        """
        now = time.monotonic()
        stopping = self._stop is not None and self._stop()
        if not stopping and now < self._next_tick:
            return
        self.report()
        if stopping or now >= self._next_save:
            self.save()
        if stopping:
            raise self._interruption()
        self._next_tick = time.monotonic() + TICK

    def report(self) -> None:
        """Check the losses and tell how far the fit is.

        Raises:
            UsageError: the fit has diverged.
        """
        run = self._run
        run.check_finite()
        if self._progress is None:
            return
        psnr_db, loss = run.record.means(run.step)
        _, speed = self.speed()
        frames_left = (run.recipe.total_epochs * run.steps - run.finished_steps) * run.frames_per_step
        seconds_left = frames_left / speed if frames_left else 0.0
        self._progress(
            Progress(run.epoch + 1, run.recipe.total_epochs, run.step, run.steps, psnr_db, loss, speed, seconds_left)
        )

    def save(self) -> None:
        """Write the resume file, if one was asked for.

        Raises:
            OutputError: it cannot be written.
        """
        if self._resume is not None:
            self._run.save(self._resume, self._identity)
            self._next_save = time.monotonic() + self._save_every

    def speed(self) -> tuple[float, float]:
        """Return the seconds since the start and the frames per second in them."""
        seconds = time.monotonic() - self._started
        return seconds, (self._run.finished_steps - self._first) * self._run.frames_per_step / max(seconds, 1e-9)

    def _interruption(self) -> Interrupted:
        """Return the error that ends a stopped run."""
        run = self._run
        where = f"stopped in epoch {run.epoch + 1} of {run.recipe.total_epochs}, step {run.step} of {run.steps}"
        if self._resume is None:
            return Interrupted(f"{where}; nothing was saved, for no resume file was asked for")
        return Interrupted(f"{where}; saved in {self._resume}; go on with --resume")
