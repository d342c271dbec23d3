from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.blocks.haar import haar_merge, haar_split, low_pass


def test_bands_of_one_block_of_pixels() -> None:
    a, b, c, d = 0.1, 0.5, 0.3, 0.9
    low, high = haar_split(torch.tensor([[[[a, b], [c, d]]]]))
    assert low.item() == pytest.approx((a + b + c + d) / 2)
    expected = [(a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2]
    assert high.flatten().tolist() == pytest.approx(expected), "rows, columns, across"


@pytest.mark.parametrize("size", [(6, 10), (7, 10), (6, 9), (7, 9), (1, 1)])
def test_merging_undoes_splitting(size: tuple[int, int]) -> None:
    frames = torch.rand(2, 3, *size)
    low, high = haar_split(frames)
    half = [(side + 1) // 2 for side in size]
    assert (list(low.shape), list(high.shape)) == ([2, 3, *half], [2, 3, 3, *half])
    again = haar_merge(low, high)
    assert list(again.shape[-2:]) == [2 * side for side in half]
    torch.testing.assert_close(again[..., : size[0], : size[1]], frames, atol=1e-6, rtol=0)
    torch.testing.assert_close(again[..., -1, :], again[..., size[0] - 1, :], msg="an odd side counts its end twice")
    assert low.square().sum() + high.square().sum() == pytest.approx(again.square().sum().item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["even", "odd"])
def test_parity_with_the_official_transforms(golden: Path, kind: str) -> None:
    ops = np.load(golden / "misc_ops" / "ops.npz")
    low, high = haar_split(torch.from_numpy(ops[f"dwt_{kind}_x"]))
    np.testing.assert_allclose(low, ops[f"dwt_{kind}_yl"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(high, ops[f"dwt_{kind}_yh"], atol=1e-6, rtol=0)
    bands = (torch.from_numpy(ops[f"idwt_{kind}_{band}"]) for band in ("yl", "yh"))
    np.testing.assert_allclose(haar_merge(*bands), ops[f"idwt_{kind}_x"], atol=2e-6, rtol=0)


def test_parity_of_the_low_pass_in_time(golden: Path) -> None:
    ops = np.load(golden / "misc_ops" / "ops.npz")
    first, second = torch.from_numpy(ops["dwt1d_x"]).unbind(-1)
    np.testing.assert_allclose(low_pass(first, second), ops["dwt1d_lo"][..., 0], atol=1e-6, rtol=0)
