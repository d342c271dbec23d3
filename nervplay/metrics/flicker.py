"""Temporal flicker: how much more a decoded clip changes from frame to frame than its source does.

Two measures, each over pairs of successive frames:

  * without weights: mean absolute change of the decoded clip over that of the source (1 is right, above 1 flickers,
    below 1 smears), and the mean absolute difference of the two changes, which is 0 only when every pixel moves as
    it should;
  * LPIPS(rec_t, rec_t-1) / LPIPS(gt_t, gt_t-1) with AlexNet, the flicker ratio of LRConv-NeRV (arXiv 2603.18261). The
    paper does not say whether means or pairs are divided; both are given.

LPIPS: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, eq. (1).
"""

import math
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from nervplay.errors import CheckpointError, MissingInputError, UsageError
from nervplay.video.source import Frame, FrameSource

__all__ = ["AlexLpips", "Flicker", "LpipsFlicker", "flicker", "load_lpips", "lpips_flicker"]

_LAYERS = ((0, 11, 4, 2, 64), (3, 5, 1, 2, 192), (6, 3, 1, 1, 384), (8, 3, 1, 1, 256), (10, 3, 1, 1, 256))
"""AlexNet's convolutions: number in `features`, kernel, stride, padding, channels."""
_POOLED = frozenset({3, 6})  # a max pool of 3, stride 2, lies before these
_SMALLEST = 64  # pixels on a side: less leaves nothing behind the pools
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


@dataclass(frozen=True, kw_only=True)
class Flicker:
    """Flicker without weights.

    Args:
        ratio: mean absolute change of the decoded clip over that of the source; inf for a source that stands still.
        error: mean absolute difference of the two changes, in values of 0 .. 255.
    """

    ratio: float
    error: float


@dataclass(frozen=True, kw_only=True)
class LpipsFlicker:
    """Flicker as LRConv-NeRV has it.

    Args:
        of_means: mean LPIPS between decoded neighbours over that between source neighbours.
        mean_of_pairs: mean of the ratios of all pairs whose source frames differ.
    """

    of_means: float
    mean_of_pairs: float


def flicker(decoder: FrameSource, source: FrameSource) -> Flicker:
    """Return the flicker of a decoded clip, without weights.

    Args:
        decoder: the decoded file.
        source: the original, of the same size and length.

    Raises:
        UsageError: fewer than two frames, or other lengths.
    """
    ours, theirs, difference = [], [], []
    for (now, before), (then, earlier) in _pairs(decoder, source):
        ours_change, their_change = _change(now, before), _change(then, earlier)
        ours.append(np.abs(ours_change).mean())
        theirs.append(np.abs(their_change).mean())
        difference.append(np.abs(ours_change - their_change).mean())
    return Flicker(ratio=_divided(float(np.mean(ours)), float(np.mean(theirs))), error=float(np.mean(difference)))


def lpips_flicker(decoder: FrameSource, source: FrameSource, measure: "AlexLpips") -> LpipsFlicker:
    """Return the flicker ratio of LRConv-NeRV.

    Args:
        decoder: the decoded file.
        source: the original, of the same size and length.
        measure: see `load_lpips`.

    Raises:
        UsageError: fewer than two frames, other lengths, or frames too small for AlexNet.
    """
    rows = [
        (measure(now, before), measure(then, earlier)) for (now, before), (then, earlier) in _pairs(decoder, source)
    ]
    ours, theirs = (float(np.mean(column)) for column in zip(*rows, strict=True))
    ratios = [one / other for one, other in rows if other > 0]
    return LpipsFlicker(of_means=_divided(ours, theirs), mean_of_pairs=float(np.mean(ratios)) if ratios else math.inf)


def _divided(one: float, other: float) -> float:
    """Return a ratio, 1 for 0 / 0."""
    return one / other if other else (math.inf if one else 1.0)


def _change(now: Frame, before: Frame) -> NDArray[np.int16]:
    return now.astype(np.int16) - before.astype(np.int16)


