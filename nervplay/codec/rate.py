"""The rate as a term of the loss: weights are rounded with learnt steps and pay for their bits while they are fitted.

Each tensor has a step s. The forward pass rounds w / s, gradients pass straight through, and the step learns from the
rounding error (S. Esser et al., Learned Step Size Quantization, arXiv:1902.08153, eq. 1 to 3). The rate is that of a
Gaussian with mean and deviation of the tensor's codes, with uniform noise in place of rounding, as the compression
script of HNeRV-Boost reckons it (its CEM, train_nerv_compression.py; NVRC, arXiv:2409.07414, has the same aim):

    loss = distortion + rate_lambda * bits / pixels       bits of one code: -log2(P(code - 1/2 .. code + 1/2) + 1e-5)

Steps are per tensor and there is no target rate: the rate follows from `rate_lambda`. Embeddings come out of an encoder
while a network is fitted, so that their bits are not part of the term; biases keep their float values in the fit.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nervplay.bitstream.layout import MAX_BITS, QuantisedTensor
from nervplay.codec.fake_quantise import swapped
from nervplay.codec.scale_search import with_step
from nervplay.errors import UsageError
from nervplay.models.base import TrainingPair, VideoModel

__all__ = ["RateTuned", "code_bits"]

_FLOOR = 1e-5  # keeps the logarithm finite where the Gaussian has no mass
_LEAST_DEVIATION = 0.05
_HASTE = 10.0
"""How much faster the logarithm of a step learns than a weight: Adam moves a number by the learning rate at most."""


def code_bits(codes: Tensor) -> Tensor:
    """Return the bits of some codes under the Gaussian of their own mean and deviation, 0-dim, differentiable.

    Args:
        codes: float32, any shape, two elements or more; rounded or with uniform noise of one step.
    """
    mean, deviation = codes.mean(), codes.std().clamp_min(_LEAST_DEVIATION)
    upper = torch.special.ndtr((codes + 0.5 - mean) / deviation)
    lower = torch.special.ndtr((codes - 0.5 - mean) / deviation)
    return -torch.log2(upper - lower + _FLOOR).clamp_max(0.0).sum()


class _WithRate(torch.autograd.Function):
    """Passes frames through and gives a further term of the loss its gradient of 1, whatever the loss is."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, term: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        """Return `frames` as they are."""
        return frames.view_as(frames)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG004 - torch's signature
        """Return the gradients of frames and term."""
        return gradients[0], gradients[0].new_ones(())


class RateTuned(VideoModel):
    """A network in training that pays for the bits of its weights; `fit` takes it for any other.

    Args:
        inner: fresh from `build_for_training`, with its encoder.
        rate_lambda: what a bit per pixel costs in the loss, above 0.
        bits: codes that the full range of a weight has at the start, 2 .. 16; steps are learnt from there.

    Raises:
        UsageError: a price that is not above 0.
    """

    def __init__(self, inner: VideoModel, rate_lambda: float, *, bits: int = 8) -> None:
        super().__init__(inner.config, encoder=True)
        if not 0.0 < rate_lambda < float("inf"):
            raise UsageError(f"a rate lambda of {rate_lambda:g} cannot be had; give a price per bit per pixel above 0")
        # The name is part of what a resumed fit must share; files name the inner network.
        self.architecture = f"{inner.architecture}, rate lambda {rate_lambda:g}, {bits} bits"  # type: ignore[misc]
        self.inner, self.rate_lambda = inner, rate_lambda
        self.embedding_names, self.bears_bfloat16 = inner.embedding_names, inner.bears_bfloat16
        exact = inner.stored_bits
        self._names = [
            name
            for name, value in inner.named_parameters()
            if value.ndim > 1 and value.numel() > 1 and name not in exact and not name.startswith("encoder.")
        ]
        weights = dict(inner.named_parameters())
        largest = [weights[name].detach().abs().max().clamp_min(1e-6) for name in self._names]
        self.log_steps = nn.Parameter((torch.stack(largest).log() - math.log(2 ** (bits - 1) - 0.5)) / _HASTE)
        self._pixels = inner.config.width * inner.config.height * inner.config.frame_count

    def _steps(self) -> Tensor:
        """Return the step of each tensor, float32 (tensors,)."""
        return (_HASTE * self.log_steps).exp()

    def _codes(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (w / s, s) by name."""
        weights, steps = dict(self.inner.named_parameters()), self._steps()
        return {name: (weights[name] / step, step) for name, step in zip(self._names, steps, strict=True)}

    def _rounded(self, codes: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        return {name: (code + (code.round() - code).detach()) * step for name, (code, step) in codes.items()}

    @property
    def has_encoder(self) -> bool:
        """Whether the inner network has one."""
        return self.inner.has_encoder

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,), with rounded weights: float32 (B, 3, H, W)."""
        with swapped(self.inner, self._rounded(self._codes())):
            frames: Tensor = self.inner(index)
        return frames

    def source_index(self, index: Tensor) -> Tensor:
        """Return the source frames that the inner network needs."""
        return self.inner.source_index(index)

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the terms of the inner network with rounded weights; the last one carries the rate's gradient.

        Args:
            index: int64 (B,).
            frames: the source frames at `source_index(index)`.
        """
        codes = self._codes()
        with swapped(self.inner, self._rounded(codes)):
            pairs = self.inner.training_pairs(index, frames)
        last = pairs[-1]
        term = self.rate_lambda * self.bits_per_pixel(codes)
        carried: Tensor = _WithRate.apply(last.prediction, term)  # type: ignore[no-untyped-call]  # untyped in torch
        return [*pairs[:-1], last._replace(prediction=carried)]

    def bits_per_pixel(self, codes: Mapping[str, tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """Return the reckoned rate of the weights, 0-dim, differentiable, with fresh noise in place of rounding."""
        held = self._codes() if codes is None else codes
        bits = [code_bits(code + torch.rand_like(code) - 0.5) for code, _ in held.values()]
        return torch.stack(bits).sum() / self._pixels

    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Let the inner network store its embeddings."""
        self.inner.store_embeddings(index, frames)

    def stored_state(self) -> dict[str, Tensor]:
        """Return what decoding needs, weights rounded."""
        rounded = self._rounded(self._codes())
        return self.inner.stored_state() | {name: value.detach() for name, value in rounded.items()}

    @torch.no_grad()
    def quantised(self) -> dict[str, QuantisedTensor]:
        """Return the weights that have a step as the integers that they were fitted as, in the bits that these need."""
        weights = dict(self.inner.named_parameters())
        result = {}
        for name, step in zip(self._names, self._steps(), strict=True):
            values = weights[name].float().cpu().numpy()
            reach = float(np.abs(values).max()) / float(step)
            bits = min(MAX_BITS, max(2, math.ceil(math.log2(reach + 1)) + 1))
            result[name] = with_step(values, np.asarray(float(step), np.float32), bits)
        return result
