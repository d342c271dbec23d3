"""Training settings as data: a `Recipe` says everything about a fit that the network and the clip do not."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_type_hints

from nervplay.errors import UnknownNameError, UsageError
from nervplay.models.base import checked
from nervplay.training.losses import get_loss
from nervplay.training.schedule import parse_schedule

__all__ = ["Recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is fitted; JSON-plain, strict, part of the file's metadata. Defaults are HNeRV's.

    Args:
        epochs: passes over the clip, at least 1.
        batch_size: frames per step, at least 1; frames that do not fill a batch wait for another epoch's order.
        learning_rate: largest step size; the schedule multiplies it.
        betas: decay of Adam's two moments; NeRV uses (0.5, 0.999), HNeRV (0.9, 0.999).
        schedule: see `nervplay.training.schedule`.
        loss: see `nervplay.training.losses`.
        optimiser: "adam": epsilon 1e-8, no weight decay.
        grad_clip: largest norm of the gradient over all parameters (SNeRV: 1.0); None leaves gradients alone.
        seed: of the initial weights and of the order of the frames; the official code uses 1.

    Raises:
        UsageError, UnknownNameError: a value out of range, an unknown loss or schedule; the message names the field.
    """

    epochs: int = 300
    batch_size: int = 1
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine_0.1_1_0.1"
    loss: str = "L2"
    optimiser: Literal["adam"] = "adam"
    grad_clip: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        self._require("epochs", self.epochs >= 1, "1 or more")
        self._require("batch_size", self.batch_size >= 1, "1 or more")
        self._require("learning_rate", 0.0 < self.learning_rate < math.inf, "above 0")
        self._require("betas", all(0.0 <= beta < 1.0 for beta in self.betas), "in [0, 1), both")
        self._require("optimiser", self.optimiser == "adam", "adam")
        self._require("grad_clip", self.grad_clip is None or 0.0 < self.grad_clip < math.inf, "above 0, or none")
        self._require("seed", 0 <= self.seed < 2**63, "0 or more, under 2^63")
        get_loss(self.loss)
        parse_schedule(self.schedule)

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise UsageError(f"{name} {getattr(self, name)} of a recipe must be {rule}")

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
