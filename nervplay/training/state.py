"""Network, optimiser and generators as one dict of named tensors, and back: what a resume file holds."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nervplay.errors import CheckpointError
from nervplay.training.optimisers import OPTIMISERS

__all__ = ["capture", "restore"]


def _moments(optimiser: Optimizer) -> tuple[str, ...]:
    """Return the names of the state that an optimiser keeps per parameter."""
    return next(kind.moments for kind in OPTIMISERS.values() if kind.make is type(optimiser))


def capture(model: nn.Module, optimiser: Optimizer, extra: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of everything that changes during a fit, on the CPU.

    Args:
        model: its state dict comes as "model.<name>".
        optimiser: over the model's parameters, one of `OPTIMISERS`; its state comes as
            "optimiser.<moment>.<parameter>".
        extra: further tensors, under their own names.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})  # empty for a parameter that never had a gradient
        tensors.update({f"optimiser.{moment}.{name}": value for moment, value in moments.items()})
    tensors.update(extra)
    tensors["rng.cpu"] = torch.get_rng_state()
    device = _device(model)
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def restore(
    model: nn.Module, optimiser: Optimizer, extra: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path
) -> None:
    """Load what `capture` returned into objects made with the same arguments.

    Args:
        model: gets its state dict.
        optimiser: gets its moments.
        extra: tensors that get the values of the same names, in place.
        tensors: what `capture` returned.
        path: the file they come from, for messages.

    Raises:
        CheckpointError: a tensor missing, of another shape, or too many; nothing was loaded.
    """
    expected = {f"model.{name}": value for name, value in model.state_dict().items()} | dict(extra)
    for name, parameter in model.named_parameters():
        if f"optimiser.step.{name}" in tensors:
            for moment in _moments(optimiser):
                empty = torch.zeros(()) if moment == "step" else torch.zeros_like(parameter, requires_grad=False)
                expected[f"optimiser.{moment}.{name}"] = empty
    generators = {"rng.cpu", "rng.cuda"} & tensors.keys()
    for name in expected.keys() ^ (tensors.keys() - generators):
        raise CheckpointError(
            f"{path} has or lacks the tensor '{name}', which is damage; use --overwrite to start again"
        )
    for name, value in expected.items():
        if value.shape != tensors[name].shape or value.dtype != tensors[name].dtype:
            raise CheckpointError(f"{path} holds '{name}' in another shape or type; use --overwrite to start again")
    for name, value in expected.items():
        value.detach().copy_(tensors[name])
    for name, parameter in model.named_parameters():
        if f"optimiser.step.{name}" in expected:
            optimiser.state[parameter] = {
                moment: expected[f"optimiser.{moment}.{name}"] for moment in _moments(optimiser)
            }
    _restore_generators(tensors, _device(model))


def _restore_generators(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Set PyTorch's generators; the one of a GPU only when both runs have one."""
    if "rng.cpu" in tensors:
        torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _device(model: nn.Module) -> torch.device:
    """Return where the parameters of `model` lie."""
    return next(model.parameters()).device
