"""Floats in [0, 1] to 8-bit samples: the one place where it is defined.

sample = floor(clip(x * 255 + 0.5, 0, 255)), the rule by which the papers' frames were written to PNG (torchvision's
save_image). Computed in float32 on every device.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.video.source import Frame

__all__ = ["round_frame", "to_uint8"]


def to_uint8(frames: Tensor) -> Tensor:
    """Round frames to 8 bits and put the channels last.

    Args:
        frames: float (B, 3, H, W), nominally in [0, 1]; values outside are clipped, NaN becomes 0. May be changed.

    Returns:
        uint8 (B, H, W, 3), contiguous, on the same device.
    """
    scaled = frames.float().nan_to_num(0.0, 1.0, 0.0).mul_(255.0).add_(0.5).clamp_(0.0, 255.0)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def round_frame(values: NDArray[np.float32]) -> Frame:
    """Round one frame that lies in memory.

    Args:
        values: float32 (3, H, W), nominally in [0, 1]; stays as it is.

    Returns:
        uint8 (H, W, 3).
    """
    rounded: Frame = to_uint8(torch.from_numpy(values)[None])[0].numpy()
    return rounded
