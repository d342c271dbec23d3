"""Binary-NeRV: one bit per weight in the last stages of a NeRV.

The paper (IEEE Access, 10.1109/ACCESS.2026.3658604) and its code were not to be had; what is known of it is that
chosen stages have binary weights and scaling factors, and that the others stay float. The network is `nerv.py` with
`convolutions` of kind "binary" (`blocks.binary`); here are the presets.

Chosen here: XNOR-Net's binary weights (arXiv 1603.05279), one factor per output channel, straight-through where
|W| <= 1; float features and biases; NeRV-S and its training. A file holds a weight in one bit, and for an output
channel the map to -alpha and +alpha, two float32 numbers: exact, whatever the precision of the other weights.

No figure is claimed. LRConv-NeRV prints GFLOPs of Binary-NeRV (arXiv 2603.18261, table 3: 72.60, 34.60, 25.20, 24.50,
24.50; table 4: 71.4 for the first), which cannot be reproduced: whatever a binary multiplication costs, some 22.4
GFLOPs stay unexplained in every row. We count a binary convolution as the dense one that it is for a processor of
floats, so all presets have the 201.88 GFLOPs and the 3 201 905 parameters of NeRV-S; what shrinks is the file.
"""

from nervplay.blocks.conv_kinds import StageConv
from nervplay.models.base import Preset
from nervplay.models.stage_variants import STAGE_SETS, stage_variants

__all__ = ["presets"]


def _binary(stage: int) -> StageConv:
    return StageConv(stage=stage, kind="binary")


def presets(base: Preset, tiny: Preset) -> dict[str, Preset]:
    """Return the presets "binary-l4" ... "binary-l0-4" and "binary-tiny".

    Args:
        base: NeRV-S.
        tiny: the smallest NeRV.
    """
    return stage_variants(
        "nerv",
        "binary",
        base,
        tiny,
        _binary,
        title="Binary-NeRV: one bit per weight",
        paper="GFLOPs of arXiv 2603.18261, table 3, cannot be reproduced; counted here as dense convolutions",
        expected=[{} for _ in STAGE_SETS],
        note="published GFLOPs not reproducible",
    )
