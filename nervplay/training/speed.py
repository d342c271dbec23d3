"""How a step is computed: exactly as the official code does, or faster at the same quality.

    exact      float32, eager, one kernel after the other, Adam parameter group by parameter group
    fast       convolutions and matrix products in bfloat16 where the processor has it (float32 weights, moments and
               losses), frames and weights with their channels last, as the fast kernels want them, Adam in one kernel,
               SSIM in one function; on CUDA what stays in float32 may use TF32. On the CPU C kernels compute what
               PyTorch is slow at (`nervplay.training.native`), where a compiler is, and freed memory is kept
    compiled   fast, and the whole way from frames to loss and back as one compiled program: on the CPU by PyTorch's
               C++ inductor, on CUDA as a CUDA graph, too. Compiling takes a minute or more

The two faster ways round otherwise than `exact`: the same recipe gives other bits, at a PSNR that differs by hundredths
of a dB. Equal arguments still give equal bits.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from nervplay.choices import SPEEDS
from nervplay.errors import CapabilityError, UnknownNameError
from nervplay.memory import keep_pages
from nervplay.metrics.psnr import float_psnr
from nervplay.models.base import VideoModel
from nervplay.tf32 import tf32_set
from nervplay.training.native import adam, frame
from nervplay.training.native.layers import Fusible, NativeLayers, fusible
from nervplay.training.native.library import kernels as find_kernels

__all__ = ["Speed", "get_speed"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Speed:
    """One of `SPEEDS` on one device.

    Args:
        name: which.
        device: where the network runs.

    Attributes:
        channels_last: whether frames and weights lie with their channels last.
        fused: whether the optimiser and SSIM are to be fused.
        kernels: what computes layers and SSIM in place of PyTorch, or None.
        graphs: whether steps are CUDA graphs, which write the next gradients over those of before.

    `prepare` comes before `arithmetic` of a network.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self._name, self._device = name, device
        self.channels_last = self.fused = name != "exact"
        self.graphs = name == "compiled" and device.type == "cuda"
        # asked here and not in a step, which a compiler could not see through
        self._half = self.fused and _has_bfloat16(device)
        # a compiler cannot see through them, and makes its own
        self.kernels = find_kernels() if name == "fast" and device.type == "cpu" else None
        self._blocks: list[Fusible] = []

    def prepare(self, model: VideoModel) -> None:
        """Lay the weights of a network as this way wants them; their values stay."""
        if self.kernels is not None:
            self._blocks = fusible(model)
        if not self.channels_last:
            return
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def arithmetic(self, model: VideoModel) -> AbstractContextManager[Any]:
        """Return the block that a network's forward pass runs in."""
        half = self._half and model.bears_bfloat16
        block = torch.autocast(self._device.type, torch.bfloat16) if half else nullcontext()
        return block if self.kernels is None else _both(NativeLayers(self.kernels, self._blocks), block)

    def update(self, optimiser: Optimizer) -> None:
        """Do one step of an optimiser with the gradients that are there."""
        if self.kernels is not None and adam.takes(optimiser):
            adam.adam_step(self.kernels, optimiser)
        else:
            optimiser.step()

    def psnr(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return what `nervplay.metrics.float_psnr` does."""
        if self.kernels is not None and frame.takes(prediction, target):
            return frame.frame_psnr(self.kernels, prediction.detach(), target)
        return float_psnr(prediction, target)

    def compiled(self, function: Function) -> Function:
        """Return the function compiled, where this way compiles.

        Raises:
            CapabilityError: no compiler is here.
        """
        if self._name != "compiled":
            return function
        _require_compiler(self._device)
        # what was compiled before would be used again, and rounds otherwise than what is compiled first
        torch.compiler.reset()
        if self._device.type == "cuda":
            result: Any = torch.compile(function, dynamic=False, mode="reduce-overhead")  # that is: with CUDA graphs
        else:
            result = torch.compile(function, dynamic=False, options={"deterministic": True})
        compiled: Function = result
        return compiled

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Allow TF32 while the block runs, where this way does; the previous settings come back after it.

        What does not come back is that a faster way on the CPU makes malloc keep freed memory for the next step.
        """
        if self._name != "exact" and self._device.type == "cpu":
            keep_pages()
        with tf32_set(self._name != "exact"):
            yield

    def laid(self, frames: Tensor) -> Tensor:
        """Return frames (B, 3, H, W), or (B, K, 3, H, W), laid as this way wants them."""
        if self.channels_last and frames.ndim == 4:
            return frames.contiguous(memory_format=torch.channels_last)
        return frames


@contextmanager
def _both(first: AbstractContextManager[Any], second: AbstractContextManager[Any]) -> Iterator[None]:
    """Run the block in two others."""
    with first, second:
        yield


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes with bfloat16 at more speed than with float32; elsewhere it is emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features: Mapping[str, Any] = torch.cpu.get_capabilities()
    return any(bool(features.get(name)) for name in ("avx512_bf16", "amx_tile", "bf16"))


def _require_compiler(device: torch.device) -> None:
    """Raise `CapabilityError` unless what compiles for `device` is here."""
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise CapabilityError("speed 'compiled' needs Triton on CUDA: pip install triton, or use 'fast'")
        if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang")))):  # as Triton looks for it
            raise CapabilityError(
                "speed 'compiled' needs a C compiler on CUDA (gcc, clang); install one, or use 'fast'"
            )
    elif not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
        raise CapabilityError("speed 'compiled' needs a C++ compiler (g++ or clang++); install one, or use 'fast'")


def get_speed(name: str, device: torch.device) -> Speed:
    """Return the way called `name`.

    Args:
        name: one of `SPEEDS`.
        device: where the network runs.

    Raises:
        UnknownNameError: no such way.
    """
    if name not in SPEEDS:
        raise UnknownNameError("speed", name, SPEEDS)
    return Speed(name, device)
