"""Checkpoints and bitstreams of the official HiNeRV code become our networks, or our integers.

    pytorch_model.bin, *.pth    state dict of `checkpoints/checkpoint_N`: float weights, pruning masks
    model.safetensors           the same, as newer versions of accelerate write it
    bitstreams/Qb.zip           integers; see `official_hinerv_zip`

The official command line supplies what no file holds: frame size, strides, depths and the rest of the layout. The
number of frames shows in the local grids. Weights count as weight * mask; the quantiser's state (`bitwidth`,
`noise_ratio`) does not change a decoded frame. In files of the quantisation phase weights are
dequantised already.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nervplay.bitstream.layout import QuantisedTensor, StoredTensor
from nervplay.codec.official_hinerv_arguments import hinerv_config, parse_hinerv
from nervplay.codec.official_hinerv_zip import HiNeRVZip, is_hinerv_zip
from nervplay.codec.official_load import load_tensors
from nervplay.errors import CheckpointError, MissingInputError, UsageError
from nervplay.models.base import VideoModel, build_model
from nervplay.models.hinerv import HiNeRVConfig, rename_upstream_keys

__all__ = ["HiNeRVBitstream", "open_hinerv", "open_hinerv_bitstream"]

_FIRST_GRID = "decoder.blocks.0.1.enc.grids.0.weight"
_MAX_WEIGHTS = 1 << 27
"""Largest network whose bitstream is decoded; the largest published one has 51 million weights."""


class HiNeRVBitstream(NamedTuple):
    """An official bitstream: our configuration, and tensors under our names; packed as they are, frames stay equal."""

    config: HiNeRVConfig
    tensors: dict[str, StoredTensor]


def _folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict as the official network uses it: prefixes of wrappers gone, masks multiplied in.

    Raises:
        CheckpointError: a mask without its weight, or of another shape.
    """
    weights: dict[str, Tensor] = {}
    masks: dict[str, Tensor] = {}
    for full, value in state.items():
        name = full.removeprefix("state_dict/")
        while name.startswith(("module.", "_orig_mod.")):
            name = name.removeprefix("module.").removeprefix("_orig_mod.")
        owner, parametrised, part = name.partition(".parametrizations.weight.")
        if not parametrised:
            weights[name] = value
        elif part == "original":
            weights[f"{owner}.weight"] = value
        elif part.endswith(".mask"):
            masks[f"{owner}.weight"] = value
        elif not part.endswith((".bitwidth", ".noise_ratio")):
            raise CheckpointError(f"the checkpoint has a tensor '{name}' that the official network does not have")
    for name, mask in masks.items():
        if name not in weights or weights[name].shape != mask.shape:
            raise CheckpointError(f"the checkpoint's mask of '{name}' has no weight of its shape; get it again")
        weights[name] = weights[name] * mask.to(weights[name].dtype)
    return weights


def _load(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file; .safetensors needs no unpickling, the rest goes to a child process.

    Raises:
        CheckpointError: a file that cannot be read.
    """
    if path.suffix != ".safetensors":
        return load_tensors(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a checkpoint that can be read: {error}") from None
    return tensors


def _empty(config: HiNeRVConfig) -> VideoModel:
    """Return the network without memory for its weights."""
    with torch.device("meta"):
        return build_model("hinerv", config)


def _frame_count(shape: tuple[int, ...] | None) -> int:
    """Return T, the rows of the first local grid.

    Raises:
        CheckpointError: no such grid.
    """
    if shape is None or len(shape) != 2 or shape[0] < 1:
        raise CheckpointError(f"the checkpoint has no grid '{_FIRST_GRID}'; it is not of the official HiNeRV code")
    return shape[0]


def _network(config: HiNeRVConfig, state: Mapping[str, Tensor]) -> VideoModel:
    """Return the network in eval mode.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name.
    """
    try:
        _empty(config).check_stored_state({name: tuple(value.shape) for name, value in state.items()})
    except UsageError as error:
        raise CheckpointError(f"the checkpoint does not fit its official arguments: {error}") from None
    with torch.random.fork_rng(devices=[]):  # initial values are replaced at once; the caller's generator stays
        model = build_model("hinerv", config)
    model.load_stored_state({name: value.float() for name, value in state.items()})
    return model.eval()


def open_hinerv_bitstream(path: str | Path, arguments: str) -> HiNeRVBitstream:
    """Open `Qb.zip` of the HiNeRV repository and keep its integers.

    Args:
        path: the file.
        arguments: the official command line it was made with, as one string; it must say the frame size.

    Raises:
        MissingInputError: no such file.
        CheckpointError: no bitstream, a damaged one, or one that does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist or is no file; give a .zip that the official code wrote")
    flags = parse_hinerv(arguments)
    stream = HiNeRVZip(path)
    config = hinerv_config(flags, _frame_count(stream.shape(_FIRST_GRID)))
    shapes = {name: tuple(value.shape) for name, value in _empty(config).stored_state().items()}
    if sum(map(prod, shapes.values())) > _MAX_WEIGHTS:
        raise CheckpointError(
            f"{path} announces more than {_MAX_WEIGHTS} weights; get it again, or check the arguments"
        )
    official = rename_upstream_keys({name: name for name in stream.names()})
    for name in shapes:
        if name not in official:
            raise CheckpointError(f"{path} lacks the tensor '{name}' that the official arguments ask for; check them")
    for name, upstream in official.items():
        if name not in shapes:
            raise CheckpointError(f"{path} has a tensor '{upstream}' that the official arguments do not; check them")
    return HiNeRVBitstream(config, {ours: stream.tensor(official[ours], shape) for ours, shape in shapes.items()})


def open_hinerv(path: str | Path, arguments: str) -> VideoModel:
    """Open a checkpoint or a bitstream of the official HiNeRV code.

    Args:
        path: a .bin, .pth, .safetensors or .zip file; see the head of this module.
        arguments: the official command line it was made with, as one string; it must say the frame size.

    Returns:
        The network in eval mode on the CPU.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist or is no file; give one that the official code wrote")
    if is_hinerv_zip(path):
        stream = open_hinerv_bitstream(path, arguments)
        state = {
            name: torch.from_numpy(value.dequantise() if isinstance(value, QuantisedTensor) else value)
            for name, value in stream.tensors.items()
        }
        return _network(stream.config, state)
    flags = parse_hinerv(arguments)
    weights = _folded(_load(path))
    first = weights.get(_FIRST_GRID)
    config = hinerv_config(flags, _frame_count(None if first is None else tuple(first.shape)))
    return _network(config, rename_upstream_keys(weights))
