"""What `nervplay compress` does between its checks and its report: importance, search, fitting on."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.cli.output import Reporter, note, progress
from app.cli.words import human_bytes
from nervplay.bitstream import NervFile
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import NeuralVideo
from nervplay.codec.allocate import Choice, Hull
from nervplay.codec.fake_quantise import swapped
from nervplay.codec.fine_tune import GridTuned
from nervplay.codec.importance import output_importance, spread_frames
from nervplay.codec.offers import Offers, fixed_offers, ladder_offers
from nervplay.codec.prune import apply_masks, prunable, prune_masks
from nervplay.codec.search import Search, Trial
from nervplay.decode import resolve_device
from nervplay.decode.rounding import to_uint8
from nervplay.errors import UsageError
from nervplay.metrics import psnr
from nervplay.models import VideoModel
from nervplay.training import Progress, Recipe, fit, stop_on_signals
from nervplay.video import Frame, FrameSource

__all__ = ["Compression", "Limits", "Settings"]

_IMPORTANCE_FRAMES = 4
_MEASURED_FRAMES = 8
_ROUNDS = 4
_DB_MARGIN = 0.005
_FINE_TUNING = Recipe(learning_rate=1e-4, schedule="cosine_0.1_1_0.1")
"""HiNeRV's last phase has a tenth of its first rate; a file does not tell how far its fit had come."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the file must keep to; at most one of them is set.

    Args:
        file_bytes: most bytes of the whole file.
        psnr_db: least mean PSNR over all frames.
    """

    file_bytes: int | None = None
    psnr_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to compress.

    Args:
        prune: share of the weights to set to 0.
        bits: bits of a weight; the most of one where there are limits. None leaves the choice.
        embed_bits: bits of an embedding, likewise.
        qat_epochs: passes over the source with rounded weights.
        device: where the network runs.
    """

    prune: float = 0.0
    bits: int | None = None
    embed_bits: int | None = None
    qat_epochs: int = 0
    device: str = "auto"


