"""How many channels: the width and kernel rules of the HNeRV family, and widths for a wanted number of parameters."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Stage", "decoder_stages", "nearest_width", "solve_channels"]


class Stage(NamedTuple):
    """One stage of a decoder: channels in and out, kernel argument and stride."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int


def decoder_stages(
    channels: int,
    strides: Sequence[int],
    *,
    reduction: float | None,
    lower_width: int,
    kernel_min: int,
    kernel_max: int,
) -> list[Stage]:
    """Return the stages of an HNeRV decoder (arXiv 2304.02633, sec. 3.2; official `model_all.py`).

    Width: c_i = max(round(c_{i-1} / r), lower width), round half to even; kernel: k_i = min(k_min + 2i, k_max).

    Args:
        channels: C0, width behind the stem.
        strides: one per stage.
        reduction: r; None takes the square root of each stride (`--reduce -1`).
        lower_width: smallest width.
        kernel_min: kernel of the first stage, in pixels.
        kernel_max: largest kernel, in pixels.
    """
    stages = []
    for i, stride in enumerate(strides):
        ratio = math.sqrt(stride) if reduction is None else reduction
        width = int(max(round(channels / ratio), lower_width))
        stages.append(Stage(channels, width, min(kernel_min + 2 * i, kernel_max), stride))
        channels = width
    return stages


def solve_channels(
    decoder_size: float,
    strides: Sequence[int],
    *,
    embedding_channels: int,
    stem_area: float,
    reduction: float,
    lower_width: int,
    kernel_min: int,
    kernel_max: int,
    saturate_stages: int | None = None,
) -> int:
    """Return C0 for a wanted decoder size by the official rule (`--modelsize`, official `train_nerv_all.py`).

    The largest root of a C0**2 + b C0 + c = size, rounded down. The rule leaves out biases, the head and the lower
    width, so the real size differs a little; networks keep the width that it gives. 0 or less: no such width.

    Args:
        decoder_size: wanted parameters without embeddings.
        strides: D, one per stage.
        embedding_channels: channels of the decoder's input.
        stem_area: outputs per channel of the stem: 9 (prod E // prod D)**2 for HNeRV, h * w for time input.
        reduction: r.
        lower_width: width of the stages that are saturated.
        kernel_min: kernel of the first stage, in pixels.
        kernel_max: largest kernel, in pixels.
        saturate_stages: stages that follow the rule; the rest count with `lower_width`. None: all.
    """
    follow = len(strides) if saturate_stages is None else saturate_stages
    ratio = 1.0 / reduction
    taps = [(stride * min(kernel_min + 2 * i, kernel_max)) ** 2 for i, stride in enumerate(strides)]
    a = ratio * sum(ratio ** (2 * i) * tap for i, tap in enumerate(taps[:follow]))
    b = embedding_channels * stem_area
    c = lower_width**2 * sum(taps[follow:]) - decoder_size
    if a <= 0 or b * b < 4 * a * c:
        return 0
    return int((-b + math.sqrt(b * b - 4 * a * c)) / (2 * a))


def nearest_width(count: Callable[[int], int], size: int, *, largest: int) -> int:
    """Return the width 1 .. largest whose network comes nearest to `size` parameters; the smaller one on a tie.

    Args:
        count: parameters of the network of a width; must not fall as the width grows.
        size: wanted parameters.
        largest: largest width tried.
    """
    low, high = 1, largest
    while low < high:
        middle = (low + high) // 2
        if count(middle) < size:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > 1 and size - count(low - 1) <= count(low) - size else low
