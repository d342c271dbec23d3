"""A network from a file, fitted on while every tensor stays on the grid on which it will be stored.

Wraps a decoded network so that `nervplay.training.fit` takes it for any other: the encoder is gone, so embeddings are
parameters now and learn like weights; pruned weights stay 0.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from nervplay.bitstream.layout import QuantisedTensor, StoredTensor
from nervplay.codec.fake_quantise import Grid, straight_through, swapped
from nervplay.codec.prune import apply_masks, hold_masks
from nervplay.codec.quantise import quantise
from nervplay.models.base import TrainingPair, VideoModel

__all__ = ["GridTuned"]


class GridTuned(VideoModel):
    """A network whose forward pass sees what the file will hold; gradients pass straight through the rounding.

    Args:
        inner: a decoded network; its weights are fitted in place.
        tensors: how each tensor is stored; the maps stay, the codes are what is learnt. Plain float32 tensors learn
            without a grid, those of `inner.stored_bits` by their own layers.
        masks: what pruning has left, by name.
    """

    def __init__(
        self, inner: VideoModel, tensors: Mapping[str, StoredTensor], masks: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__(inner.config)
        self.architecture = inner.architecture  # type: ignore[misc]  # a class attribute in networks of the registry
        self.inner = inner.requires_grad_()
        self._stored = dict(tensors)
        self._masks = dict(masks or {})
        if self._masks:
            hold_masks(inner, self._masks)
        self._embeddings = nn.ParameterList(inner.get_buffer(name).clone() for name in inner.embedding_names)
        exact = inner.stored_bits
        self._names = [n for n, t in tensors.items() if isinstance(t, QuantisedTensor) and n not in exact]
        self._grids = nn.ModuleList(_grid(self._stored[name]) for name in self._names)

    def _values(self) -> dict[str, Tensor]:
        """Return what is fitted, by stored name."""
        parameters = dict(self.inner.named_parameters())
        embeddings = dict(zip(self.inner.embedding_names, self._embeddings, strict=True))
        return {name: embeddings[name] if name in embeddings else parameters[name] for name in self._names}

    def _rounded(self) -> dict[str, Tensor]:
        embeddings = dict(zip(self.inner.embedding_names, self._embeddings, strict=True))
        values = self._values()
        grids = zip(self._names, self._grids, strict=True)
        return embeddings | {name: straight_through(values[name], grid) for name, grid in grids}  # type: ignore[arg-type]

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,), as the file would give them: float32 (B, 3, H, W)."""
        with swapped(self.inner, self._rounded()):
            frames: Tensor = self.inner(index)
        return frames

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the one term: the decoded frames against the source frames, float32 (B, 3, H, W)."""
        return [TrainingPair(self(index), frames)]

    def stored_state(self) -> dict[str, Tensor]:
        """Return what decoding needs, on its grids."""
        return self.inner.stored_state() | {name: value.detach() for name, value in self._rounded().items()}

    @torch.no_grad()
    def quantised(self) -> dict[str, StoredTensor]:
        """Return the tensors as they are now, on the maps that they were given."""
        exact = self.inner.stored_bits
        apply_masks(self.inner, self._masks)
        codes = {
            name: grid.codes(value).cpu().numpy()  # type: ignore[operator]  # ModuleList gives plain modules
            for (name, value), grid in zip(self._values().items(), self._grids, strict=True)
        }
        result: dict[str, StoredTensor] = {}
        for name, value in self.inner.stored_state().items():
            before = self._stored[name]
            if name in exact:
                result[name] = quantise(value, exact[name], scheme="per-row")
            elif isinstance(before, QuantisedTensor):
                kind = np.uint8 if before.bits <= 8 else np.uint16
                result[name] = QuantisedTensor(
                    codes=codes[name].astype(kind), bits=before.bits, minimum=before.minimum, scale=before.scale
                )
            else:
                result[name] = value.float().cpu().numpy()
        return result


def _grid(stored: StoredTensor) -> Grid:
    assert isinstance(stored, QuantisedTensor), "only names of quantised tensors are asked"
    minimum, scale = (torch.from_numpy(np.array(part, np.float32)) for part in (stored.minimum, stored.scale))
    return Grid(minimum, scale, stored.bits)
