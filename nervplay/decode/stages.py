"""Where the time of a frame goes, stage by stage: measured on request only, never while frames are decoded."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from nervplay.models import VideoModel

__all__ = ["ROUNDS", "StageTime", "best_of", "module_times", "total"]

ROUNDS = 3
"""How often a frame is made; the fastest time of each stage counts."""


class StageTime(NamedTuple):
    """One stage.

    Args:
        name: for people.
        milliseconds: of one frame.
    """

    name: str
    milliseconds: float


def best_of(rounds: Sequence[Sequence[StageTime]]) -> tuple[StageTime, ...]:
    """Return each stage with its fastest time; all rounds have the same stages, at least one round is there."""
    return tuple(min(same, key=lambda stage: stage.milliseconds) for same in zip(*rounds, strict=True))


def total(parts: Sequence[Sequence[StageTime]]) -> list[StageTime]:
    """Return the sum of each stage over the parts of a frame; all parts have the same stages, at least one is there."""
    return [StageTime(same[0].name, sum(stage.milliseconds for stage in same)) for same in zip(*parts, strict=True)]


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


def module_times(model: VideoModel, make: Callable[[], Any], device: torch.device) -> tuple[StageTime, ...]:
    """Return the times of the parts of a network, by hooks around them, in the order of the network.

    Args:
        model: a network; it is the same afterwards.
        make: makes a frame with it.
        device: where it runs.
    """
    begun: dict[str, float] = {}
    spent: dict[str, float] = {}

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
        return time.perf_counter()

    def before(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            begun[name] = now()

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            spent[name] = spent.get(name, 0.0) + now() - begun[name]

        return hook

    handles, rounds = [], []
    for name, part in _parts(model):
        handles += [part.register_forward_pre_hook(before(name)), part.register_forward_hook(after(name))]
    try:
        for _ in range(ROUNDS):
            spent.clear()
            make()
            rounds.append([StageTime(name, 1000 * seconds) for name, seconds in spent.items()])
    finally:
        for handle in handles:
            handle.remove()
    return best_of(rounds)
