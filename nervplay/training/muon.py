"""Muon: momentum whose matrices are made orthogonal, which moves all directions of a weight equally far.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (the quintic Newton-Schulz iteration),
with the scale of Liu et al., "Muon is scalable for LLM training", 2025, eq. (4), which gives an update the size that
Adam's has, so that one rate serves both. It is for the weights of convolutions and linear layers; biases, norms,
feature grids, depthwise kernels and heads of three colours are trained by Adam.

    m <- mu m + (1-mu) g            w <- w - lr 0.2 sqrt(max(rows, columns)) orthogonal((1-mu) g + mu m)
    orthogonal: X <- M / |M|, then five times X <- a X + (b A + c A A) X with A = X X', (a, b, c) below

benchmarks/efforts.py measures what it brings to the networks of this field.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["Muon", "muon_groups", "orthogonal"]

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_ADAM_SIZE = 0.2  # root mean square of a typical update of Adam, over its rate
_EPSILON = 1e-8
_FEWEST = 4  # rows and columns of a matrix that is worth it


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix with orthonormal rows, or columns where those are fewer.

    Its singular values lie in 0.6 .. 1.3 instead of at 1, which serves an optimiser as well and costs little.

    Args:
        matrix: float (R, C).
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + _EPSILON)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x if wide else x.T


def muon_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Return the parameters of a network in two groups, those that Muon is for first.

    Args:
        model: the network.
    """
    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    chosen = {id(layer.weight) for layer in model.modules() if isinstance(layer, layers) and _is_matrix(layer.weight)}
    parameters = list(model.parameters())
    return [
        {"params": [it for it in parameters if (id(it) in chosen) is matrices], "matrices": matrices}
        for matrices in (True, False)
    ]


def _is_matrix(weight: Tensor) -> bool:
    """Whether a weight, flattened behind its first dimension, is a matrix worth it; a depthwise kernel is none."""
    rows, columns = weight.shape[0], weight[0].numel()
    return min(rows, columns) >= _FEWEST and weight.shape[1] > 1


class Muon(Optimizer):
    """See the head of this module. Parameters without groups of their own are all trained by Adam.

    Args:
        params: parameters, or the groups of `muon_groups`.
        lr: step size, above 0.
        betas: Muon's momentum, then Adam's two, in [0, 1).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | list[dict[str, Any]],
        lr: float,
        betas: tuple[float, ...] = (0.95, 0.9, 0.999),
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "matrices": False})

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
                update = self._turn if group["matrices"] else self._adam
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        update(parameter, parameter.grad, self._state(parameter), group)
        return loss

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the state of a parameter, its step counted; a matrix has no second moment but room for it."""
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        return state

    def _turn(self, parameter: Tensor, gradient: Tensor, state: Mapping[str, Tensor], group: Mapping[str, Any]) -> None:
        """Change a matrix by its orthogonal momentum."""
        momentum = group["betas"][0]
        state["exp_avg"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(state["exp_avg"], momentum).flatten(1)
        size = group["lr"] * _ADAM_SIZE * math.sqrt(max(ahead.shape))
        parameter.add_(orthogonal(ahead).reshape(parameter.shape), alpha=-size)

    def _adam(self, parameter: Tensor, gradient: Tensor, state: Mapping[str, Tensor], group: Mapping[str, Any]) -> None:
        """Change anything else as Adam does."""
        (_, b1, b2), step = group["betas"], float(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - b1)
        state["exp_avg_sq"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        root = state["exp_avg_sq"].sqrt().div_((1 - b2**step) ** 0.5).add_(_EPSILON)
        parameter.addcdiv_(state["exp_avg"], root, value=-group["lr"] / (1 - b1**step))
