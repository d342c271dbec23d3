"""What openers of official checkpoints share: a plain state dict, the number of frames, a network filled by name."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nervplay.errors import CheckpointError, UsageError
from nervplay.models.base import ModelConfig, VideoModel, build_model
from nervplay.video.source import FrameSource

__all__ = ["fill_network", "frame_count", "plain_state"]


def plain_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict as the network uses it: names without wrappers, pruning masks multiplied in.

    Args:
        tensors: what `official_load.load_tensors` gives of a checkpoint with "state_dict" or "model".

    Raises:
        CheckpointError: a pruned weight without its mask, a mask without its weight.
    """
    state = {}
    for full, value in tensors.items():
        name = full.removeprefix("state_dict/").removeprefix("model/").removeprefix("module.")
        state[name.replace("blocks.0.", "")] = value
    weights = {}
    for name, value in state.items():
        owner = name.removesuffix("_orig").removesuffix("_mask")
        if name == owner:
            weights[name] = value
            continue
        original, mask = state.get(f"{owner}_orig"), state.get(f"{owner}_mask")
        if original is None or mask is None or original.shape != mask.shape:
            raise CheckpointError(f"the checkpoint's tensor '{name}' is half of a pruned weight; get the file again")
        weights[owner] = original * mask
    return weights


def frame_count(frames: int | None, source: FrameSource | None) -> int:
    """Return T from `--frames` or from the source.

    Args:
        frames: value of `--frames`, or None.
        source: the clip, or None.

    Raises:
        UsageError: neither is there, or they differ.
    """
    if source is not None and frames not in (None, len(source)):
        raise UsageError(f"--frames {frames} and the source's {len(source)} frames differ; leave one out")
    if source is not None:
        return len(source)
    if frames is None:
        raise UsageError("an official checkpoint does not say how many frames it has; give --source or add --frames N")
    return frames


def fill_network(name: str, config: ModelConfig, state: Mapping[str, Tensor]) -> VideoModel:
    """Return the network with given weights, in eval mode on the CPU; the random generator stays as it was.

    Args:
        name: registry name.
        config: its configuration.
        state: float tensors under our names.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name; found before weights are allocated.
    """
    with torch.device("meta"):
        empty = build_model(name, config)
    try:
        empty.check_stored_state({key: tuple(value.shape) for key, value in state.items()})
    except UsageError as error:
        raise CheckpointError(f"the checkpoint does not fit its official arguments: {error}") from None
    with torch.random.fork_rng(devices=[]):
        model = build_model(name, config)
    model.load_stored_state({key: value.float() for key, value in state.items()})
    return model.eval()
