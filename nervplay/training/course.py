"""What can change the course of a fit, in one place, and how a resume file keeps it: collapse, plateau, time limit."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from nervplay.errors import CheckpointError
from nervplay.training.ending import Plateau, TimeLimit
from nervplay.training.guard import Guard, SavedEpoch
from nervplay.training.recipes import Recipe

__all__ = ["PREFIX", "Course"]

PREFIX = "course."
"""What the names of all its tensors begin with."""


class _Numbers(NamedTuple):
    """The scalars that a resume file keeps; an epoch of -1 is none."""

    rollbacks: float
    good: float
    candidate: float
    best_db: float
    waited: float
    landing: float
    seconds: float


class Course:
    """Guard, plateau and time limit of one fit.

    Args:
        count: items of an epoch.
        device: where their figures come from.
        recipe: says how often to go back, and when to stop early.
        limit: the time limit.
    """

    def __init__(self, count: int, device: torch.device, recipe: Recipe, limit: TimeLimit) -> None:
        self.guard, self.plateau, self.limit = Guard(count, device), Plateau(recipe.patience), limit

    def rate(self, share: float) -> float:
        """Return the factor of the learning rate at a share of the epoch, in [0, 1)."""
        return self.guard.rate * self.plateau.rate(share) * self.limit.rate

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by the names of the resume file."""
        guard, plateau = self.guard, self.plateau
        states = {"good": guard.good, "candidate": guard.candidate}
        epochs = {name: -1 if state is None else state.epoch for name, state in states.items()}
        numbers = _Numbers(
            rollbacks=guard.rollbacks,
            good=epochs["good"],
            candidate=epochs["candidate"],
            best_db=plateau.best_db,
            waited=plateau.waited,
            landing=plateau.landing,
            seconds=self.limit.elapsed,
        )
        tensors = {f"{PREFIX}numbers": torch.tensor(numbers, dtype=torch.float64), f"{PREFIX}best": guard.best}
        for slot, state in states.items():
            if state is not None:
                tensors |= {f"{PREFIX}{slot}.{name}": value for name, value in state.tensors.items()}
        return tensors

    def take(self, tensors: Mapping[str, Tensor], check: Callable[[Mapping[str, Tensor]], None], path: object) -> None:
        """Take what `tensors` returned.

        Args:
            tensors: by the names of the resume file; others may be among them.
            check: raises `CheckpointError` for a state of the fit that is not sound.
            path: the file they come from, for messages.

        Raises:
            CheckpointError: a tensor missing or of another shape.
        """
        numbers, best = tensors.get(f"{PREFIX}numbers"), tensors.get(f"{PREFIX}best")
        shape = (len(_Numbers._fields),)
        if numbers is None or best is None or numbers.shape != shape or best.shape != self.guard.best.shape:
            raise CheckpointError(
                f"{path} lacks the course of its fit, which is damage; use --overwrite without --resume to start again"
            )
        found = _Numbers(*numbers.tolist())
        states = {}
        for slot, epoch in (("good", found.good), ("candidate", found.candidate)):
            start = f"{PREFIX}{slot}."
            state = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            if epoch >= 0:
                check(state)
                states[slot] = SavedEpoch(int(epoch), state)
        self.guard.rollbacks = int(found.rollbacks)
        self.guard.good, self.guard.candidate = states.get("good"), states.get("candidate")
        self.guard.best.copy_(best)
        self.plateau.best_db = found.best_db
        self.plateau.waited, self.plateau.landing = int(found.waited), int(found.landing)
        self.limit.before = found.seconds
