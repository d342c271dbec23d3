"""Frames pulled along a flow, and several of them joined to one: the aggregation of FFNeRV.

    neighbours (K,3,H,W) --> [warp along flow k] --> [weighted sum, weights from a softmax over K] --> frame (3,H,W)

Source: FFNeRV, arXiv 2212.12294; official `main.py` (get_grid, resample). Its sampling grid counts from
corner pixel to corner pixel, yet the sampler reads it from edge to edge of the frame (align_corners off): a flow of 0
pulls every pixel a little towards the border. Networks are fitted with that, so it is kept.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["aggregate", "warp"]


def warp(frames: Tensor, flow: Tensor) -> Tensor:
    """Return frames pulled along a flow: the value at (y, x) comes from about (y + dy, x + dx); borders are repeated.

    Args:
        frames: float32 (N, C, H, W), H and W at least 2.
        flow: float32 (N, 2, h, w), dx, then dy, in pixels of its own size; enlarged to (H, W) bilinearly.

    Returns:
        float32 (N, C, H, W).
    """
    H, W = frames.shape[-2:]
    scale = W / flow.shape[-1]
    shift = F.interpolate(flow, scale_factor=scale, mode="bilinear", align_corners=False) * scale
    x = torch.arange(W, dtype=flow.dtype, device=flow.device)
    y = torch.arange(H, dtype=flow.dtype, device=flow.device)[:, None]
    grid = torch.stack([(shift[:, 0] + x) / ((W - 1) / 2) - 1, (shift[:, 1] + y) / ((H - 1) / 2) - 1], dim=-1)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


def aggregate(neighbours: Tensor, flow: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of warped neighbours.

    Args:
        neighbours: float32 (B, K, C, H, W).
        flow: float32 (B, 2K, h, w); see `warp`.
        weights: float32 (B, K, h, w), before the softmax over K; a weight holds for a square of H / h pixels.

    Returns:
        float32 (B, C, H, W).
    """
    B, K, _, H, W = neighbours.shape
    warped = warp(neighbours.flatten(0, 1), flow.reshape(B * K, 2, *flow.shape[-2:])).view_as(neighbours)
    share = F.interpolate(torch.softmax(weights, dim=1), size=(H, W), mode="nearest")
    return (warped * share[:, :, None]).sum(dim=1)
