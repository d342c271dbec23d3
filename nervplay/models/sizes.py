"""From a wanted number of parameters to the embeddings of a network that stores one per frame.

Our own rules, for frame sizes and numbers of frames that the papers do not have; the width of the network then follows
from what the embeddings leave (`cost.config_near`). The official rule of `--modelsize` is here, too.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from nervplay.blocks.two_stream import DIFFERENCE_CHANNELS
from nervplay.blocks.widths import solve_channels
from nervplay.errors import UsageError
from nervplay.models.base import ModelConfig, Preset

__all__ = ["GRID_AREA", "embedding_channels", "modelsize_channels", "sized_presets", "split_embeddings"]

GRID_AREA = 8
"""Wanted positions of an embedding, for `blocks.strides.choose_strides`: the papers have 2x4."""

_MOST_CHANNELS = 16
"""Channels of the papers' embeddings."""
_EMBEDDING_SHARE = 0.2
_DIFFERENCE_SHARE = 0.15


def embedding_channels(parameters: int, positions: int, *, taken: int = 0) -> int:
    """Return the channels of an embedding, 1 to 16: all embeddings take a fifth, unless one channel takes more.

    Args:
        parameters: wanted stored parameters.
        positions: of the embeddings of all frames: T h w.
        taken: values of other embeddings, all frames together.
    """
    return max(1, min(_MOST_CHANNELS, int((_EMBEDDING_SHARE * parameters - taken) / positions)))


def split_embeddings(parameters: int, positions: int, strides: Sequence[int]) -> tuple[int, int]:
    """Return how many stages finer than the content a difference embedding is, 0 to 2, and the content's channels.

    Difference embeddings (`blocks.two_stream`) are as fine as 15 % of the parameters allow, at most as the published
    ones; all embeddings take a fifth, unless the coarsest maps and one channel take more.

    Args:
        parameters: wanted stored parameters.
        positions: of the content embeddings of all frames: T h w.
        strides: D.
    """
    sizes = [DIFFERENCE_CHANNELS * positions * prod(strides[:finer]) ** 2 for finer in range(3)]
    finer = max((level for level in (1, 2) if sizes[level] <= _DIFFERENCE_SHARE * parameters), default=0)
    return finer, embedding_channels(parameters, positions, taken=sizes[finer])


def modelsize_channels(million: float, width: int, height: int, frame_count: int, strides: Sequence[int]) -> int:
    """Return C0 as the official `--modelsize` of HNeRV and HNeRV-Boost gives it, with r = 1.2 and kernels 1 to 5.

    Args:
        million: wanted size in 10**6 parameters; theirs leaves out biases and the head.
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        strides: D = E, one per stage.

    Raises:
        UsageError: so many frames that their embeddings leave nothing.
    """
    channels = solve_channels(
        million * 1e6 - _MOST_CHANNELS * width * height // prod(strides) ** 2 * frame_count,
        strides,
        embedding_channels=_MOST_CHANNELS,
        stem_area=9,
        reduction=1.2,
        lower_width=12,
        kernel_min=1,
        kernel_max=5,
    )
    if channels < 1:
        raise UsageError(
            f"the embeddings of {frame_count} frames leave nothing of {million} M parameters; cut the clip"
        )
    return channels


def sized_presets(
    title: str,
    configure_size: Callable[[int, int, int, int], ModelConfig],
    recipe: Mapping[str, Any],
    *,
    what: str = "that divides into stages",
) -> dict[str, Preset]:
    """Return the presets "small" (0.3 M stored parameters) and "medium" (1.5 M) of any frame size.

    Args:
        title: name of the architecture, for the summaries.
        configure_size: (width, height, frame_count, parameters) -> configuration.
        recipe: see `Preset`.
        what: which frame sizes those are.
    """

    def preset(parameters: int) -> Preset:
        return Preset(
            summary=f"{title} of about {parameters / 1e6:g} M parameters for any frame size {what}",
            configure=lambda width, height, frame_count: configure_size(width, height, frame_count, parameters),
            recipe=recipe,
        )

    return {"small": preset(300_000), "medium": preset(1_500_000)}
