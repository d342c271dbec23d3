"""What engines on the CPU share that make a program for each precision: change between them, decode in advance."""

import threading
from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from nervplay.decode.frame_lock import FrameLock
from nervplay.decode.loss import need
from nervplay.decode.prefetch import AheadDecoder
from nervplay.decode.tiles import Tiles
from nervplay.decode.torch_decoder import TorchDecoder
from nervplay.models import VideoModel
from nervplay.video.spec import VideoSpec

__all__ = ["PreparedDecoder"]

Made = TypeVar("Made")


class PreparedDecoder(AheadDecoder, TorchDecoder, Generic[Made]):
    """A `Decoder` (contract there) whose precisions are programs, made on first use and kept.

    Args:
        model: a network in eval mode on the CPU; its weights are read once and stay as they are.
        spec: the clip that comes out.
        precision: arithmetic in use at first.
        threads: processor cores to use.
        tiles: the rectangles that frames are made in.
        video_db: PSNR of the video against its source, for `loss.need`; None where nobody knows.
    """

    def __init__(
        self,
        model: VideoModel,
        spec: VideoSpec,
        *,
        precision: str,
        threads: int,
        tiles: Tiles,
        video_db: float | None,
    ) -> None:
        self._lock = FrameLock()  # of what runs and the precision
        self._preparing = threading.Lock()
        self._programs: dict[str, Made] = {}
        self._integers, self._mostly = 0, False  # convolutions of integers; whether these have most of the products
        self._need = need(video_db)
        super().__init__(model, spec, device=torch.device("cpu"), precision=precision, threads=threads, tiles=tiles)

    @abstractmethod
    def _computed(self, precision: str) -> str:
        """Return which program computes a precision, by its name.

        Raises:
            CapabilityError: not available here.
        """

    @abstractmethod
    def _program(self, name: str) -> Made:
        """Return a program, by a name that `_computed` gave; it is asked for once."""

    @abstractmethod
    def _run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W), by the program of the precision in use."""

    @abstractmethod
    def calibration_record(self) -> bytes:
        """Return what a file can carry of the calibration of "int8" (`carried`); it may have to be made for this."""

    def prepare(self, precision: str) -> None:
        """Make a precision ready, so that a later `set_precision` takes no time; callable from any thread.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available here.
            UsageError: the decoder is closed.
        """
        self._check_precision(precision)
        name = self._computed(precision)
        if name in self._programs:
            return  # another one, which is being made, may take long
        with self._preparing:  # frames go on being decoded meanwhile
            if name in self._programs:
                return
            made = self._program(name)
            with self._lock:
                self._check_open()  # that may have taken long
                self._programs[name] = made

    def set_precision(self, precision: str) -> None:
        """Change the arithmetic; the next frame uses it. The first "int8" of a file is calibrated.

        Raises:
            UnknownNameError: not one of `PRECISIONS`.
            CapabilityError: not available here; the decoder stays as it was.
            UsageError: the decoder is closed.
        """
        self.prepare(precision)
        with self._lock:
            self._precision = precision
            self._model = self._reference
            self._changes += 1

    def _in_use(self) -> Made:
        """Return the program of the precision in use."""
        return self._programs[self._computed(self._precision)]

    def close(self) -> None:
        """Free weights and threads; idempotent. Waits for a frame that is being decoded."""
        with self._lock:
            super().close()
            self._programs.clear()