def _pairs(decoder: FrameSource, source: FrameSource) -> Iterator[tuple[tuple[Frame, Frame], tuple[Frame, Frame]]]:
    """Yield ((decoded, decoded before), (source, source before)).

    Raises:
        UsageError: fewer than two frames, or other lengths.
    """
    count, other = decoder.spec.frame_count, source.spec.frame_count
    if count != other or count < 2:
        raise UsageError(f"flicker needs two clips of one length, of 2 frames or more; these have {count} and {other}")
    copies = ((ours.copy(), theirs.copy()) for ours, theirs in zip(decoder.frames(), source.frames(), strict=True))
    for (before, earlier), (now, then) in pairwise(copies):
        yield (now, before), (then, earlier)


class AlexLpips:
    """LPIPS with AlexNet.

    Args:
        weights: by the names of torchvision's AlexNet (`features.N.weight`, `.bias`) and of the official LPIPS weights
            (`linK.model.1.weight`); others are ignored.

    Raises:
        CheckpointError: a tensor missing or of another shape.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        channels = 3
        self._layers: list[tuple[Tensor, Tensor, int, int, bool]] = []
        self._shares: list[Tensor] = []
        for place, (number, kernel, stride, padding, width) in enumerate(_LAYERS):
            weight = _tensor(weights, f"features.{number}.weight", (width, channels, kernel, kernel))
            bias = _tensor(weights, f"features.{number}.bias", (width,))
            self._layers.append((weight, bias, stride, padding, number in _POOLED))
            self._shares.append(_tensor(weights, f"lin{place}.model.1.weight", (1, width, 1, 1)))
            channels = width

    @torch.no_grad()
    def __call__(self, one: Frame, other: Frame) -> float:
        """Return the distance of two frames, uint8 (H, W, 3); 0 for equal ones.

        Raises:
            UsageError: a side under 64 pixels.
        """
        if min(one.shape[:2]) < _SMALLEST:
            raise UsageError(f"LPIPS needs frames of {_SMALLEST} pixels a side or more; these are {one.shape[1::-1]}")
        distance = torch.zeros(())
        for first, second, share in zip(self._features(one), self._features(other), self._shares, strict=True):
            distance = distance + F.conv2d((first - second) ** 2, share).mean()
        return float(distance)

    def _features(self, frame: Frame) -> Iterable[Tensor]:
        """Yield the outputs of all layers, every position scaled to length 1."""
        x = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        x = (x - torch.tensor(_SHIFT).view(1, 3, 1, 1)) / torch.tensor(_SCALE).view(1, 3, 1, 1)
        for weight, bias, stride, padding, pooled in self._layers:
            if pooled:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            yield x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _tensor(weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    found = weights.get(name)
    if found is None or tuple(found.shape) != shape:
        has = "lack it" if found is None else f"have it in shape {tuple(found.shape)}"
        raise CheckpointError(f"LPIPS with AlexNet needs '{name}' of shape {shape}; the weights {has}")
    return found.float()


def load_lpips(*paths: Path) -> AlexLpips:
    """Load LPIPS with AlexNet from local files; nothing is downloaded, and nothing but tensors is unpickled.

    Args:
        paths: files that together hold the weights that `AlexLpips` names, safetensors or official `.pth`.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that holds no weights, or not these.
    """
    weights: dict[str, Tensor] = {}
    for path in paths:
        if not path.exists():
            raise MissingInputError(f"'{path}' does not exist; give the weights of AlexNet and of LPIPS")
        try:
            whole = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        except (SafetensorError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
            raise CheckpointError(f"'{path}' holds no weights ({' '.join(str(error).split())[:120]})") from None
        except pickle.UnpicklingError as error:
            raise CheckpointError(f"'{path}' is refused: it holds more than tensors ({type(error).__name__})") from None
        weights |= {name: value for name, value in whole.items() if isinstance(value, Tensor)}
    return AlexLpips(weights)
