"""to_uint8: floor(clip(255 x + 0.5)), channels last."""

import numpy as np
import torch

from nervplay.decode.rounding import to_uint8


def test_rule_at_every_edge_between_two_levels() -> None:
    levels = torch.arange(256, dtype=torch.float64)
    below, at = (levels - 0.5 - 1e-3) / 255, (levels - 0.5 + 1e-3) / 255
    values = torch.stack([below, at]).float().reshape(1, 1, 2, 256).expand(1, 3, 2, 256).clone()
    expected = np.stack([np.maximum(np.arange(256) - 1, 0), np.arange(256)])
    np.testing.assert_array_equal(to_uint8(values)[0, :, :, 1].numpy(), expected)


def test_values_outside_are_clipped() -> None:
    values = torch.tensor([-3.0, 7.0, float("nan"), float("inf"), -float("inf")]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_uint8(values.clone())[0, 0, :, 0].tolist() == [0, 255, 0, 255, 0]


def test_channels_move_last() -> None:
    values = torch.zeros(2, 3, 4, 5)
    values[1, 2, 3, 4] = 1.0
    rounded = to_uint8(values)
    assert rounded.shape == (2, 4, 5, 3)
    assert rounded[1, 3, 4, 2] == 255
    assert rounded.sum() == 255
