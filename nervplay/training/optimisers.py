"""Optimisers by name: Adam from PyTorch, Adan, which HNeRV-Boost is trained with, and Muon, see `muon`.

Adan: Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", 2022, algorithm 1,
without weight decay and restarts, as the official Boosting-NeRV code runs it (`lib/adan.py` at d59ca91):

    d = g - g_before (0 in the first step)          m <- b1 m + (1-b1) g             n <- b3 n + (1-b3) (g + b2 d)^2
    w <- w - lr (m^ + b2 v^) / (sqrt(n^) + eps)     v <- b2 v + (1-b2) d             ^: divided by 1 - b^step
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nervplay.errors import UnknownNameError
from nervplay.training.eager import Adam, eager
from nervplay.training.muon import Muon, muon_groups

__all__ = ["OPTIMISERS", "Adan", "OptimiserKind", "get_optimiser"]


class Adan(Optimizer):
    """Adaptive Nesterov momentum; see the head of this module. Its state has the names that `OPTIMISERS` lists.

    Args:
        params: what to train; those without a gradient are left alone.
        lr: step size, above 0.
        betas: b1, b2, b3 in [0, 1): how slowly the means of gradient, difference and square forget.
        eps: added to the root, above 0.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, ...] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one step with the gradients that are there.

        Args:
            closure: computes loss and gradients anew; None where that is done.

        Returns:
            The loss of `closure`, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: Mapping[str, Any]) -> None:
        """Change one parameter by its gradient."""
        state, (b1, b2, b3) = self.state[parameter], group["betas"]
        if not state:
            state["step"] = torch.zeros(())
            for name in OPTIMISERS["adan"].moments[1:-1]:
                state[name] = torch.zeros_like(parameter)
            state["previous_gradient"] = gradient.clone()  # makes the first difference 0
        state["step"] += 1
        step = float(state["step"])
        difference = gradient - state["previous_gradient"]
        state["previous_gradient"].copy_(gradient)
        state["exp_avg"].lerp_(gradient, 1 - b1)
        state["exp_avg_diff"].lerp_(difference, 1 - b2)
        ahead = gradient.add(difference, alpha=b2)
        state["exp_avg_sq"].mul_(b3).addcmul_(ahead, ahead, value=1 - b3)
        root = state["exp_avg_sq"].sqrt().div_((1 - b3**step) ** 0.5).add_(group["eps"])
        parameter.addcdiv_(state["exp_avg"], root, value=-group["lr"] / (1 - b1**step))
        parameter.addcdiv_(state["exp_avg_diff"], root, value=-group["lr"] * b2 / (1 - b2**step))


class OptimiserKind(NamedTuple):
    """What the fit must know of an optimiser.

    Args:
        make: called with parameters, `lr` and `betas`; epsilon 1e-8, no weight decay.
        betas: how many of them it takes.
        moments: names of its state per parameter, "step" (a scalar) first; the others have the parameter's shape.
        groups: network -> what `make` is called with; None for its parameters.
        can_be_fused: whether it takes `fused=True`: one kernel that rounds otherwise.
    """

    make: Callable[..., Optimizer]
    betas: int
    moments: tuple[str, ...]
    groups: Callable[[nn.Module], list[dict[str, Any]]] | None = None
    can_be_fused: bool = False

    def build(self, model: nn.Module, **options: Any) -> Optimizer:
        """Return the optimiser of a network's parameters.

        Args:
            model: the network.
            options: `lr`, `betas`, and `fused` where it can be.
        """
        optimiser: Optimizer = self.make(model.parameters() if self.groups is None else self.groups(model), **options)
        return optimiser


OPTIMISERS: Mapping[str, OptimiserKind] = {
    "adam": OptimiserKind(Adam, 2, ("step", "exp_avg", "exp_avg_sq"), can_be_fused=True),
    "adan": OptimiserKind(eager(Adan), 3, ("step", "exp_avg", "exp_avg_sq", "exp_avg_diff", "previous_gradient")),
    "muon": OptimiserKind(eager(Muon), 3, ("step", "exp_avg", "exp_avg_sq"), groups=muon_groups),
}
"""All optimisers, by the name that a recipe has."""


def get_optimiser(name: str) -> OptimiserKind:
    """Return the optimiser called `name`.

    Raises:
        UnknownNameError: no such optimiser.
    """
    if name not in OPTIMISERS:
        raise UnknownNameError("optimiser", name, OPTIMISERS)
    return OPTIMISERS[name]
