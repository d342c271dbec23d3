"""The network of one time segment while `nervplay compress` works on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nervplay.bitstream import NervFile
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import NeuralVideo
from nervplay.codec.allocate import Choice
from nervplay.codec.fake_quantise import swapped
from nervplay.codec.fine_tune import GridTuned
from nervplay.codec.importance import output_importance, spread_frames
from nervplay.codec.offers import Offers, fixed_offers, ladder_offers
from nervplay.codec.prune import apply_masks, prunable, prune_masks
from nervplay.decode.rounding import to_uint8
from nervplay.errors import UsageError
from nervplay.metrics import psnr
from nervplay.models import VideoModel
from nervplay.training import Progress, Recipe, fit
from nervplay.video import Frame, FrameSource, FrameTransform

__all__ = ["Part", "parts_of"]

Step = Callable[[int], None]


class Part:
    """One segment: its network, and where its frames lie in the clip.

    Where two networks know a frame the file blends them; here a frame is that of the network whose own it is.

    Args:
        video: the whole clip.
        number: of the segment.
        device: where its network runs.
    """

    def __init__(self, video: NeuralVideo, number: int, device: torch.device) -> None:
        segment = video.file.segments[number]
        self.own = range(segment.first_frame, segment.first_frame + segment.frame_count)
        self._first_known = segment.first_known
        self._known = (segment.first_known, segment.first_known + segment.known_count)
        self._share = segment.frame_count / video.spec.frame_count
        self._present = segment.tensors
        self._prefix = f"{number}/" if len(video.file.segments) > 1 else ""
        self._device = device
        self._model = video.segment(number).model.to(device)
        self._masks: dict[str, Tensor] = {}
        self._importance: dict[str, Tensor] = {}

    @property
    def tensor_count(self) -> int:
        """Number of its stored tensors."""
        return len(self._present)

    def named(self, values: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
        """Return those of `values`, by the names of all segments' tensors together, that are its own, by its names."""
        names = (name for name in values if name.startswith(self._prefix)) if self._prefix else iter(values)
        return {name.removeprefix(self._prefix): values[name] for name in names}

    def sample(self, frames: int) -> list[int]:
        """Return at most so many of its own frames, evenly spread, by their index in the clip."""
        return [self.own[index] for index in spread_frames(len(self.own), frames)]

    def weigh(self, frames: int, step: Step) -> None:
        """Measure how much each number matters to the clip's pictures, from as many frames."""
        looked_at = [index - self._first_known for index in self.sample(frames)]
        found = output_importance(self._model, looked_at, step=step)
        self._importance = {name: self._share * value for name, value in found.items()}

    def prune(self, share: float) -> None:
        """Set a share of its weights to 0, for good.

        Raises:
            UsageError: a share that cannot be pruned.
        """
        self._masks = prune_masks(prunable(self._model), share)
        apply_masks(self._model, self._masks)

    def fixed(self, bits: int, embed_bits: int, step: Step) -> Offers:
        """Return the one choice of each tensor at given bits, by the names of all segments' tensors together."""
        return self._prefixed(fixed_offers(self._model, self._importance, bits, embed_bits, step=step))

    def ladder(self, bits: int, embed_bits: int, step: Step) -> Offers:
        """Return the choices of each tensor up to given bits, likewise."""
        offers = ladder_offers(
            self._model, self._importance, self._present, bits=bits, embed_bits=embed_bits, step=step
        )
        return self._prefixed(offers)

    def _prefixed(self, offers: Offers) -> Offers:
        return {self._prefix + name: choices for name, choices in offers.items()}

    def fit_on(
        self,
        choices: Mapping[str, Choice],
        reference: FrameSource,
        recipe: Recipe,
        *,
        progress: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> dict[str, Choice]:
        """Fit its network on while every tensor stays on its grid; return the choices with what came of them.

        Args:
            choices: how the tensors of all segments are stored.
            reference: the whole clip's frames.
            recipe: how it is fitted.
            progress: told how far it is.
            stop: asked after every step.

        Raises:
            Interrupted: `stop` returned true.
        """
        tuned = GridTuned(self._model, self.named({n: c.tensor for n, c in choices.items()}), self._masks)
        clip = FrameTransform(frames=self._known).apply(reference)  # not closed: the reference stays open
        fit(tuned, clip, recipe, device=str(self._device), progress=progress, stop=stop)
        self._present = tuned.quantised()
        self._model.to(self._device)
        _load(self._model, self._present)
        return {
            self._prefix + name: choices[self._prefix + name]._replace(tensor=tensor)
            for name, tensor in self._present.items()
        }

    def psnrs(
        self, tensors: Mapping[str, StoredTensor], indices: Sequence[int], frames: Iterable[Frame]
    ) -> Iterable[float]:
        """Yield the PSNR in dB of some of its frames, decoded from `tensors`, by their indices in the clip."""
        values = {name: _floats(tensor).to(self._device) for name, tensor in self.named(tensors).items()}
        with torch.no_grad(), swapped(self._model, values):
            for index, frame in zip(indices, frames, strict=True):
                picture = self._model(torch.tensor([index - self._first_known], device=self._device))
                yield psnr(to_uint8(picture)[0].cpu().numpy(), frame)


def parts_of(video: NeuralVideo, device: torch.device) -> list[Part]:
    """Return the segments of a clip as parts."""
    file: NervFile = video.file
    return [Part(video, number, device) for number in range(len(file.segments))]


def _floats(tensor: StoredTensor) -> Tensor:
    return torch.from_numpy(tensor.copy() if isinstance(tensor, np.ndarray) else tensor.dequantise())


def _load(model: VideoModel, tensors: Mapping[str, StoredTensor]) -> None:
    """Put what tensors decode to into a network."""
    try:
        model.load_stored_state({name: _floats(tensor) for name, tensor in tensors.items()})
    except UsageError as error:  # pragma: no cover - they are the network's own
        raise AssertionError from error
