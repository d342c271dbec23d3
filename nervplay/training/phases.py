"""Phases: what follows the first part of a fit, each with a fresh optimiser and a schedule of its own.

HiNeRV is fitted in three: main training; pruning and fine-tuning under the masks; training with Quant-Noise under the
same masks. What is pruned, and how a weight is quantised, is given to `nervplay.training.fit` as `PhaseHooks`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from nervplay.errors import UsageError
from nervplay.models.base import VideoModel
from nervplay.plain import plain_numbers
from nervplay.training.fake_quant import quant_noise, straight_through, symmetric_codes
from nervplay.training.schedule import parse_schedule

__all__ = ["HINERV_PHASES", "Phase", "PhaseHooks", "fake_quantised"]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a fit behind the first one; JSON-plain, part of the recipe.

    Args:
        epochs: passes over the clip, at least 1.
        rate: factor of the recipe's learning rate.
        schedule: over this phase alone; see `nervplay.training.schedule`.
        prune: share of all weights that are set to 0 when the phase begins, in [0, 1); they stay 0 to the end of the
            fit, as do those of earlier phases. 0 prunes nothing.
        bits: of the weights that the network computes with, 2 .. 16; None computes with the weights as they are.
        quant_noise: share of the weights that are quantised in a step, in (0, 1], and get no gradient of their own
            then (Quant-Noise); None quantises all and passes gradients straight through. Counts with `bits` only.

    Raises:
        UsageError, UnknownNameError: a value out of range, an unknown schedule; the message names the field.
    """

    epochs: int
    rate: float = 1.0
    schedule: str = "hinerv_0_1_0.01"
    prune: float = 0.0
    bits: int | None = None
    quant_noise: float | None = None

    def __post_init__(self) -> None:
        plain_numbers(self)
        self._require("epochs", self.epochs >= 1, "1 or more")
        self._require("rate", 0.0 < self.rate < math.inf, "above 0")
        self._require("prune", 0.0 <= self.prune < 1.0, "in [0, 1)")
        self._require("bits", self.bits is None or 2 <= self.bits <= 16, "2 .. 16, or none")
        self._require("quant_noise", self.quant_noise is None or 0.0 < self.quant_noise <= 1.0, "in (0, 1], or none")
        parse_schedule(self.schedule)

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise UsageError(f"{name} {getattr(self, name)} of a phase must be {rule}")


HINERV_PHASES = (Phase(epochs=60, prune=0.15), Phase(epochs=30, rate=0.1, bits=6, quant_noise=0.9))
"""What follows the 300 epochs of HiNeRV's official `cfgs/train/`: `--prune-ratio 0.15`, `--quant-level 8 7 6
--quant-noise 0.9`, whose lowest level is trained for."""


def fake_quantised(name: str, weight: Tensor, phase: Phase) -> Tensor:  # noqa: ARG001 - hooks may go by the name
    """Return the weight that the network computes with in a phase that trains for quantisation, as HiNeRV does.

    Args:
        name: of the parameter.
        weight: float, two dimensions or more; masked where the fit is pruned.
        phase: says bits and share; its `bits` is not None.

    Returns:
        float, of the shape of `weight`, with a gradient.
    """
    assert phase.bits is not None
    codes, scale = symmetric_codes(weight, phase.bits)
    if phase.quant_noise is None:
        return straight_through(weight, codes * scale)
    return quant_noise(weight, codes * scale, phase.quant_noise)


class PhaseHooks(NamedTuple):
    """What the phases of a fit do to weights.

    Args:
        prune: (network, share of all weights) -> masks, bool, by parameter name, False where the weight is removed;
            asked once, when a phase that prunes begins; what earlier phases have removed is 0 then. None where no
            phase prunes.
        quantise: (parameter name, weight, phase) -> weight to compute with; asked in every step of a phase with `bits`,
            for every stored parameter of two dimensions or more. It may draw from PyTorch's generators and must depend
            on nothing else, or a resumed fit differs.
    """

    prune: Callable[[VideoModel, float], Mapping[str, Tensor]] | None = None
    quantise: Callable[[str, Tensor, Phase], Tensor] = fake_quantised
