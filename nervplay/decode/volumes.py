"""3-D convolutions as 2-D ones: a volume of small depth is a map whose channels are (depth, channel).

    out[d', c'] = sum over d, c of [weight[c', c, d - d' + padding]] * in[d, c]        [2-D convolution]

The weight of a pair of depths that no tap joins is 0; the kernels leave such channels out (`native/plan`).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["flattened"]

Float = NDArray[np.float32]


def flattened(weight: Float, bias: Float | None, depth: int, padding: int) -> tuple[Float, Float]:
    """Return (weight, bias) of the 2-D convolution that is a 3-D one, of stride 1.

    Args:
        weight: float32 (C', C, kd, kh, kw).
        bias: float32 (C',); None for zeros.
        depth: D of the input.
        padding: zeros in front of and behind the depth.

    Returns:
        float32 (D' C', D C, kh, kw) and (D' C',).
    """
    outputs, channels, taps, kh, kw = weight.shape
    deep = depth + 2 * padding - taps + 1
    flat = np.zeros((deep, outputs, depth, channels, kh, kw), np.float32)
    for to in range(deep):
        for tap in range(taps):
            if 0 <= to + tap - padding < depth:
                flat[to, :, to + tap - padding] = weight[:, :, tap]
    biases = np.zeros(deep * outputs, np.float32) if bias is None else np.tile(bias, deep)
    return flat.reshape(deep * outputs, depth * channels, kh, kw), biases
