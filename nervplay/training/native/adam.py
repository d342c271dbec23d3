"""Adam in one call, on the state of PyTorch's own optimiser: a saved state does not show which of them made it."""

from ctypes import c_int64, c_void_p

import torch
from torch import Tensor

from nervplay.training.eager import Adam
from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import is_dense, laid_as

__all__ = ["adam_step", "takes"]


def takes(optimiser: torch.optim.Optimizer) -> bool:
    """Whether the kernels do what this optimiser does: plain Adam of float32 parameters on the CPU.

    Args:
        optimiser: any.
    """
    if type(optimiser) not in (Adam, torch.optim.Adam):
        return False
    options = ("amsgrad", "maximize", "weight_decay", "differentiable", "capturable")
    return all(
        not any(group[it] for it in options)
        and all(it.dtype == torch.float32 and it.device.type == "cpu" and is_dense(it) for it in group["params"])
        for group in optimiser.param_groups
    )


def adam_step(kernels: Kernels, optimiser: torch.optim.Optimizer) -> None:
    """Do one step with the gradients that are there, as the optimiser does, up to rounding.

    Args:
        kernels: the library.
        optimiser: one that `takes` accepts; its state changes as by its own step.

    Raises:
        MemoryError: the kernels get no memory.
    """
    for group in optimiser.param_groups:
        kept: list[Tensor] = []  # what the addresses stand for
        parameters = [it for it in group["params"] if it.grad is not None]
        for parameter in parameters:
            state = optimiser.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(parameter.detach()) for _ in range(2))
            gradient = laid_as(parameter.grad, parameter)
            kept += (parameter, state["exp_avg"], state["exp_avg_sq"], state["step"], gradient)
        count = len(parameters)
        addresses = (c_void_p * len(kept))(*(it.data_ptr() for it in kept))
        sizes = (c_int64 * count)(*(it.numel() for it in parameters))
        if kernels.call("nt_adam", addresses, sizes, count, float(group["lr"]), *group["betas"], group["eps"]):
            raise MemoryError(f"no memory for a step of {count} parameters")
