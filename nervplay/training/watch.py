"""What happens between two steps of a fit: look at the losses, report, save, stop."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nervplay.errors import Interrupted, OutputError
from nervplay.training.progress import Progress
from nervplay.training.run import Run

__all__ = ["Watch"]

TICK = 0.1  # seconds between two reports, and between two looks at the losses (on CUDA the only synchronisation)
SAVE_SHARE = 0.05  # of the time that saves may take: large states are saved less often than asked for

_LOG = logging.getLogger(__name__)


class Watch:
    """Reports at most ten times a second, saves at most every `save_every` seconds, and at once when stopped.

    A save that fails, on a full disk for instance, does not end the fit: the state of before stays whole, and the next
    save is tried as if nothing had happened.

    Args:
        run: the fit.
        identity: of the resume file; see `nervplay.training.checkpoint.identity_of`.
        resume: the resume file, or None to save nothing. What lies there before the first save is only replaced where
            this run goes on with it.
        resumed: whether it does.
        save_every: seconds between two saves; more where a save takes long; 0 saves at every look.
        progress: called with every report.
        stop: asked after every step whether to stop.

    Attributes:
        unsaved: why the latest save failed, None where it did not.
    """

    def __init__(
        self,
        run: Run,
        identity: Mapping[str, Any],
        *,
        resume: Path | None,
        resumed: bool,
        save_every: float,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._run, self._identity, self._resume, self._save_every = run, identity, resume, save_every
        self._owned = resumed
        self._progress, self._stop = progress, stop
        self._started = time.monotonic()
        self._done = 0
        self._next_tick = self._started
        self._next_save = self._started + save_every
        self.unsaved: OutputError | None = None

    def between_steps(self) -> bool:
        """Do what is due after a step.

        Returns:
            False when the fit has diverged, which makes the rest of the epoch worthless; nothing was reported or saved.

        Raises:
            Interrupted: `stop` said so; the state is saved.
            OutputError: `stop` said so, and the state cannot be saved; or another run saves there, see `save`.
        """
        self._done += 1
        now = time.monotonic()
        stopping = self._stop is not None and self._stop()
        if not stopping and now < self._next_tick:
            return True
        if self._run.has_diverged:
            if stopping:
                raise self._interruption(saved=False)
            return False
        self.report()
        if stopping or now >= self._next_save:
            self.save()
        if stopping:
            if self.unsaved is not None:
                raise OutputError(f"stopped, but {self.unsaved}; an older state, if there is one, stays as it was")
            raise self._interruption(saved=self._resume is not None)
        self._next_tick = time.monotonic() + TICK
        return True

    def report(self) -> None:
        """Tell how far the fit is."""
        run = self._run
        if self._progress is None:
            return
        psnr_db, loss = run.record.means(run.step)
        _, speed = self.speed()
        frames_left = (run.recipe.total_epochs * run.steps - run.finished_steps) * run.frames_per_step
        seconds_left = frames_left / speed if frames_left else 0.0
        limit = run.course.limit
        if limit.seconds is not None:
            seconds_left = min(seconds_left, max(0.0, limit.seconds - limit.elapsed))
        self._progress(
            Progress(
                epoch=run.epoch + 1,
                epochs=run.recipe.total_epochs,
                step=run.step,
                steps=run.steps,
                psnr_db=psnr_db,
                loss=loss,
                frames_per_second=speed,
                seconds_left=seconds_left,
                rollbacks=run.course.guard.rollbacks,
            )
        )

    def save(self) -> None:
        """Write the resume file, if one was asked for; `unsaved` tells when that failed.

        Raises:
            OutputError: another run has begun to save there, whose work would be lost.
        """
        if self._resume is None:
            return
        if not self._owned and self._resume.exists():
            raise OutputError(
                f"another run saves its state in {self._resume}; wait until it has ended, or choose another target"
            )
        began = time.monotonic()
        try:
            self._run.save(self._resume, self._identity)
        except OutputError as error:
            if self.unsaved is None:
                _LOG.warning("%s; the fit goes on and tries again", error)
            self.unsaved = error
        else:
            self.unsaved, self._owned = None, True
        ended = time.monotonic()
        pause = max(self._save_every, (ended - began) / SAVE_SHARE) if self._save_every else 0.0
        self._next_save = ended + pause

    def speed(self) -> tuple[float, float]:
        """Return the seconds since the start and the frames per second in them."""
        seconds = time.monotonic() - self._started
        return seconds, self._done * self._run.frames_per_step / max(seconds, 1e-9)

    def _interruption(self, *, saved: bool) -> Interrupted:
        """Return the error that ends a stopped run."""
        run = self._run
        where = f"stopped in epoch {run.epoch + 1} of {run.recipe.total_epochs}, step {run.step} of {run.steps}"
        if not saved and self._resume is not None:
            return Interrupted(f"{where}, where it had diverged; an older state, if there is one, stays as it was")
        if not saved:
            return Interrupted(f"{where}; nothing was saved, for no resume file was asked for")
        return Interrupted(f"{where}; saved in {self._resume}")
