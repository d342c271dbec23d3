"""Ghost-NeRV, versions 1 and 2: ghost modules in the last stages of a NeRV.

The paper (TechRxiv) and its code were not to be had. What is here is rebuilt from the figures that LRConv-NeRV prints
of it (arXiv 2603.18261, table 3), on the modules of GhostNet (arXiv 1911.11907) and GhostNetV2 (arXiv 2211.12905). The
network is `nerv.py` with `convolutions` of kind "ghost" or "ghost-v2" (`blocks.ghost`); here are the presets.

What the figures fix: NeRV-S, half of a stage's channels (before the pixel shuffle) from the 3x3 convolution, the other
half by depth-wise 3x3 from the first, both at the resolution of the convolution. For version 2 a gate that costs
C * C' + 6 C per position: depth-wise 1x3 and 3x1 on the input, then a point-wise convolution. The gate of the public
GhostNetV2 code does not fit (130.93 GFLOPs in L4).

Open, and chosen here: biases on both convolutions of version 1, and on the point-wise one of the gate; no normalisation
and no activation inside, NeRV's activation behind the pixel shuffle; the order inside the gate. A pixel shuffle of
stride 2 makes the first half of a stage's channels from primary maps alone.

    stages    version 1: counted   printed     version 2: counted   without the head   printed
    L4              126.2387        126.24           143.4911            142.9602       142.96
    L3-4            107.3275        107.32           128.8929            128.3621       128.36
    L2-4            102.5997        102.60           125.2434            124.7126       124.71
    L1-4            102.2886        102.29           125.0054            124.4745       124.47
    L0-4            102.2676        102.26           124.9892            124.4584       124.46

Version 1 lies within 0.01 GFLOPs of the printed figures; neither rounding nor cutting off gives all five. Version 2,
rounded, gives all five if the head (a 1x1 convolution, 0.5308) is left out; we count the head. No parameters are known.
"""

from nervplay.blocks.conv_kinds import StageConv
from nervplay.models.base import Preset
from nervplay.models.stage_variants import stage_variants

__all__ = ["presets"]

_PRINTED_V1 = (126.24, 107.32, 102.60, 102.29, 102.26)
_PRINTED_V2 = (142.96, 128.36, 124.71, 124.47, 124.46)


def _version_1(stage: int) -> StageConv:
    return StageConv(stage=stage, kind="ghost")


def _version_2(stage: int) -> StageConv:
    return StageConv(stage=stage, kind="ghost-v2")


def presets(base: Preset, tiny: Preset) -> dict[str, Preset]:
    """Return the presets "ghost-l4" ... "ghost-l0-4", "ghost-tiny", and the same with "ghost-v2".

    Args:
        base: NeRV-S.
        tiny: the smallest NeRV.
    """
    first = stage_variants(
        "nerv",
        "ghost",
        base,
        tiny,
        _version_1,
        title="Ghost-NeRV v1: ghost convolutions",
        paper="as in arXiv 2603.18261, table 3 (within 0.01 GFLOPs)",
        expected=[{"gflops": gflops} for gflops in _PRINTED_V1],
    )
    second = stage_variants(
        "nerv",
        "ghost-v2",
        base,
        tiny,
        _version_2,
        title="Ghost-NeRV v2: gated ghost convolutions",
        paper="as in arXiv 2603.18261, table 3, which leaves out the head (0.53 GFLOPs; counted here)",
        expected=[{"gflops": gflops} for gflops in _PRINTED_V2],
        note="published without the head",
    )
    return first | second
