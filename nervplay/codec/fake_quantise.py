"""Quantisation that a fit can see: what the file will hold in the forward pass, useful gradients in the backward pass.

    straight-through   the forward pass rounds, the backward pass does not: Y. Bengio et al., arXiv:1308.3432; inside
                       the range of the codes only, as what is clamped has nothing to gain from moving further
    Quant-Noise        a random part of the weights is rounded, the rest stays: A. Fan et al., arXiv:2004.07320, in the
                       form of the official HiNeRV (compression/quant_utils.py): integers are detached, the scale is
                       not, so that the gradient of rounded weights goes to the largest of their group

`swapped` puts such tensors into a network for one forward pass; parameters, their names and the optimiser stay.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nervplay.codec.official_quantisers import hinerv_scale

__all__ = ["Grid", "quant_noise", "straight_through", "swapped"]


class Grid(nn.Module):
    """The values that a quantised tensor can take; a module, so that it moves to a device with its network.

    Args:
        minimum: value of code 0, float32, broadcasts to the tensor.
        scale: step between codes, likewise; where it is 0 all codes stand for `minimum`.
        bits: 1 .. 16.
    """

    minimum: Tensor
    scale: Tensor

    def __init__(self, minimum: Tensor, scale: Tensor, bits: int) -> None:
        super().__init__()
        self.register_buffer("minimum", minimum, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.bits = bits

    def codes(self, values: Tensor) -> Tensor:
        """Return the codes of `values`, whole numbers in float32, 0 .. 2**bits - 1."""
        safe = torch.where(self.scale == 0, torch.ones_like(self.scale), self.scale)
        position = torch.round((values - self.minimum) / safe).clamp(0, 2**self.bits - 1)
        return torch.where(self.scale == 0, torch.zeros_like(position), position)


def straight_through(values: Tensor, grid: Grid) -> Tensor:
    """Return `values` on their grid; the gradient passes where they are inside it.

    Args:
        values: float32, any shape.
        grid: on the same device.
    """
    rounded = grid.minimum + grid.scale * grid.codes(values)
    inside = torch.minimum(torch.maximum(values, grid.minimum), grid.minimum + grid.scale * (2**grid.bits - 1))
    return inside + (rounded - inside).detach()


def quant_noise(values: Tensor, bits: int, keep: Tensor) -> Tensor:
    """Return `values` as HiNeRV's quantiser rounds them, except where `keep` says that they stay.

    Args:
        values: float32, any shape.
        bits: 2 .. 16.
        keep: bool, of the same shape; the official code draws it anew in every step, true with probability 0.1.
    """
    scale = hinerv_scale(values, bits)
    half = 2 ** (bits - 1)
    integers = torch.round(values / scale).clamp(-half, half - 1).detach()
    return torch.where(keep, values, integers * scale)


@contextmanager
def swapped(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a network compute with other tensors in place of some parameters and buffers while the block runs.

    Args:
        model: the network.
        tensors: by name of a parameter or buffer, of its shape; gradients flow into them. A parameter that modules
            share is replaced in all of them.
    """
    shared = {id(parameter): tensors[name] for name, parameter in model.named_parameters() if name in tensors}
    undo: list[tuple[dict[str, Tensor | None], str, Tensor]] = []
    try:
        for path, module in model.named_modules():
            # Assigned in the modules' own dicts: an attribute would have to be a Parameter, and would change the order.
            parameters: dict[str, Tensor | None] = module._parameters  # noqa: SLF001
            for name, parameter in parameters.items():
                if parameter is not None and id(parameter) in shared:
                    undo.append((parameters, name, parameter))
                    parameters[name] = shared[id(parameter)]
            for name, buffer in module._buffers.items():  # noqa: SLF001 - as above
                full = f"{path}.{name}" if path else name
                if buffer is not None and full in tensors:
                    undo.append((module._buffers, name, buffer))  # noqa: SLF001 - as above
                    module._buffers[name] = tensors[full]  # noqa: SLF001 - as above
        yield
    finally:
        for owner, name, tensor in undo:
            owner[name] = tensor
