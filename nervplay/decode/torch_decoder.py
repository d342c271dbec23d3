"""The reference decoder: eager PyTorch, on any device that PyTorch runs on."""

import contextlib
import copy
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.base import DecoderBase, plain_index
from nervplay.decode.buffers import deliver
from nervplay.decode.cuda.usable import why_not_usable
from nervplay.decode.planes import write_yuv
from nervplay.decode.rounding import to_uint8
from nervplay.decode.stages import StageTime, module_times
from nervplay.decode.tiles import Tiles
from nervplay.errors import CapabilityError, UsageError
from nervplay.models import VideoModel
from nervplay.video.source import Frame, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["TorchDecoder", "resolve_device", "torch_threads"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """Return the device of a name: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".

    Raises:
        UsageError: not the name of a device.
        CapabilityError: a CUDA device that this machine or this build of PyTorch does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"'{name}' is not a device; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device '{name}' is not supported; use auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        why = (not count and why_not_usable(device)) or f"{count} found"  # no driver, or PyTorch without CUDA
        raise CapabilityError(f"no CUDA device '{name}' here ({why}); use --device cpu")
    return device


class TorchDecoder(DecoderBase):
    """A `Decoder` (contract there) that runs the network as PyTorch gives it; FP32 is the reference of all others.

    Args:
        model: a network in eval mode; its weights are copied, so that several decoders and precisions can share one.
        spec: the clip that comes out.
        device: where to run.
        precision: "fp32" or "bf16"; bf16 costs the bundled sample 0.03 dB of PSNR.
        threads: processor cores to use; None leaves PyTorch's setting alone.
        note: why this backend was taken, in one line; empty where it was asked for.
        tiles: the rectangles that frames are made in; None for whole frames.

    Raises:
        UnknownNameError: a precision that does not exist.
        CapabilityError: a precision that this backend does not have.
    """

    def __init__(
        self,
        model: VideoModel,
        spec: VideoSpec,
        *,
        device: torch.device,
        precision: str = "fp32",
        threads: int | None = None,
        note: str = "",
        tiles: Tiles | None = None,
    ) -> None:
        super().__init__(spec, precision=precision, note=note)
        self._device = device
        self._threads = threads
        self._tiles = tiles or Tiles.whole(spec.height, spec.width)
        self._reference: VideoModel | None = model
        self._model: VideoModel | None = None
        self.set_precision(precision)

    @property
    def device(self) -> str:
        """Where it runs, as torch names it."""
        return str(self._device)

    @property
    def backend(self) -> str:
        """Always "torch"."""
        return "torch"

    @property
    def continuous_time(self) -> bool:
        """Whether the network gives pictures between frames; asks nothing of the device."""
        return self._network().continuous_time

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available in this backend; the decoder stays as it was.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        if precision not in _DTYPES:
            raise CapabilityError(f"precision {precision} is not available in this version; use {' or '.join(_DTYPES)}")
        assert self._reference is not None
        self._model = self._converted(self._reference, _DTYPES[precision])
        self._precision = precision

    def _converted(self, model: VideoModel, dtype: torch.dtype) -> VideoModel:
        """Return a copy of `model` on the device in `dtype`; the original stays."""
        return copy.deepcopy(model).to(device=self._device, dtype=dtype).eval()

    def frame(self, index: int, out: Frame | None = None) -> Frame:
        """Return frame `index` as uint8 (H, W, 3) RGB, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        rounded: Frame = to_uint8(self._run(index))[0].cpu().numpy()
        return deliver(rounded, out)

    def float_frame(self, index: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return frame `index` as float32 (3, H, W), before rounding and clipping, in `out` when it is given.

        Raises:
            FrameIndexError: index outside 0 .. T - 1.
            UsageError: the decoder is closed, or `out` does not fit.
        """
        values: NDArray[np.float32] = self._run(index)[0].float().cpu().numpy()
        return deliver(values, out)

    def yuv_frame(self, index: int, out: Planes) -> Planes:
        """Fill `out` with frame `index` as samples of YUV, and return it; see `Decoder.yuv_frame`."""
        write_yuv(self._run(index)[0].float().contiguous().cpu().numpy(), out, self._spec.colour)
        return out

    def stage_times(self, index: int = 0) -> tuple[StageTime, ...]:
        """Return the times of the network's parts; see `Decoder.stage_times`."""
        return module_times(self._network(), lambda: self._run(index), self._device)

    @torch.inference_mode()
    def frame_at(self, position: Fraction) -> Frame:
        """Return the picture at `position`, in frames, as uint8 (H, W, 3) RGB.

        Raises:
            FrameIndexError: position outside 0 .. T - 1.
            CapabilityError: between frames, and the architecture is not continuous in time.
            UsageError: the decoder is closed.
        """
        network = self._network()
        network.check_index(position)
        if position.denominator == 1:
            return self.frame(int(position))
        moment = torch.tensor([float(position)], dtype=torch.float64, device=self._device)
        with torch_threads(self._threads):
            rounded: Frame = to_uint8(self._made(moment))[0].cpu().numpy()
        return rounded

    @torch.inference_mode()
    def _run(self, index: int) -> Tensor:
        """Return frame `index` as the network gives it, (1, 3, H, W) on the device."""
        index = plain_index(index)
        self._network().check_index(index)
        with torch_threads(self._threads):
            return self._made(torch.tensor([index], device=self._device))

    def _made(self, moment: Tensor) -> Tensor:
        """Return the frame at an index, int64 (1,), or a position, float64 (1,): (1, 3, H, W) on the device."""
        network, tiles = self._network(), self._tiles
        numbers = torch.arange(tiles.count, device=self._device)[:, None]
        return tiles.join(tiles.draw(network, moment, number) for number in numbers)

    def _network(self) -> VideoModel:
        """Return the network in the precision in use; raise `UsageError` after `close`."""
        self._check_open()
        assert self._model is not None
        return self._model

    def close(self) -> None:
        """Free weights and device memory; idempotent."""
        super().close()
        self._model = self._reference = None


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use `count` cores inside the block; None leaves its setting alone."""
    before = torch.get_num_threads()
    if count in (None, before):
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
