"""Magnitude pruning: which weights of a network can go, as masks by name.

    global      one threshold on |w| over all weights        official NeRV, train_nerv.py (global_unstructured, L1)
    per-layer   a threshold for each tensor                  the same share of every layer
    balanced    one threshold on |w| / sqrt(weights)         official HiNeRV, compression/prune_utils.py

A share is always that of what goes; NeRV's `--prune_ratio` is what is kept. Biases, embeddings, encodings of place
(HiNeRV's grids and what mixes them) and weights that are stored exactly in few bits are never pruned; a tensor that
several stages share counts once. Parity: tests/nervplay/codec/test_prune.py.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from nervplay.errors import UsageError
from nervplay.models.base import VideoModel

__all__ = ["Scope", "apply_masks", "hold_masks", "nerv_shares", "prunable", "prune_masks", "zero_share"]

Scope = Literal["global", "per-layer", "balanced"]
"""How weights of different tensors are compared; see the head of this module."""

_PLACE = re.compile(r"(^|\.)local\.")
"""HiNeRV's local encodings: a linear layer mixes their grids, and goes with them."""


def prunable(model: VideoModel) -> dict[str, Tensor]:
    """Return the weights that may be pruned, by stored name: those of convolutions and linear layers.

    Args:
        model: any network; shared tensors appear under their first name only.
    """
    exact = model.stored_bits
    return {
        name: weight
        for name, weight in model.named_parameters()
        if name.endswith(".weight")
        and weight.ndim > 1
        and name not in exact
        and not name.startswith("encoder.")
        and not _PLACE.search(name)
    }


def prune_masks(weights: Mapping[str, Tensor], share: float, *, scope: Scope = "global") -> dict[str, Tensor]:
    """Return what is kept of each tensor: bool, True where a weight stays.

    Args:
        weights: float tensors by name, such as `prunable` gives.
        share: share of the weights to remove, 0 <= share < 1; rounded to whole weights, half to even.
        scope: how weights of different tensors are compared.

    Raises:
        UsageError: a share outside the range, or nothing to prune.
    """
    if not 0.0 <= share < 1.0:
        raise UsageError(f"a share of {share:g} cannot be pruned; give what is removed, from 0 up to but without 1")
    if not weights:
        raise UsageError("this network has no weights that can be pruned; leave pruning out")
    if scope == "per-layer":
        return {
            name: _smallest_out({name: weight.detach().abs()}, round(share * weight.numel()))[name]
            for name, weight in weights.items()
        }
    scores = {name: weight.detach().abs() for name, weight in weights.items()}
    if scope == "balanced":
        scores = {name: score / (score.numel() ** 0.5 + 1e-6) for name, score in scores.items()}
    return _smallest_out(scores, round(share * sum(weight.numel() for weight in weights.values())))


def _smallest_out(scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return masks that are False at the `count` smallest of all scores together."""
    flat = torch.cat([score.reshape(-1) for score in scores.values()])
    kept = torch.ones_like(flat, dtype=torch.bool)
    if count:
        kept[torch.topk(flat, count, largest=False).indices] = False
    parts = torch.split(kept, [score.numel() for score in scores.values()])
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


@torch.no_grad()
def apply_masks(model: VideoModel, masks: Mapping[str, Tensor]) -> None:
    """Set what the masks of `prune_masks` remove to 0, in place."""
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        weight.mul_(mask.to(weight.device))


def hold_masks(model: VideoModel, masks: Mapping[str, Tensor]) -> Callable[[], None]:
    """Prune, and keep what is pruned at 0 while the network is fitted on; call the result to let go.

    The gradient of a pruned weight is 0, and so is every step of an optimiser that starts afresh without weight decay.

    Args:
        model: the network; it may move to another device later.
        masks: what `prune_masks` gave.
    """
    apply_masks(model, masks)
    handles = []
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        hook = _masking(mask)
        handles.append(weight.register_hook(hook))  # type: ignore[no-untyped-call]  # untyped in torch

    def let_go() -> None:
        for handle in handles:
            handle.remove()

    return let_go


def _masking(mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * mask.to(gradient.device)


def nerv_shares(kept: float, steps: int) -> list[float]:
    """Return the share that is gone after each pruning step of the official NeRV code.

    Every step there takes a share of what is left, and a growing one: with more than one step less is kept than asked.

    Args:
        kept: `--prune_ratio`, the share to keep, 0 < kept <= 1.
        steps: number of `--prune_steps`, 1 or more.
    """
    base = kept ** (1 / steps)
    return [1 - base ** (step * (step + 1) / 2) for step in range(1, steps + 1)]


def zero_share(weights: Mapping[str, Tensor]) -> float:
    """Return the share of zeros in some tensors, 0 .. 1."""
    return sum(int((weight == 0).sum()) for weight in weights.values()) / sum(w.numel() for w in weights.values())
