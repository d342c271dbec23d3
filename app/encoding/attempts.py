"""Fits that are tried on the way to a target, each kept as a part, so that a stopped search goes on where it was.

A search asks for the same fits in the same order every time; those that are finished answer at once.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.encoding.parts import Part, fit_part, part_path
from app.encoding.targets import (
    BITS,
    Choice,
    Outcome,
    best_for_bytes,
    parameters_for_psnr,
)
from nervplay.bitstream import encode_nerv
from nervplay.codec import Precision, pack
from nervplay.decode import open_decoder
from nervplay.errors import UsageError
from nervplay.metrics import evaluate
from nervplay.models import ModelConfig
from nervplay.training import Progress, build_for_training
from nervplay.video import FrameSource

__all__ = ["Attempts", "Made", "reach_bytes", "reach_psnr"]

TRIAL = 0.1
"""Share of the epochs that a short fit takes."""
_ROUNDS = 3
_GROWTH, _GROWTHS = 1.25, 32


class Made(NamedTuple):
    """The file that a search ends with."""

    path: Path
    choice: Choice
    outcome: Outcome


class Attempts:
    """Fits of one clip by networks of different sizes and bits.

    Args:
        folder: keeps the parts; it exists.
        pattern: the whole clip as one part; number, network and bits are replaced.
        clip: the clip as it is encoded, to measure against.
        configure: (parameters) -> configuration; raises `UsageError` for a size that cannot be had.
        report: told the choice and how far its fit is.
        stop: asked after every step.
    """

    def __init__(
        self,
        folder: Path,
        pattern: Part,
        clip: FrameSource,
        configure: Callable[[int], ModelConfig],
        *,
        report: Callable[[Choice, Progress], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._folder, self._pattern, self._clip, self._configure = folder, pattern, clip, configure
        self._report, self._stop = report, stop
        self._count = 0

    def _part(self, choice: Choice) -> Part:
        precision = Precision(bits=choice.bits, embed_bits=self._pattern.precision.embed_bits)
        return replace(self._pattern, config=self._configure(choice.parameters), precision=precision)

    def check(self, choice: Choice) -> None:
        """Raise `UsageError` when no network has that size."""
        self._configure(choice.parameters)

    def packed_bytes(self, choice: Choice) -> int:
        """Return the size in bytes of the file of a network that is not fitted.

        Raises:
            UsageError: a size that cannot be had.
        """
        part = self._part(choice)
        model = build_for_training(part.architecture, part.config, part.recipe)
        return len(encode_nerv(pack(model, self._clip.spec, precision=part.precision)))

    def trial(self, choice: Choice) -> Outcome:
        """Return what a short fit comes to."""
        return self.fit(choice, epochs=max(1, round(TRIAL * self._pattern.recipe.epochs))).outcome

    def fit(self, choice: Choice, *, epochs: int | None = None) -> Made:
        """Fit a choice, measure its file, and return both.

        Args:
            choice: the network.
            epochs: of a short fit; None for the recipe's.

        Raises:
            Interrupted: `stop` returned true; the state is saved.
            NervplayError: see `fit_part`.
        """
        part = replace(self._part(choice), number=self._count)
        if epochs is not None:
            limit = None if part.time_limit is None else TRIAL * part.time_limit
            part = replace(part, recipe=part.recipe.replace(epochs=epochs, phases=()), time_limit=limit)
        self._count += 1

        def tell(now: Progress) -> None:
            if self._report is not None:
                self._report(choice, now)

        path = fit_part(self._folder, part, progress=tell, stop=self._stop)
        size = part_path(self._folder, part.number).stat().st_size
        with open_decoder(path, device=part.device) as decoder:
            psnr = evaluate(decoder, self._clip, size, metrics=("psnr",)).metrics["psnr"]
        assert psnr is not None
        return Made(path, choice, Outcome(size, psnr.mean))


def reach_bytes(attempts: Attempts, limit: int, *, extra: int = 0, bits: tuple[int, ...] = BITS) -> Made:
    """Return the best fit whose file takes at most `limit` bytes.

    Args:
        attempts: the fits.
        limit: of the file, in bytes.
        extra: bytes of what rides along, such as sound.
        bits: of a weight, candidates.

    Raises:
        UsageError: no network is that small, or none came out small enough.
    """
    room = limit - extra
    if room <= 0:
        raise UsageError(
            f"{limit} bytes are no more than the {extra} that the sound takes; allow more, or --audio none"
        )
    choice = best_for_bytes(room, attempts.packed_bytes, attempts.trial, bits)
    for _ in range(_ROUNDS):
        made = attempts.fit(choice)
        if made.outcome.file_bytes <= room:
            return made
        shrunk = round(0.98 * choice.parameters * room / made.outcome.file_bytes)
        choice = choice._replace(parameters=max(1, shrunk))
    raise UsageError(
        f"the smallest file that was found has {made.outcome.file_bytes + extra} bytes, over {limit}; allow more"
    )


def _nearest_above(attempts: Attempts, choice: Choice) -> Choice:
    """Return the choice, with the least number of parameters above it that a network can have.

    Raises:
        UsageError: none can be had; the message is that of the last one that was tried.
    """
    for attempt in range(_GROWTHS):
        grown = choice._replace(parameters=round(choice.parameters * _GROWTH**attempt))
        try:
            attempts.check(grown)
        except UsageError:
            if attempt == _GROWTHS - 1:
                raise
        else:
            return grown
    raise AssertionError("the loop returns or raises")


def reach_psnr(attempts: Attempts, target_db: float, *, start: int, bits: int) -> Made:
    """Return the first fit that reaches a quality; the best one where none does.

    Args:
        attempts: the fits.
        target_db: PSNR of what the file decodes to, in dB.
        start: parameters to begin with.
        bits: of a weight.
    """
    made: list[Made] = []

    def full(parameters: int) -> float:
        made.append(attempts.fit(_nearest_above(attempts, Choice(parameters, bits))))
        return made[-1].outcome.psnr_db

    def trial(parameters: int) -> float:
        return attempts.trial(_nearest_above(attempts, Choice(parameters, bits))).psnr_db

    smallest = _nearest_above(attempts, Choice(start, bits)).parameters
    parameters_for_psnr(target_db, smallest, trial, full)
    enough = [it for it in made if it.outcome.psnr_db >= target_db]
    return enough[0] if enough else max(made, key=lambda it: it.outcome.psnr_db)
