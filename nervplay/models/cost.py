"""What a network costs: stored parameters, arithmetic of one frame, largest activation. Nothing is allocated for it.

GFLOPs = 2 x multiply-accumulates of convolutions, transposed convolutions and linear layers, for one frame; biases,
normalisation, activations and the encoder do not count. This is the rule of the papers' tables.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from nervplay.blocks.widths import nearest_width
from nervplay.errors import UsageError
from nervplay.models.base import ModelConfig, VideoModel, build_model
from nervplay.models.shapes import ShapesOnly

__all__ = ["Cost", "config_near", "count_parameters", "measure_cost"]

ConfigT = TypeVar("ConfigT", bound=ModelConfig)


class Cost(NamedTuple):
    """Costs of a network.

    Args:
        parameters: numbers that decoding needs: weights and embeddings, shared tensors once, encoder excluded.
        embedding_values: how many of them are per-frame embeddings.
        gflops: 10**9 floating-point operations for one frame, two per multiply-accumulate.
        largest_activation: values of the largest output of a layer, for one frame.
    """

    parameters: int
    embedding_values: int
    gflops: float
    largest_activation: int


def _embedding_values(model: VideoModel) -> int:
    return sum(math.prod(model.get_buffer(name).shape) for name in model.embedding_names)


def count_parameters(model: VideoModel) -> int:
    """Return the stored parameters of a network, on any device: see `Cost.parameters`."""
    weights = {id(p): p.numel() for name, p in model.named_parameters() if not name.startswith("encoder.")}
    return sum(weights.values()) + _embedding_values(model)


def _macs(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> int:
    """Return the multiply-accumulates of one call of a layer; 0 for layers that do not count."""
    if isinstance(layer, _ConvTransposeNd):
        return inputs[0].numel() * math.prod(layer.weight.shape[1:])
    if isinstance(layer, _ConvNd):
        return output.numel() * math.prod(layer.weight.shape[1:])
    if isinstance(layer, nn.Linear):
        return output.numel() * inputs[0].shape[-1]  # what it was given: a shared layer may be used in slices
    return 0


@lru_cache(maxsize=256)
def measure_cost(name: str, config: ModelConfig) -> Cost:
    """Return the cost of decoding with a network; it runs once on the "meta" device, without weights.

    Args:
        name: architecture name.
        config: its configuration.

    Raises:
        UnknownNameError: no such architecture.
        UsageError: a configuration of another architecture.
    """
    macs = 0
    largest = 0

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs, largest
        macs += _macs(layer, inputs, output)
        largest = max(largest, output.numel())

    with torch.device("meta"), torch.no_grad(), ShapesOnly():
        model = build_model(name, config).eval()
        for layer in model.modules():
            layer.register_forward_hook(watch)
        model(torch.zeros(1, dtype=torch.int64))
    return Cost(count_parameters(model), _embedding_values(model), 2 * macs / 1e9, largest)


def config_near(
    model: type[VideoModel], build: Callable[[int], ConfigT], parameters: int, *, largest: int = 1 << 12
) -> ConfigT:
    """Return the configuration whose network stores about `parameters` numbers, embeddings included.

    Args:
        model: the network's class.
        build: configuration by width; the network must not shrink as the width grows.
        parameters: wanted number; the nearest possible is taken.
        largest: largest width tried, from 1 on.

    Raises:
        UsageError: no width comes within a tenth of `parameters`.
    """

    def count(width: int) -> int:
        with torch.device("meta"):
            return count_parameters(model(build(width)))

    config = build(nearest_width(count, parameters, largest=largest))
    with torch.device("meta"):
        found = count_parameters(model(config))
    if abs(found - parameters) > parameters / 10:
        raise UsageError(
            f"no {model.architecture} of {config.frame_count} frames of {config.width}x{config.height} has about "
            f"{parameters} parameters; the nearest has {found}: ask for that, or for fewer frames"
        )
    return config
