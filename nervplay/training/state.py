"""Network, optimiser and generators as one dict of named tensors, and back: what a resume file holds."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nervplay.errors import CheckpointError
from nervplay.training.optimisers import OPTIMISERS

__all__ = ["capture", "check", "load", "restore", "snapshot"]

_GENERATORS = {"rng.cpu", "rng.cuda"}


def _moments(optimiser: Optimizer) -> tuple[str, ...]:
    """Return the names of the state that an optimiser keeps per parameter."""
    return next(kind.moments for kind in OPTIMISERS.values() if kind.make is type(optimiser))


def _live(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """Return what changes during a fit by name, not copied; the states of the generators are copies."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})  # empty for a parameter that never had a gradient
        tensors.update({f"optimiser.{moment}.{name}": value for moment, value in moments.items()})
    tensors["rng.cpu"] = torch.get_rng_state()
    device = _device(model)
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def snapshot(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """Return copies of everything that changes during a fit, where it lies; `load` brings them back.

    Args:
        model: its state dict comes as "model.<name>".
        optimiser: over the model's parameters, one of `OPTIMISERS`; its state comes as
            "optimiser.<moment>.<parameter>".
    """
    return {name: value.detach().clone() for name, value in _live(model, optimiser).items()}


def capture(model: nn.Module, optimiser: Optimizer, extra: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of everything that changes during a fit, on the CPU.

    Args:
        model: see `snapshot`.
        optimiser: see `snapshot`.
        extra: further tensors, under their own names.
    """
    tensors = _live(model, optimiser) | dict(extra)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def check(
    model: nn.Module,
    optimiser: Optimizer,
    extra: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    path: Path,
) -> None:
    """Compare names, shapes and types of a saved state with what `load` needs.

    Args:
        model: the network.
        optimiser: its optimiser.
        extra: tensors that must be there besides.
        tensors: what `capture` or `snapshot` returned.
        path: the file they come from, for messages.

    Raises:
        CheckpointError: a tensor missing, of another shape or type, or too many.
    """
    expected = {f"model.{name}": value for name, value in model.state_dict().items()} | dict(extra)
    for name, parameter in model.named_parameters():
        if f"optimiser.step.{name}" in tensors:
            for moment in _moments(optimiser):
                expected[f"optimiser.{moment}.{name}"] = _empty(moment, parameter, optimiser)
    for name in expected.keys() ^ (tensors.keys() - _GENERATORS):
        raise CheckpointError(
            f"{path} has or lacks the tensor '{name}', which is damage; use --overwrite without --resume to start again"
        )
    for name, value in expected.items():
        if value.shape != tensors[name].shape or value.dtype != tensors[name].dtype:
            raise CheckpointError(
                f"{path} holds '{name}' in another shape or type; use --overwrite without --resume to start again"
            )


def load(model: nn.Module, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring back a state that `check` has found sound.

    Args:
        model: gets its state dict.
        optimiser: gets its moments, and loses those that the state does not have.
        tensors: what `capture` or `snapshot` returned; not changed by what the fit does later.
    """
    for name, value in model.state_dict().items():
        value.copy_(tensors[f"model.{name}"])
    optimiser.state.clear()
    for name, parameter in model.named_parameters():
        if f"optimiser.step.{name}" in tensors:
            optimiser.state[parameter] = {
                moment: _empty(moment, parameter, optimiser).copy_(tensors[f"optimiser.{moment}.{name}"])
                for moment in _moments(optimiser)
            }
    _restore_generators(tensors, _device(model))


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
    check(model, optimiser, extra, tensors, path)
    for name, value in extra.items():
        value.copy_(tensors[name])
    load(model, optimiser, tensors)


def _empty(moment: str, parameter: Tensor, optimiser: Optimizer) -> Tensor:
    """Return room for a moment of a parameter; the step count lies on the CPU, unless a fused optimiser reads it."""
    if moment == "step":
        return torch.zeros((), device=parameter.device if optimiser.defaults.get("fused") else None)
    return torch.zeros_like(parameter, requires_grad=False)


def _restore_generators(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Set PyTorch's generators; the one of a GPU only when both runs have one."""
    if "rng.cpu" in tensors:
        torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _device(model: nn.Module) -> torch.device:
    """Return where the parameters of `model` lie."""
    return next(model.parameters()).device
