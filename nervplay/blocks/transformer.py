"""The transformer block of E-NeRV: self-attention and two linear layers, each added to its input, without layer norm.

    x --> [qkv] --> softmax(q k^T / sqrt(64)) v --> [merge] --> (+ x) --> [expand] --> GELU --> [project] --> (+) --> y

Source: E-NeRV, arXiv 2207.08132; official `model/E_NeRV.py` (TransformerBlock with prenorm off).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["HEAD_WIDTH", "TransformerBlock"]

HEAD_WIDTH = 64
"""Features of one attention head, whatever the width of the block."""


class TransformerBlock(nn.Module):
    """One block: see the head of this module.

    Keys: `qkv.weight` (3 * heads * 64, D), `merge`, `expand`, `project`. One head of a block 64 wide has no `merge`.

    Args:
        width: D, features of a token.
        heads: attention heads, each of 64 features.
        hidden: width between `expand` and `project`.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        inner = heads * HEAD_WIDTH
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.merge = nn.Identity() if heads == 1 and width == inner else nn.Linear(inner, width)
        self.expand = nn.Linear(width, hidden)
        self.project = nn.Linear(hidden, width)

    def _attend(self, x: Tensor) -> Tensor:
        """Return the merged heads: (B, N, D) to (B, N, D)."""
        B, N, _ = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        share = torch.softmax(q @ k.transpose(-1, -2) * HEAD_WIDTH**-0.5, dim=-1)
        out: Tensor = self.merge((share @ v).transpose(1, 2).reshape(B, N, -1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, N, D) from N tokens float (B, N, D)."""
        x = self._attend(x) + x
        out: Tensor = self.project(F.gelu(self.expand(x))) + x
        return out
