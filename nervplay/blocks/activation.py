"""Activations by the names of the official command lines, and the maps from the last layer to a picture."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from nervplay.errors import UnknownNameError

__all__ = ["ActivationName", "OutputMap", "activation", "picture"]

ActivationName = Literal["relu", "leaky", "leaky01", "relu6", "gelu", "swish", "softplus", "hardswish"]
"""Names of `--act` in NeRV and HNeRV. Their "sin" is left out: the official code cannot run it."""

OutputMap = Literal["tanh", "sigmoid"] | float
"""How the last layer becomes a picture; a number is added as it is (`--out_bias 0.5`)."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky": partial(nn.LeakyReLU, 0.01, inplace=True),
    "leaky01": partial(nn.LeakyReLU, 0.1, inplace=True),
    "relu6": partial(nn.ReLU6, inplace=True),
    "gelu": nn.GELU,  # the erf form, not the tanh approximation
    "swish": partial(nn.SiLU, inplace=True),
    "softplus": nn.Softplus,
    "hardswish": partial(nn.Hardswish, inplace=True),
}


def activation(name: str) -> nn.Module:
    """Return a new activation module; it keeps shape and dtype and may write over its input.

    Args:
        name: one of `ActivationName`.

    Raises:
        UnknownNameError: another name.
    """
    if name not in _ACTIVATIONS:
        raise UnknownNameError("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()


def picture(features: Tensor, output: OutputMap) -> Tensor:
    """Map the last layer to RGB.

    Args:
        features: float (B, 3, H, W), unbounded.
        output: "tanh" 0.5 tanh(x) + 0.5; "sigmoid"; a number b: x + b, which nothing keeps inside [0, 1].

    Returns:
        float (B, 3, H, W); in [0, 1] for "tanh" and "sigmoid".
    """
    if has_torch_function((features,)):  # a fit may put a faster function in its place
        result: Tensor = handle_torch_function(picture, (features,), features, output)
        return result
    if output == "tanh":
        return torch.tanh(features) * 0.5 + 0.5
    if output == "sigmoid":
        return torch.sigmoid(features)
    return features + output
