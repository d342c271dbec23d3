"""A neural video in the player: its figures, its decoder, and the switch of precision and device while it plays."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from app.core.cache import Key, Picture
from app.core.facts import Choice, MediaFacts
from app.core.slot import Alignment
from app.workers.media import Media, to_picture
from nervplay.bitstream import NervFile, QuantisedTensor, stored
from nervplay.codec import NeuralVideo
from nervplay.decode import GPU_PRECISIONS, PRECISIONS, Decoder, open_decoder
from nervplay.errors import CapabilityError, Interrupted
from nervplay.models import get_architecture
from nervplay.models.cost import measure_cost
from nervplay.video.source import Frame

__all__ = ["DecoderMedia", "NeuralMedia", "pruned_share", "stored_bits"]


def stored_bits(file: NervFile) -> Mapping[int, int]:
    """Return the number of stored values by their bits; 32 stands for plain floats."""
    bits: Counter[int] = Counter()
    for segment in file.segments:
        for tensor in stored(segment):
            bits[tensor.bits] += tensor.values
    return dict(sorted(bits.items()))


def pruned_share(file: NervFile) -> float | None:
    """Return the share of quantised values that decode to zero, 0 .. 1, in the first segment; None where nothing is
    quantised.

    Other segments stay undecoded: a long clip has many, and what prunes one prunes all by the same share. A map that
    has no code for zero puts none of its values there: such a file was not pruned.
    """
    zeros, count = 0, 0
    for tensor in file.segments[0].tensors.values():
        if isinstance(tensor, QuantisedTensor):
            values = tensor.dequantise()
            near = np.abs(values) <= np.abs(tensor.scale.astype(np.float32)) / 2
            zeros += int(near.sum())
            count += values.size
    return zeros / count if count else None


def _devices() -> tuple[Choice, ...]:
    """Return where networks may run here."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return (Choice(name="cpu"), Choice(name="cuda", reason="no CUDA device is here"))
    return (Choice(name="cpu"), *(Choice(name=f"cuda:{number}") for number in range(count)))


def _precisions(device: str) -> tuple[Choice, ...]:
    """Return what may be tried on a device."""
    wrong = GPU_PRECISIONS if device == "cpu" else ()
    return tuple(Choice(name=name, reason="for GPUs only" if name in wrong else "") for name in PRECISIONS)


def _others(precision: str) -> list[str]:
    """Return the precisions that have not shown yet that they can be had."""
    return [name for name in PRECISIONS if name != precision]


class _Told(NamedTuple):
    """Who hears how far a calibration is, and what ends it."""

    progress: Callable[[float], None]
    stopped: threading.Event


class DecoderMedia(Media):
    """Anything that decodes by the `Decoder` contract.

    Args:
        decoder: closed with it.
        facts: what is known of it.
        alignment: how other clips have to be cut.
    """

    def __init__(self, decoder: Decoder, facts: MediaFacts, alignment: Alignment) -> None:
        super().__init__(facts, alignment)
        self._decoder = decoder
        spec = decoder.spec
        self._frame: Frame = np.empty((spec.height, spec.width, 3), np.uint8)

    def picture(self, key: Key) -> Picture:
        """Return the picture of a frame or of a position between frames, uint8 (H, W, 4).

        Raises:
            NervplayError: it cannot be decoded.
        """
        if isinstance(key, Fraction) and key.denominator != 1:
            return to_picture(self._decoder.frame_at(key))
        return to_picture(self._decoder.frame(int(key), out=self._frame))

    def close(self) -> None:
        """Free the decoder."""
        self._decoder.close()

    def switch(self, precision: str, device: str) -> None:
        """Change the arithmetic; the device stays.

        Raises:
            CapabilityError: the decoder cannot do it; everything stays as it was.
        """
        if device != self.facts.device:
            raise CapabilityError(f"{self.facts.title} stays on {self.facts.device}; open it again for {device}")
        self._decoder.set_precision(precision)
        self.facts = replace(self.facts, precision=self._decoder.precision, backend=self._decoder.backend)


