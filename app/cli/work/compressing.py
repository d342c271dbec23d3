"""What `nervplay compress` does between its checks and its report: importance, search, fitting on."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.cli.output import Reporter, note, progress
from app.cli.words import human_bytes
from app.cli.work.compress_part import parts_of
from nervplay.bitstream import Chunk, NervFile
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import NeuralVideo
from nervplay.codec.allocate import Choice, Hull
from nervplay.codec.offers import Offers
from nervplay.codec.search import Search, Trial
from nervplay.decode import resolve_device
from nervplay.decode.loss import STAND_IN, retold
from nervplay.errors import UsageError
from nervplay.training import Progress, Recipe, stop_on_signals
from nervplay.video import Frame, FrameSource

__all__ = ["Compression", "Limits", "Settings"]

_IMPORTANCE_FRAMES = 4  # of each segment
_MEASURED_FRAMES = 8  # of all segments together, and one of each at least
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
        video: the opened file; its networks are changed.
        reference: the frames that quality is measured against, as many as the file has.
        settings: how to compress.
        limits: what to keep to.
        allowance: chunks as large as those that are added behind the search; they count where sizes are compared.
    """

    video: NeuralVideo
    reference: FrameSource
    settings: Settings
    limits: Limits
    allowance: Mapping[str, Chunk] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._parts = parts_of(self.video, resolve_device(self.settings.device))
        each = -(-_MEASURED_FRAMES // len(self._parts))
        self._samples = [part.sample(each) for part in self._parts]
        self._frames = list(self.reference.frames(itertools.chain.from_iterable(self._samples)))
        self._search = Search(self._complete, self._quality, self._tell)

    def run(self) -> tuple[NervFile, Mapping[str, Choice]]:
        """Return the compressed file and how each of its tensors is stored; those of segment N are called "N/NAME".

        Raises:
            UsageError: a limit that cannot be kept, or a share that cannot be pruned.
            Interrupted: Ctrl-C while fitting; nothing is written.
        """
        note(f" trial      bytes  bits/pixel  bits/weight  PSNR dB  (of {len(self._frames)} frames)")
        with progress("importance", len(self._parts) * _IMPORTANCE_FRAMES, "frames") as show:
            for number, part in enumerate(self._parts):

                def step(now: int, before: int = number * _IMPORTANCE_FRAMES) -> None:
                    show(before + now)

                part.weigh(_IMPORTANCE_FRAMES, step)
        if self.settings.prune:
            for part in self._parts:
                part.prune(self.settings.prune)
        trial = self._found(self._offers())
        if self.settings.qat_epochs:
            trial = self._fitted_on(trial)
        return self._file(trial.tensors), trial.choices

    def _offers(self) -> Offers:
        asked, offers, done = self.settings, Offers(), 0
        with progress("choices", sum(part.tensor_count for part in self._parts), "tensors") as show:
            for part in self._parts:

                def step(now: int, done: int = done) -> None:
                    show(done + now)

                if self.limits == Limits():
                    offers |= part.fixed(asked.bits or 8, asked.embed_bits or 6, step)
                else:
                    offers |= part.ladder(asked.bits or 16, asked.embed_bits or 16, step)
                done += part.tensor_count
        return offers

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

    def _fitted_on(self, trial: Trial) -> Trial:
        """Return the setting after fitting on with rounded weights; brought back under the limit where that grew."""
        recipe = _FINE_TUNING.replace(epochs=self.settings.qat_epochs)
        choices: dict[str, Choice] = {}
        with stop_on_signals() as stop, progress("fitting on", recipe.epochs * len(self._parts), "epochs") as show:
            for number, part in enumerate(self._parts):

                def report(now: Progress, before: int = number * recipe.epochs) -> None:
                    show(before + now.epoch - 1 + now.step / now.steps, f"{now.psnr_db:.2f} dB")

                choices |= part.fit_on(trial.choices, self.reference, recipe, progress=report, stop=stop)
        after = self._search.trial(choices)
        if self.limits.file_bytes is not None and after.file_bytes > self.limits.file_bytes:
            return self._found(self._offers())
        return after

    def _file(self, tensors: Mapping[str, StoredTensor]) -> NervFile:
        file, asked = self.video.file, self.settings
        record = asdict(asked) | asdict(self.limits)
        del record["device"]
        segments = [
            replace(segment, tensors=part.named(tensors))
            for segment, part in zip(file.segments, self._parts, strict=True)
        ]
        # what it was compared with its source, and what was found of its weights, is no longer true
        recipe = {**retold(file.recipe, None), "compression": record}
        return replace(file, segments=tuple(segments), recipe=recipe, extras={})

    def _complete(self, tensors: Mapping[str, StoredTensor]) -> NervFile:
        """Return a file as large as it will be."""
        file = self._file(tensors)
        return replace(file, recipe={**file.recipe, **STAND_IN}, extras=self.allowance)

    def _quality(self, tensors: Mapping[str, StoredTensor]) -> float:
        return self._mean_psnr(tensors, self._samples, self._frames)

    def _whole_quality(self, tensors: Mapping[str, StoredTensor]) -> float:
        with progress("all frames", self.video.spec.frame_count, "frames") as show:
            return self._mean_psnr(tensors, [part.own for part in self._parts], self.reference.frames(), show)

    def _mean_psnr(
        self,
        tensors: Mapping[str, StoredTensor],
        indices: Sequence[Sequence[int]],
        frames: Iterable[Frame],
        show: Reporter | None = None,
    ) -> float:
        """Return the mean PSNR in dB of some frames of each part, in order, decoded from `tensors`."""
        found: list[float] = []
        rest = iter(frames)
        for part, wanted in zip(self._parts, indices, strict=True):
            for value in part.psnrs(tensors, wanted, itertools.islice(rest, len(wanted))):
                found.append(value)
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