@dataclass
class Compression:
    """One file on its way to a smaller one.

    Args:
        video: the opened file; its network is changed.
        reference: the frames that quality is measured against, as many as the file has.
        settings: how to compress.
        limits: what to keep to.
    """

    video: NeuralVideo
    reference: FrameSource
    settings: Settings
    limits: Limits
    trials: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._device = resolve_device(self.settings.device)
        self._model = self.video.model.to(self._device)
        self._sample = spread_frames(self.video.spec.frame_count, _MEASURED_FRAMES)
        self._frames = list(self.reference.frames(self._sample))
        self._masks: dict[str, Tensor] = {}
        self._search = Search(self._file, self._quality, self._tell)

    def run(self) -> tuple[NervFile, Mapping[str, Choice]]:
        """Return the compressed file and how each of its tensors is stored.

        Raises:
            UsageError: a limit that cannot be kept, or a share that cannot be pruned.
            Interrupted: Ctrl-C while fitting; nothing is written.
        """
        note(f" trial      bytes  bits/pixel  bits/weight  PSNR dB  (of {len(self._sample)} frames)")
        importance = self._importance()
        if self.settings.prune:
            self._masks = prune_masks(prunable(self._model), self.settings.prune)
            apply_masks(self._model, self._masks)
        trial = self._found(self._offers(importance, self.video.file.segments[0].tensors))
        if self.settings.qat_epochs:
            trial = self._fitted_on(trial, importance)
        return self._file(trial.tensors), trial.choices

    def _importance(self) -> dict[str, Tensor]:
        frames = spread_frames(self.video.spec.frame_count, _IMPORTANCE_FRAMES)
        with progress("importance", len(frames), "frames") as show:
            return output_importance(self._model, frames, step=show)

    def _offers(self, importance: Mapping[str, Tensor], present: Mapping[str, StoredTensor]) -> Offers:
        asked, count = self.settings, len(importance)
        with progress("choices", count, "tensors") as show:
            if self.limits == Limits():
                return fixed_offers(self._model, importance, asked.bits or 8, asked.embed_bits or 6, step=show)
            most = {"bits": asked.bits or 16, "embed_bits": asked.embed_bits or 16}
            return ladder_offers(self._model, importance, present, **most, step=show)

    def _found(self, offers: Offers) -> Trial:
        """Return the setting that keeps to the limits."""
        hull = Hull(offers)
        if self.limits.file_bytes is not None:
            return self._search.within_bytes(hull, self.limits.file_bytes)
        if self.limits.psnr_db is None:
            return self._search.trial(hull.take(0))
        asked = self.limits.psnr_db
        for _ in range(_ROUNDS):
            trial = self._search.at_quality(hull, asked)
            missing = self.limits.psnr_db - self._whole_quality(trial.tensors)
            if missing <= 0:
                return trial
            asked += missing + _DB_MARGIN  # the sampled frames are better than all of them by so much
        raise UsageError(f"{self.limits.psnr_db:g} dB were not met in {_ROUNDS} searches; ask for a little less")

    def _fitted_on(self, trial: Trial, importance: Mapping[str, Tensor]) -> Trial:
        """Return the setting after fitting on with rounded weights; brought back under the limit where that grew."""
        tuned = GridTuned(self._model, trial.tensors, self._masks)
        recipe = _FINE_TUNING.replace(epochs=self.settings.qat_epochs)
        with stop_on_signals() as stop, progress("fitting on", recipe.epochs, "epochs") as show:

            def report(now: Progress) -> None:
                show(now.epoch - 1 + now.step / now.steps, f"{now.psnr_db:.2f} dB")

            fit(tuned, self.reference, recipe, device=self.settings.device, progress=report, stop=stop)
        tensors = tuned.quantised()
        _load(self._model.to(self._device), tensors)
        choices = {name: choice._replace(tensor=tensors[name]) for name, choice in trial.choices.items()}
        after = self._search.trial(choices)
        if self.limits.file_bytes is not None and after.file_bytes > self.limits.file_bytes:
            return self._found(self._offers(importance, tensors))
        return after

    def _file(self, tensors: Mapping[str, StoredTensor]) -> NervFile:
        file, asked = self.video.file, self.settings
        record = asdict(asked) | asdict(self.limits)
        del record["device"]
        return replace(
            file,
            segments=(replace(file.segments[0], tensors=dict(tensors)),),
            recipe={**file.recipe, "compression": record},
        )

    def _quality(self, tensors: Mapping[str, StoredTensor]) -> float:
        return self._mean_psnr(tensors, self._sample, self._frames)

    def _whole_quality(self, tensors: Mapping[str, StoredTensor]) -> float:
        count = self.video.spec.frame_count
        with progress("all frames", count, "frames") as show:
            return self._mean_psnr(tensors, range(count), self.reference.frames(), show)

    def _mean_psnr(
        self,
        tensors: Mapping[str, StoredTensor],
        indices: Sequence[int],
        frames: Iterable[Frame],
        show: Reporter | None = None,
    ) -> float:
        """Return the mean PSNR in dB of some frames, decoded from `tensors`."""
        values = {name: _floats(tensor).to(self._device) for name, tensor in tensors.items()}
        found = []
        with torch.no_grad(), swapped(self._model, values):
            for index, frame in zip(indices, frames, strict=True):
                picture = to_uint8(self._model(torch.tensor([index], device=self._device)))[0].cpu().numpy()
                found.append(psnr(picture, frame))
                if show is not None:
                    show(len(found))
        return math.fsum(found) / len(found)

    def _tell(self, trial: Trial) -> None:
        bpp = 8 * trial.file_bytes / self.video.spec.pixels
        row = {"file_bytes": trial.file_bytes, "bpp": bpp, "bits": trial.mean_bits, "psnr_db": trial.psnr_db}
        self.trials.append(row)
        note(
            f"{len(self.trials):>6} {trial.file_bytes:>10} {bpp:>11.5f} {trial.mean_bits:>12.2f} {trial.psnr_db:>8.2f}"
            f"  {human_bytes(trial.file_bytes)}"
        )


def _floats(tensor: StoredTensor) -> Tensor:
    return torch.from_numpy(tensor.copy() if isinstance(tensor, np.ndarray) else tensor.dequantise())


def _load(model: VideoModel, tensors: Mapping[str, StoredTensor]) -> None:
    """Put what tensors decode to into a network."""
    try:
        model.load_stored_state({name: _floats(tensor) for name, tensor in tensors.items()})
    except UsageError as error:  # pragma: no cover - they are the network's own
        raise AssertionError from error
