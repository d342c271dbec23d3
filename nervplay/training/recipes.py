"""Training settings as data: a `Recipe` says everything about a fit that the network and the clip do not."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, get_type_hints

from nervplay.choices import SPEEDS
from nervplay.errors import UnknownNameError, UsageError
from nervplay.models.base import checked
from nervplay.plain import plain_numbers
from nervplay.training.losses import get_loss
from nervplay.training.optimisers import get_optimiser
from nervplay.training.phases import Phase
from nervplay.training.schedule import parse_schedule
from nervplay.video.tasks import parse_task

__all__ = ["Recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is fitted; JSON-plain, strict, part of the file's metadata. Defaults are HNeRV's.

    Args:
        epochs: passes over the clip before the phases, at least 1; 0 where there are phases, which then are all.
        batch_size: frames per step, or patches, at least 1; what does not fill a batch waits for another epoch's order.
        accumulate: batches per update, at least 1: their gradients are added up, which takes the memory of one and is,
            up to rounding, one batch of that many times the size; but batch norm looks at each alone.
        patch_size: (width, height) of the rectangles that steps see, in pixels; None for whole frames. HiNeRV only.
        learning_rate: largest step size; the schedule multiplies it.
        betas: decay of the optimiser's moments: two for Adam (NeRV uses (0.5, 0.999), HNeRV (0.9, 0.999)), three for
            Adan (0.98, 0.92, 0.99) and for Muon (0.95, 0.9, 0.999).
        schedule: see `nervplay.training.schedule`.
        loss: see `nervplay.training.losses`.
        optimiser: see `nervplay.training.optimisers`; epsilon 1e-8, no weight decay.
        grad_clip: largest norm of the gradient over all parameters (SNeRV: 1.0); None leaves gradients alone.
        ema: decay of a running mean of the weights that the epochs before the phases end with, in [0, 1), see
            `nervplay.training.averaging`; None ends with the weights of the last step.
        task: what is fitted for, see `nervplay.video.tasks`.
        speed: see `nervplay.training.speed`; "exact" computes as the official code does.
        rollbacks: how often a fit that has collapsed goes back to its last good state and halves its rate, 0 or more.
        patience: epochs without a gain after which a part of the fit stops early, and that its rate takes to come down
            to 0 then; None goes on to the last epoch.
        seed: of the initial weights and of the order of the frames; the official code uses 1.
        phases: what follows these epochs; see `nervplay.training.phases`.

    Raises:
        UsageError, UnknownNameError: a value out of range, an unknown loss, schedule or optimiser; the message names
            the field.
    """

    epochs: int = 300
    batch_size: int = 1
    accumulate: int = 1
    patch_size: tuple[int, int] | None = None
    learning_rate: float = 1e-3
    betas: tuple[float, ...] = (0.9, 0.999)
    schedule: str = "cosine_0.1_1_0.1"
    loss: str = "L2"
    optimiser: str = "adam"
    grad_clip: float | None = None
    ema: float | None = None
    task: str = "regression"
    speed: str = "exact"
    rollbacks: int = 3
    patience: int | None = None
    seed: int = 1
    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        plain_numbers(self)
        self._require("epochs", self.epochs >= (0 if self.phases else 1), "1 or more, or 0 before phases")
        self._require("batch_size", self.batch_size >= 1, "1 or more")
        self._require("accumulate", self.accumulate >= 1, "1 or more")
        self._require("learning_rate", 0.0 < self.learning_rate < math.inf, "above 0")
        self._require("patch_size", self.patch_size is None or min(self.patch_size) >= 1, "1 or more, or none")
        count = get_optimiser(self.optimiser).betas
        in_range = len(self.betas) == count and all(0.0 <= beta < 1.0 for beta in self.betas)
        self._require("betas", in_range, f"{count} numbers in [0, 1) for {self.optimiser}")
        self._require("grad_clip", self.grad_clip is None or 0.0 < self.grad_clip < math.inf, "above 0, or none")
        self._require("ema", self.ema is None or 0.0 <= self.ema < 1.0, "in [0, 1), or none")
        self._require("rollbacks", self.rollbacks >= 0, "0 or more")
        self._require("patience", self.patience is None or self.patience >= 1, "1 or more, or none")
        self._require("seed", 0 <= self.seed < 2**63, "0 or more, under 2^63")
        self._require("speed", self.speed in SPEEDS, f"one of {', '.join(SPEEDS)}")
        parse_task(self.task)
        get_loss(self.loss)
        parse_schedule(self.schedule)

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise UsageError(f"{name} {getattr(self, name)} of a recipe must be {rule}")

    @property
    def update_size(self) -> int:
        """Frames, or patches, that an update sees."""
        return self.batch_size * self.accumulate

    @property
    def total_epochs(self) -> int:
        """Passes over the clip, those of all phases included."""
        return self.epochs + sum(phase.epochs for phase in self.phases)

    def stage_of(self, epoch: int) -> tuple[Phase | None, int]:
        """Return the phase that an epoch belongs to, None for the first part, and its number there, from 0.

        Args:
            epoch: 0 .. `total_epochs` - 1.
        """
        if epoch < self.epochs:
            return None, epoch
        epoch -= self.epochs
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase, epoch
            epoch -= phase.epochs
        raise AssertionError(f"epoch {epoch} lies behind the end of the fit")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises:
            UnknownNameError: no such field.
            UsageError: a value out of range.
        """
        for name in changes:
            if name not in self.to_json():
                raise UnknownNameError("recipe field", name, self.to_json())
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict of all fields; tuples become lists."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the recipe of a dict of fields, such as `to_json` or a preset gives; missing fields take defaults.

        Raises:
            UnknownNameError: a key that is no field.
            UsageError: a value of another type or out of range.
        """
        hints = get_type_hints(cls)
        known = [field.name for field in fields(cls)]
        for key in data:
            if key not in known:
                raise UnknownNameError("recipe field", key, known)
        return cls(**{name: checked(value, hints[name], f"recipe field {name}") for name, value in data.items()})