class NeuralMedia(DecoderMedia):
    """A neural video.

    Args:
        video: the network with its weights.
        title: a short name.
        kind: "nerv" or "official".
        path: where the file lies; empty where there is none.
        address: where on the Hub it came from, with the commit; empty for other files.
        precision: arithmetic; empty for FP32.
        device: "auto", "cpu", "cuda", ...
        progress: told how far INT8 is made ready, 0 .. 1, where it is opened in that.
        stopped: when it is set, opening in INT8 ends early.

    Raises:
        CapabilityError: a precision or device that is not here.
        Interrupted: it was stopped.
    """

    def __init__(
        self,
        video: NeuralVideo,
        *,
        title: str,
        kind: str,
        path: str = "",
        address: str = "",
        precision: str = "",
        device: str = "auto",
        progress: Callable[[float], None] | None = None,
        stopped: threading.Event | None = None,
    ) -> None:
        self._told: _Told | None = _Told(progress or (lambda _part: None), stopped or threading.Event())
        decoder = open_decoder(video, device=device, precision=precision or "fp32", progress=self._hear)
        self._told = None
        cost = measure_cost(
            video.architecture, get_architecture(video.architecture).config.from_config(video.file.config)
        )
        facts = MediaFacts(
            title=title,
            kind=kind,
            spec=video.spec,
            file_bytes=video.file_bytes,
            architecture=video.architecture,
            parameters=cost.parameters,
            pruned=pruned_share(video.file),
            gflops=cost.gflops,
            stored_bits=stored_bits(video.file),
            continuous_time=decoder.continuous_time,
            precisions=_precisions(decoder.device),
            devices=_devices(),
            precision=decoder.precision,
            device=decoder.device,
            backend=decoder.backend,
            has_audio=video.file.audio is not None,
            path=path,
            stamp=Path(path).stat().st_mtime_ns if path else 0,
            address=address,
        )
        super().__init__(decoder, facts, Alignment(video.spec, dict(video.file.source)))
        self._video = video
        self._unprobed = _others(facts.precision)

    def switch(self, precision: str, device: str) -> None:
        """Change arithmetic and device; the old decoder is freed once the new one is there.

        Raises:
            CapabilityError: not here; everything stays as it was, and `facts` remember the reason.
            UnknownNameError: no such precision.
        """
        try:
            if device == self.facts.device:
                self._decoder.set_precision(precision)
            else:
                fresh = open_decoder(self._video, device=device, precision=precision, progress=self._hear)
                self._decoder.close()
                self._decoder = fresh
                self.facts = replace(self.facts, precisions=_precisions(fresh.device))
                self._unprobed = _others(fresh.precision)
        except CapabilityError as error:
            if device == self.facts.device:
                self._refuse(precision, str(error))
            raise
        decoder = self._decoder
        self.facts = replace(self.facts, precision=decoder.precision, device=decoder.device, backend=decoder.backend)

    def slow(self, precision: str, device: str) -> bool:
        """Return whether it is INT8 of the present device, which the first use of a file calibrates."""
        return precision == "int8" and device == self.facts.device

    def prepare(self, precision: str, progress: Callable[[float], None], stopped: threading.Event) -> None:
        """Make a precision of the present device ready; see `Media.prepare`.

        Raises:
            CapabilityError: not here.
            Interrupted: it was stopped; nothing of it is left.
        """
        self._told = _Told(progress, stopped)
        try:
            self._decoder.prepare(precision)
        finally:
            self._told = None

    def _hear(self, done: int, total: int) -> None:
        """Pass on how far a calibration is, from the thread that does it: of what is asked for, or of a segment whose
        turn has come.
        """
        told = self._told
        if told is None:
            self.calibrating(done / total)
            return
        if told.stopped.is_set():
            raise Interrupted("another source was asked for; int8 was not made ready")
        told.progress(done / total)

    @property
    def next_probe(self) -> str:
        """The precision that `probe` tries next."""
        return self._unprobed[0] if self._unprobed else ""

    @property
    def unprobed(self) -> bool:
        """Whether precisions are left that nobody has tried."""
        return bool(self._unprobed)

    def probe(self) -> bool:
        """Try one precision, so that menus can say what is not here; True where it is refused."""
        before = self.facts
        precision = self._unprobed.pop(0)
        if precision == before.precision:
            return False
        try:
            self._decoder.set_precision(precision)
        except CapabilityError as error:
            self._refuse(precision, str(error))
        self._decoder.set_precision(before.precision)
        return self.facts != before

    def time_stages(self) -> tuple[tuple[str, float], ...]:
        """Return (stage, milliseconds) of one frame, as the decoder computes it now."""
        return self._decoder.stage_times()

    def _refuse(self, precision: str, reason: str) -> None:
        """Remember why a precision cannot be had."""
        choices = tuple(
            Choice(name=choice.name, reason=reason) if choice.name == precision else choice
            for choice in self.facts.precisions
        )
        self.facts = replace(self.facts, precisions=choices)
