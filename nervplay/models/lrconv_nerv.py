"""LRConv-NeRV: low-rank convolutions in the last stages of a NeRV, https://arxiv.org/abs/2603.18261 .

No official code is public. The network is `nerv.py` with `convolutions` of kind "low-rank" (`blocks.low_rank`); here
are the paper's presets.

    stage:  x --> [3 x 1, C to r] --> [1 x 3, r to s*s*C'] --> [pixel shuffle s] --> [act]       r = ceil(rho * min)

Fixed by the paper: kernel 3, rho = 0.25 (r = 7, 7, 24, 24, 24 in L0 ... L4), stages replaced from the last one on,
trained end to end on 132 frames of 1280x720, 2 FLOPs per multiply-accumulate. The base network follows from its counts:
NeRV-S of the official README (9_16_26, encoding 1.25_40, stem 512, lower width 96), which alone gives them all.

Open in the paper, and chosen here: zeros on both sides, so that the size stays; no bias on the first convolution, one
bias per channel on the second (the dense convolution's biases, and its count); nothing between the two; PyTorch's
initial weights; activation, head and training of NeRV-S.

    stages   parameters (figure 5)   GFLOPs counted   printed (table 3)
    dense    3 201 905 (3.20 M)        201.8837         201.88
    L4       2 904 689 (2.90 M)         64.9265          64.92
    L3-4     2 607 473 (2.61 M)         30.6872          30.68
    L2-4     2 310 257 (2.31 M)         22.1274          22.12
    L1-4     2 229 011 (2.23 M)         21.5424          21.54
    L0-4     2 091 107 (2.09 M)         21.5027          21.50

Parameters are rounded. The GFLOPs of table 3 are ours cut off after two digits; they are also ours rounded, if the
stem's 0.0039 is left out. The paper's text has 64.93 for L4: with the stem, and rounded.
"""

from nervplay.blocks.conv_kinds import StageConv
from nervplay.models.base import Preset
from nervplay.models.stage_variants import stage_variants

__all__ = ["RHO", "presets"]

RHO = 0.25
"""Rank over channels, for all stages of the paper."""

_PRINTED = (
    (2_900_000, 64.92),
    (2_610_000, 30.68),
    (2_310_000, 22.12),
    (2_230_000, 21.54),
    (2_090_000, 21.50),
)


def _low_rank(stage: int) -> StageConv:
    return StageConv(stage=stage, kind="low-rank", rho=RHO)


def presets(base: Preset, tiny: Preset) -> dict[str, Preset]:
    """Return the presets "lrconv-l4" ... "lrconv-l0-4" and "lrconv-tiny".

    Args:
        base: NeRV-S.
        tiny: the smallest NeRV.
    """
    return stage_variants(
        "nerv",
        "lrconv",
        base,
        tiny,
        _low_rank,
        title="LRConv-NeRV: low-rank convolutions",
        paper="arXiv 2603.18261, table 3 (GFLOPs, cut off after two digits) and figure 5 (parameters, rounded)",
        expected=[{"parameters": parameters, "gflops": gflops} for parameters, gflops in _PRINTED],
    )
