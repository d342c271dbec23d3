"""A running mean of the weights: while the rate is high, it lies nearer to the optimum than the last step does.

    mean <- d mean + (1 - d) w      after every step, with d = min(decay, (1 + n) / (10 + n)) behind n earlier ones

so that the initial weights are soon forgotten. Source: Polyak, Juditsky, "Acceleration of stochastic approximation by
averaging", 1992; the warm-up is the one of TensorFlow's ExponentialMovingAverage.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["PREFIX", "WeightMean"]

PREFIX = "mean."
"""What the names of its tensors begin with in saved states."""


class WeightMean:
    """The mean of all parameters of a network.

    Args:
        model: the network.
        decay: how slowly the mean forgets, in [0, 1); None keeps no mean.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self._decay = decay
        kept = model.named_parameters() if decay is not None else ()
        self._pairs = {name: (parameter, parameter.detach().clone()) for name, parameter in kept}

    def tensors(self) -> dict[str, Tensor]:
        """Return the mean by the names of saved states, not copied."""
        return {f"{PREFIX}{name}": mean for name, (_, mean) in self._pairs.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the mean of a saved state."""
        for name, mean in self.tensors().items():
            mean.copy_(tensors[name])

    @torch.no_grad()
    def add(self, steps: int) -> None:
        """Add the weights as they are now.

        Args:
            steps: how many the fit has done, this one included.
        """
        if self._decay is None:
            return
        share = 1.0 - min(self._decay, steps / (9 + steps))
        torch._foreach_lerp_([mean for _, mean in self._pairs.values()], [it for it, _ in self._pairs.values()], share)

    @torch.no_grad()
    def put(self) -> None:
        """Give the network its mean weights."""
        for parameter, mean in self._pairs.values():
            parameter.copy_(mean)
