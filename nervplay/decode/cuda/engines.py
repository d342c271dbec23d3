"""What computes a packed convolution: the Triton kernel, or the same arithmetic in PyTorch, which is what it must give.

`run_torch` sums in float64, where all sums of integers are exact, so its int8 maps are those of the kernel but for
values on the border of two steps: the float32 epilogue may round another way (a GPU multiplies and adds in one step).
"""

import importlib.util
from collections.abc import Callable
from subprocess import SubprocessError

import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.decode.cuda.packing import Layer
from nervplay.errors import CapabilityError

__all__ = ["Engine", "activated", "run_torch", "triton_engine", "why_no_triton"]

Engine = Callable[[Layer, Tensor, Tensor], None]
"""Called with a layer, its map (`packing.map_size`), and a view of the result's memory, (B, H'', W'', stored)."""

_WIDE = 2**31
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "half_tanh": lambda x: torch.tanh(x) * 0.5 + 0.5,
}


def activated(x: Tensor, name: str, slope: float) -> Tensor:
    """Return an activation; names as in `native.library.ACTIVATIONS`."""
    if name == "none":
        return x
    return F.leaky_relu(x, slope) if name == "leaky" else _ACTIVATIONS[name](x)


def why_no_triton() -> str | None:
    """Return why the kernel cannot be had, in one line; None when it can."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed (pip install 'nervplay[gpu]')"
    return None


def triton_engine() -> Engine:
    """Return the engine of the Triton kernel.

    Raises:
        CapabilityError: Triton is not here, or does not load.
    """
    reason = why_no_triton()
    if reason:
        raise CapabilityError(f"integer products on a GPU need Triton: {reason}; or use --precision bf16")
    try:
        from triton.errors import TritonError  # noqa: PLC0415 - Triton is optional, and slow to load

        from nervplay.decode.cuda.kernels import conv_kernel  # noqa: PLC0415 - likewise
    except (ImportError, OSError) as error:
        raise CapabilityError(f"Triton does not load ({error}); use --precision bf16") from None

    def launch(layer: Layer, source: Tensor, target: Tensor) -> None:
        conv, tile = layer.conv, layer.tile
        _, _, rows, columns = conv.weight.shape
        (height, width), line = conv.out_size, columns * layer.channels
        rectangles = conv.batch * -(-height // (tile.m // tile.across)) * -(-width // tile.across)
        blocks = len(layer.weight) // tile.n
        conv_kernel[(rectangles * blocks,)](
            source,
            layer.weight,
            layer.scale,
            layer.offset,
            layer.shift,
            target,
            height,
            width,
            *source.stride()[:2],
            layer.weight.shape[1],
            conv.slope,
            layer.per_step,
            float(layer.target_zero or 0),
            *target.stride(),
            CHANNELS=layer.channels,
            LINE=line,
            INNER=rows * line,
            STORED=layer.stored,
            SHUFFLE=conv.shuffle,
            ACTIVATION=conv.activation,
            INTEGER=layer.source_zero is not None,
            REQUANTISE=layer.target_zero is not None,
            WIDE=max(_span(source), _span(target)) >= _WIDE,
            BLOCK_M=tile.m,
            BLOCK_N=tile.n,
            BLOCK_K=tile.k,
            BLOCKS_N=blocks,
            ACROSS=tile.across,
            CACHED=tile.cached,
            num_warps=tile.warps,
            num_stages=tile.stages,
        )

    def run(layer: Layer, source: Tensor, target: Tensor) -> None:
        try:
            launch(layer, source, target)
        except (TritonError, RuntimeError, OSError, SubprocessError) as error:
            raise CapabilityError(f"Triton cannot run here ({_reason(error)}); use --precision bf16") from None

    return run


def _span(tensor: Tensor) -> int:
    """Return how many elements lie between the first of a view and its last, both included."""
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _reason(error: Exception) -> str:
    """Return in one line why Triton could not compile or start a kernel: with the first one it calls a C compiler."""
    if isinstance(error, SubprocessError):
        return "the C compiler that it calls fails; it needs Python's header files, too"
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def run_torch(layer: Layer, source: Tensor, target: Tensor) -> None:
    """Compute a layer as the kernel does, with plain operations of PyTorch; an `Engine`."""
    conv, r = layer.conv, layer.conv.shuffle
    _, _, rows, columns = conv.weight.shape
    outputs, (height, width) = r**2 * layer.stored, conv.out_size
    flat = layer.weight[:outputs, : rows * columns * layer.channels]
    weight = flat.reshape(outputs, rows, columns, layer.channels).permute(0, 3, 1, 2).double()
    total = F.conv2d(source.permute(0, 3, 1, 2).double() - (layer.source_zero or 0), weight).float()
    y = total * layer.scale[:outputs, None, None] + layer.shift[:outputs, None, None]
    y = activated(y, conv.activation, conv.slope)
    if layer.target_zero is not None:
        y = y * layer.per_step[:outputs, None, None] + float(layer.target_zero)
        y = y.clamp(-128, 127).round()
    squares = y.reshape(conv.batch, r, r, layer.stored, height, width).permute(0, 4, 1, 5, 2, 3)
    target.copy_(squares.reshape(conv.batch, height * r, width * r, layer.stored))
