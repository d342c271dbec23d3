"""The block in which PyTorch's calls, and the ends of convolution blocks, are sent to the kernels of a fit.

Taken on the CPU, where the kernels have something to win:

    conv2d          of each channel by itself, 3x3, 5x5 or 7x7, stride 1, same size; of all channels, 3x3 or 5x5;
                    to the three channels of a picture, 3x3; as a matrix product where the stride is the kernel
    picture         one pass there, one back
    gelu, silu      the slope is worked out with the value, the way back is one product
    blocks          `ConvBlock`: convolution, pixel shuffle and activation as one function, or the latter two;
                    `ConvNeXtBlock`

Everything else goes where it always went.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nervplay.blocks.activation import picture
from nervplay.blocks.conv_block import ConvBlock
from nervplay.blocks.convnext import ConvNeXtBlock
from nervplay.training.native.block import block as fused
from nervplay.training.native.convnext import convnext_block
from nervplay.training.native.convolution import convolved
from nervplay.training.native.depthwise import depthwise
from nervplay.training.native.finish import MOST_CHANNELS, activated, finished
from nervplay.training.native.frame import mapped
from nervplay.training.native.head import OUTPUTS, head
from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LANES, is_ours
from nervplay.training.native.matrix import patched

__all__ = ["Fusible", "NativeLayers", "fusible"]

_unseen = torch._C.DisableTorchFunction  # noqa: SLF001 - what its public likeness leaves on is what this is for
"""The block in which PyTorch's calls do not come here first: a microsecond or two each, of hundreds per step."""
_TILES = 16
"""Fewest tiles of a map for which 64 transformed weights per pair of channels are worth reading."""


