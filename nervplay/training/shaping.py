"""Weights as the network computes with them: masked where the fit is pruned, quantised where it trains for that."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nervplay.errors import UsageError
from nervplay.models.base import TrainingPair, VideoModel
from nervplay.training.phases import Phase, PhaseHooks

__all__ = ["WeightShaping"]

Pairs = Callable[[VideoModel], list[TrainingPair]]
"""A network -> the terms of a training loss."""


class _Caller(nn.Module):
    """Makes a function of a network the `forward` of a module, which is what `functional_call` takes."""

    def __init__(self, model: VideoModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pairs: Pairs) -> list[TrainingPair]:
        """Return `pairs` of the network."""
        return pairs(self.model)


class WeightShaping:
    """What the phases of a fit do to the weights of one network; see `Phase` and `PhaseHooks`.

    Args:
        model: the network.
        hooks: how to prune and to quantise.

    Attributes:
        masks: bool, by parameter name, False where the weight is 0 for good; empty until a phase prunes.
    """

    def __init__(self, model: VideoModel, hooks: PhaseHooks) -> None:
        self._caller, self._hooks = _Caller(model), hooks
        self.masks: dict[str, Tensor] = {}
        self._phase: Phase | None = None
        parameters, exact = dict(model.named_parameters()), model.stored_bits
        # in a fixed order, which the random numbers of the hook follow
        names = (name for name in model.stored_state() if name in parameters and name not in exact)
        self._quantisable = tuple(name for name in names if parameters[name].ndim > 1)

    @property
    def _model(self) -> VideoModel:
        return self._caller.model

    @property
    def is_active(self) -> bool:
        """Whether the network computes with other weights than its parameters now."""
        return bool(self.masks) or (self._phase is not None and self._phase.bits is not None)

    def enter(self, phase: Phase | None, *, begins: bool) -> None:
        """Go into a phase.

        Args:
            phase: None for the first part of a fit.
            begins: prune where the phase says so; not when a resumed fit stands in the middle of it.

        Raises:
            UsageError: the phase prunes and the hooks do not say how, or not for parameters of this network.
        """
        self._phase = phase
        if phase is None or not begins or not phase.prune:
            return
        if self._hooks.prune is None:
            raise UsageError(f"a phase prunes {phase.prune:g} of the weights; give the fit PhaseHooks that say which")
        self.fold()  # so that the hook sees what earlier phases have removed as 0
        before = self.masks
        self.take_masks(self._hooks.prune(self._model, phase.prune))
        self.masks = before | {name: mask & before.get(name, mask) for name, mask in self.masks.items()}

    def take_masks(self, masks: Mapping[str, Tensor]) -> None:
        """Replace the masks.

        Args:
            masks: bool, by parameter name, in the shape of the parameter.

        Raises:
            UsageError: a mask of another shape or type, or of a parameter that is not there.
        """
        parameters = dict(self._model.named_parameters())
        for name, mask in masks.items():
            if name not in parameters or mask.shape != parameters[name].shape or mask.dtype != torch.bool:
                shape, kind = tuple(mask.shape), mask.dtype
                raise UsageError(
                    f"the mask '{name}' of {shape}, {kind}, fits no parameter of the network; make it bool"
                )
        self.masks = {name: mask.to(parameters[name].device) for name, mask in masks.items()}

    def pairs(self, pairs: Pairs) -> list[TrainingPair]:
        """Return `pairs` of the network with its weights as they are in this phase.

        Args:
            pairs: what to compute; it must only use the network that it is given.
        """
        shaped = self._shaped()
        if not shaped:
            return pairs(self._model)
        result: list[TrainingPair] = functional_call(self._caller, shaped, (pairs,))
        return result

    def _shaped(self) -> dict[str, Tensor]:
        """Return the weights that differ from the parameters, by their names below `_Caller`."""
        if not self.is_active:
            return {}  # at once: to collect the parameters of a network takes time in every step
        model, phase = self._model, self._phase
        weights: dict[str, Tensor] = dict(model.named_parameters())
        shaped = {name: weights[name] * mask for name, mask in self.masks.items()}
        if phase is not None and phase.bits is not None:
            for name in self._quantisable:
                shaped[name] = self._hooks.quantise(name, shaped.get(name, weights[name]), phase)
        return {f"model.{name}": weight for name, weight in shaped.items()}

    @torch.no_grad()
    def fold(self) -> None:
        """Set the masked weights of the network to 0."""
        for name, mask in self.masks.items():
            self._model.get_parameter(name).mul_(mask)
