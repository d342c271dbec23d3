import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.blocks.haar import haar_merge, haar_split
from nervplay.blocks.spectrum import Bands, HighFrequencyRestorer, SpectralHead, bounds_of, scale_to_bounds
from nervplay.training.losses import get_loss


def test_bounds_are_per_frame_over_all_colours() -> None:
    low = torch.zeros(2, 3, 2, 2)
    low[0, 2, 1, 1], low[0, 0, 0, 1], low[1] = 1.5, 0.25, 0.5
    low[0, 0, 0, 0] = -0.5
    assert bounds_of(low).tolist() == [[-0.5, 1.5], [0.5, 0.5]]


def test_scaling_and_bands_are_each_others_inverse() -> None:
    frames = torch.rand(2, 3, 4, 6)
    low, high = haar_split(frames)
    bounds = bounds_of(low)
    scaled = scale_to_bounds(low, bounds)
    assert scaled.amin((1, 2, 3)).tolist() == [0, 0]
    assert scaled.amax((1, 2, 3)).tolist() == [1, 1]
    torch.testing.assert_close(Bands(scaled, high).frames(bounds), frames)


def test_a_frame_of_one_colour_is_zeros_and_comes_back() -> None:
    frames = torch.full((1, 3, 4, 4), 0.25)
    low, high = haar_split(frames)
    bounds = bounds_of(low)
    scaled = scale_to_bounds(low, bounds)
    assert not scaled.any()
    assert torch.equal(Bands(scaled, high).frames(bounds), frames)


@torch.no_grad()
def test_every_band_has_its_own_branch_and_all_see_the_fused_features() -> None:
    head = SpectralHead((5, 4, 3), (2, 2), 1, "sigmoid")
    maps = torch.randn(1, 5, 2, 2), torch.randn(1, 4, 4, 4), torch.randn(1, 3, 8, 8)
    bands = head.bands(*maps)
    fused = head.fusion(*maps)
    torch.testing.assert_close(bands.low, torch.sigmoid(head.head(fused)))
    for band, name in enumerate(("lh", "hl", "hh")):
        branch = head.restorer.get_submodule(name)
        x = torch.nn.functional.leaky_relu(branch.get_submodule("mix")(fused), 0.1)
        torch.testing.assert_close(bands.high[:, :, band], branch.get_submodule("restore")(x))
    bounds = torch.tensor([[0.25, 1.25]])
    torch.testing.assert_close(bands.frames(bounds), haar_merge(bands.low + 0.25, bands.high))


@torch.no_grad()
def test_the_restorer_has_no_output_activation() -> None:
    restorer = HighFrequencyRestorer(2)
    for parameter in restorer.parameters():
        parameter.fill_(1.0)
    assert restorer(torch.ones(1, 2, 3, 3))[0, 0, 0, 1, 1] == 2 * 9 * 3 + 1
    assert restorer(-torch.ones(1, 2, 3, 3))[0, 0, 0, 1, 1] == pytest.approx(1 - 2 * 9 * 0.1)


@pytest.mark.parametrize(("name", "key"), [("Fusion6", "snerv_hf_5d_Fusion6"), ("SSIM", "snerv_hf_5d_SSIM_term")])
def test_bands_as_channels_have_the_official_loss(golden: Path, name: str, key: str) -> None:
    """The official loss of the high bands is taken over (B, 3, 3, h, w); (B, 9, h, w) gives the same value."""
    ops = np.load(golden / "misc_ops" / "ops.npz")
    pair = (torch.from_numpy(ops[f"loss5d_{part}"]).flatten(1, 2) for part in ("pred", "target"))
    values = json.loads((golden / "misc_ops" / "losses.json").read_text())
    assert get_loss(name)(*pair).item() == pytest.approx(values[key], abs=1e-7)