def _keeps_size(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether a convolution has kernels of 1x1 to 7x7 in float32 and a result as large as its input."""
    taps = weight.shape[-1]
    return (
        x.ndim == 4
        and weight.dtype == torch.float32
        and weight.shape[2:] == (taps, taps)
        and taps in (1, 3, 5, 7)
        and _pair(stride) == _pair(dilation) == (1, 1)
        and _pair(padding) == (taps // 2, taps // 2)
    )


def _is_cut(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether a convolution takes a map apart into pieces as large as its kernels, 2x2 or more, in float32."""
    taps = weight.shape[-1]
    return (
        x.ndim == 4
        and weight.dtype == torch.float32
        and taps > 1
        and weight.shape[2:] == _pair(stride) == (taps, taps)
        and _pair(dilation) == (1, 1)
        and _pair(padding) == (0, 0)
        and x.shape[2] % taps == x.shape[3] % taps == 0
    )


def _pair(sizes: Any) -> Any:
    return tuple(sizes) if isinstance(sizes, tuple | list) else (sizes, sizes)


def _pays(x: Tensor, weight: Tensor) -> bool:
    """Whether Winograd's method wins.

    Measured on Zen 4: against bfloat16 from 16 channels on, 1.2 to 1.5 times with 3x3 and twice with 5x5 taps; against
    float32 nearly always. A processor with matrix tiles has bfloat16 at many times that rate.
    """
    outputs, channels, taps, _ = weight.shape
    side = 9 - taps
    if side < 4 or -(-x.shape[2] // side) * -(-x.shape[3] // side) < _TILES:
        return False
    if not torch.is_autocast_enabled("cpu"):
        return True
    return min(outputs, channels) >= LANES and not _has_matrix_tiles()


@cache
def _has_matrix_tiles() -> bool:
    """Whether the processor multiplies bfloat16 in tiles; asked once, not in every step."""
    return bool(torch.cpu.get_capabilities().get("amx_tile"))


class Fusible(NamedTuple):
    """A block that is computed as one function, or in fewer than it has layers.

    Args:
        block: a `ConvBlock` whose norm is none, or a `ConvNeXtBlock`.
        activation: of `finish.ACTIVATIONS`.
        factor: of the pixel shuffle.
    """

    block: nn.Module
    activation: str = "gelu"
    factor: int = 1


def fusible(model: nn.Module) -> list[Fusible]:
    """Return the blocks of a network that `NativeLayers` fuses.

    Args:
        model: the network.
    """
    found = []
    for block in model.modules():
        if isinstance(block, ConvNeXtBlock):
            found.append(Fusible(block))
        elif isinstance(block, ConvBlock) and type(block.norm) is nn.Identity:
            act, after = block.activation, block.after
            name = "silu" if type(act) is nn.SiLU else "gelu" if type(act) is nn.GELU else None
            factor = 1 if type(after) is nn.Identity else getattr(after, "upscale_factor", None)
            if name is not None and factor is not None and getattr(act, "approximate", "none") == "none":
                found.append(Fusible(block, name, factor))
    return found


class NativeLayers(TorchFunctionMode):
    """While the block runs, what the kernels take is computed by them.

    Args:
        kernels: the library.
        blocks: the `fusible` ones of the network that runs.
    """

    def __init__(self, kernels: Kernels, blocks: Sequence[Fusible] = ()) -> None:
        super().__init__()
        self._kernels, self._blocks = kernels, blocks
        self._handlers: Mapping[Any, Callable[..., Any]] = {
            torch.conv2d: self._conv2d,
            F.gelu: self._gelu,
            F.silu: self._silu,
            picture: self._picture,
        }

    def __enter__(self) -> Self:
        """Send calls and the ends of blocks to the kernels."""
        # beside the methods of the class, which come back when these go
        for block, name, factor in self._blocks:
            if isinstance(block, ConvNeXtBlock):
                vars(block)["forward"] = partial(self._convnext, block)
            elif isinstance(block, ConvBlock):
                vars(block)["forward"] = partial(self._forward, block, name, factor)
                vars(block)["finish"] = partial(self._finish, block, name, factor)
        super().__enter__()  # type: ignore[no-untyped-call]  # untyped in torch
        return self

    def __exit__(self, *exception: object) -> None:
        """Send them where they belong again."""
        super().__exit__(*exception)  # type: ignore[no-untyped-call]  # untyped in torch
        for block, _, _ in self._blocks:
            for name in ("forward", "finish"):
                vars(block).pop(name, None)

    def _convnext(self, block: ConvNeXtBlock, x: Tensor) -> Tensor:
        """Do what `ConvNeXtBlock.forward` does."""
        layers = block.depthwise, block.norm, block.expand, block.project
        pairs = (it for layer in layers for it in (layer.weight, layer.bias))
        parameters = [*(it for it in pairs if it is not None), block.scale]
        if is_ours(x) and x.ndim == 4 and {it.dtype for it in parameters} == {torch.float32}:
            with _unseen():
                return convnext_block(self._kernels, x, *(it.contiguous() for it in parameters))
        return ConvNeXtBlock.forward(block, x)

    def _forward(self, block: ConvBlock, name: str, factor: int, x: Tensor) -> Tensor:
        """Do what `ConvBlock.forward` does."""
        x, conv = block.before(x), block.conv
        if type(conv) is nn.Conv2d and is_ours(x) and conv.groups == 1 and conv.padding_mode == "zeros":
            weight = conv.weight
            point = weight.shape[-1] == 1
            if _keeps_size(x, weight, conv.stride, conv.padding, conv.dilation) and (point or _pays(x, weight)):
                with _unseen():
                    return fused(self._kernels, name, x, weight, conv.bias, factor)
        return block.finish(conv(x))

    def _finish(self, block: ConvBlock, name: str, factor: int, x: Tensor) -> Tensor:
        """Do what `ConvBlock.finish` does."""
        if is_ours(x) and x.ndim == 4 and x.shape[1] <= MOST_CHANNELS:
            with _unseen():
                return finished(self._kernels, name, x, factor)
        return ConvBlock.finish(block, x)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Send a call to the kernels, or where it belongs."""
        handler = self._handlers.get(func)
        if handler is None:
            return func(*args, **(kwargs or {}))
        result = handler(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if result is NotImplemented else result

    def _conv2d(  # noqa: PLR0917 - PyTorch's
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = (1, 1),
        padding: Any = (0, 0),
        dilation: Any = (1, 1),
        groups: int = 1,
    ) -> Any:
        """See `torch.conv2d`."""
        if not is_ours(x):
            return NotImplemented
        if groups == 1 and _is_cut(x, weight, stride, padding, dilation):
            return patched(x, weight, bias)
        if not _keeps_size(x, weight, stride, padding, dilation) or weight.shape[-1] == 1:
            return NotImplemented
        if groups == x.shape[1] == len(weight) and groups > 1:
            return depthwise(self._kernels, x, weight, bias)
        return self._dense(x, weight, bias) if groups == 1 else NotImplemented

    def _dense(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        """Compute a convolution of all channels, 3x3 or larger, as large as `x`."""
        if weight.shape[0] == OUTPUTS and weight.shape[-1] == 3 and bias is not None:
            return head(self._kernels, x, weight, bias)
        return convolved(self._kernels, x, weight, bias) if _pays(x, weight) else NotImplemented

    def _gelu(self, x: Tensor, *, approximate: str = "none") -> Any:
        """See `torch.nn.functional.gelu`."""
        return NotImplemented if approximate != "none" else self._activated("gelu", x)

    def _silu(self, x: Tensor, inplace: bool = False) -> Any:  # noqa: ARG002 - PyTorch's; it may be another tensor
        """See `torch.nn.functional.silu`."""
        return self._activated("silu", x)

    def _picture(self, features: Tensor, output: Any) -> Any:
        """See `nervplay.blocks.activation.picture`."""
        return mapped(self._kernels, features, output) if is_ours(features) else NotImplemented

    def _activated(self, name: str, x: Tensor) -> Any:
        """Compute an activation of (..., C), or of maps with their channels last."""
        if not is_ours(x) or x.ndim < 2:
            return NotImplemented
        if x.is_contiguous() and x.shape[-1] <= MOST_CHANNELS:
            return activated(self._kernels, name, x)
        if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and x.shape[1] <= MOST_CHANNELS:
            return finished(self._kernels, name, x)
        return NotImplemented
