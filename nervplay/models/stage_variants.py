"""Presets of an architecture with another convolution in its last stages: the columns of LRConv-NeRV's table 3.

That paper replaces the convolutions of NeRV-S from the last stage on: L4, L3-4, L2-4, L1-4, L0-4 of stages L0 ... L4.
Low-rank, Ghost and Binary are its four columns, and a file each: `lrconv_nerv.py`, `ghost_nerv.py`, `binary_nerv.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nervplay.blocks.conv_kinds import StageConv
from nervplay.models.base import ModelConfig, Preset, require_size

__all__ = ["STAGE_SETS", "stage_variants", "variant"]

STAGE_SETS = ("l4", "l3-4", "l2-4", "l1-4", "l0-4")
"""Names of the last one, two ... five of five stages."""

_TINY_STAGES = 2


def variant(
    full_name: str,
    base: Preset,
    kind: Callable[[int], StageConv],
    last: int,
    *,
    summary: str,
    paper: str = "",
    expected: Mapping[str, float] | None = None,
) -> Preset:
    """Return `base` with another convolution in its last stages; size and recipe are those of `base`.

    Args:
        full_name: name of the new preset, with that of its architecture, for messages.
        base: a preset whose configuration has the fields `strides` and `convolutions`.
        kind: number of a stage to its convolution.
        last: how many stages, counted from the last; all where there are fewer.
        summary: see `Preset`.
        paper: see `Preset`.
        expected: see `Preset`.
    """

    def configure(width: int, height: int, frame_count: int) -> ModelConfig:
        if base.size is not None:
            require_size(full_name, base.size, (width, height))
        config: Any = base.configure(width, height, frame_count)
        stages = range(len(config.strides))
        changed: ModelConfig = replace(config, convolutions=tuple(kind(stage) for stage in stages[-last:]))
        return changed

    return Preset(
        summary=summary,
        configure=configure,
        size=base.size,
        paper=paper,
        expected=expected or {},
        recipe=base.recipe,
    )


def stage_variants(
    architecture: str,
    prefix: str,
    base: Preset,
    tiny: Preset,
    kind: Callable[[int], StageConv],
    *,
    title: str,
    paper: str,
    expected: Sequence[Mapping[str, float]],
    note: str = "",
) -> dict[str, Preset]:
    """Return "<prefix>-l4" ... "<prefix>-l0-4" of a network of five stages, and "<prefix>-tiny" (its last two stages).

    Args:
        architecture: registry name, for messages.
        prefix: of the short names.
        base: the network of the paper, with five stages.
        tiny: the architecture's smallest preset.
        kind: number of a stage to its convolution.
        title: what the network is called, for the summaries.
        paper: see `Preset`.
        expected: figures of the five stage sets, in their order.
        note: what their summaries say of these figures.
    """
    presets = {
        f"{prefix}-{name}": variant(
            f"{architecture}-{prefix}-{name}",
            base,
            kind,
            last,
            summary=f"{title} in {name.upper()} of NeRV-S{note and f' ({note})'}",
            paper=paper,
            expected=figures,
        )
        for last, (name, figures) in enumerate(zip(STAGE_SETS, expected, strict=True), start=1)
    }
    tiny_name = f"{prefix}-tiny"
    presets[tiny_name] = variant(
        f"{architecture}-{tiny_name}",
        tiny,
        kind,
        _TINY_STAGES,
        summary=f"{title} in the last two stages of the preset tiny, for tests and first steps",
    )
    return presets
