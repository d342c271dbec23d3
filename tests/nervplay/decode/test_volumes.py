"""3-D convolutions as 2-D ones, against PyTorch's own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nervplay.decode.volumes import flattened


@pytest.mark.parametrize(
    ("depth", "taps", "padding"), [(3, 3, 1), (3, 3, 0), (1, 3, 1), (4, 2, 1), (2, 1, 0), (5, 3, 2)]
)
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_volume_is_a_map(depth: int, taps: int, padding: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 5, depth, 9, 7), torch.randn(4, 5, taps, 3, 3)
    bias = torch.randn(4) if with_bias else None
    exact = F.conv3d(x, weight, bias, padding=(padding, 1, 1))
    flat, biases = flattened(weight.numpy(), bias.numpy() if with_bias else None, depth, padding)
    maps = x.transpose(1, 2).reshape(1, -1, 9, 7)
    out = F.conv2d(maps, torch.from_numpy(flat), torch.from_numpy(biases), padding=1)
    deep = exact.transpose(1, 2).reshape(1, -1, 9, 7)
    np.testing.assert_allclose(out, deep, atol=1e-4)
