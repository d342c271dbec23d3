"""Milliseconds per stage of a network, by hooks around its parts: what the bars of the inspector show."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nervplay.models import VideoModel

__all__ = ["time_stages"]

_ROUNDS = 3


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the parts of a network in order: its children, containers of several parts opened."""
    parts: list[tuple[str, nn.Module]] = []
    for name, child in model.named_children():
        if name == "encoder":
            continue
        if isinstance(child, nn.ModuleList | nn.Sequential) and len(child) > 1:
            parts += [(f"{name} {number}", inner) for number, inner in enumerate(child)]
        else:
            parts.append((name, child))
    return parts


@torch.inference_mode()
def time_stages(model: VideoModel) -> tuple[tuple[str, float], ...]:
    """Return (part, milliseconds) of decoding one frame, best of three, in the order of the network.

    Args:
        model: a network on the CPU, in eval mode. It is the same afterwards.
    """
    best: dict[str, float] = {}
    begun: dict[str, float] = {}
    spent: dict[str, float] = {}

    def before(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            begun[name] = time.perf_counter()

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - begun[name]

        return hook

    handles = []
    for name, part in _parts(model):
        handles += [part.register_forward_pre_hook(before(name)), part.register_forward_hook(after(name))]
    try:
        index = torch.zeros(1, dtype=torch.int64)
        for _ in range(_ROUNDS):
            spent.clear()
            model(index)
            for name, seconds in spent.items():
                best[name] = min(best.get(name, seconds), seconds)
    finally:
        for handle in handles:
            handle.remove()
    return tuple((name, 1000 * seconds) for name, seconds in best.items())
