"""The refinement step: norm, depthwise convolution, residual, mask."""

import torch

from nervplay.blocks.mixing import ChannelMixing, channel_norm, channels_last_conv, depthwise, refine


def test_norm_has_mean_0_and_variance_1_over_channels_and_survives_zeros() -> None:
    x = torch.rand(2, 3, 4, 50) * 7 + 3
    y = channel_norm(x)
    assert torch.allclose(y.mean(-1), torch.zeros(2, 3, 4), atol=1e-5)
    assert torch.allclose(y.var(-1, unbiased=False), torch.ones(2, 3, 4), atol=1e-4)
    assert not channel_norm(torch.zeros(1, 1, 1, 5)).any()
    assert torch.allclose(channel_norm(torch.tensor([-1e-3, 1e-3])), torch.tensor([-0.70711, 0.70711]), atol=1e-4)


def test_depthwise_keeps_channels_apart_and_pads_with_zeros() -> None:
    conv = depthwise(2)
    with torch.no_grad():
        conv.weight.copy_(torch.stack([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)]))
        conv.weight[0, 0, 0, 1] = 1.0  # the pixel above
    x = torch.arange(24.0).view(1, 3, 4, 2)
    y = channels_last_conv(conv, x)
    assert y.shape == x.shape
    assert torch.equal(y[0, 1:, :, 0], x[0, :-1, :, 0])
    assert not y[0, 0, :, 0].any()
    assert y[0, 1, 1, 1] == x[0, :, :3, 1].sum()
    assert y.is_contiguous()


def test_mixing_uses_the_erf_gelu() -> None:
    mixing = ChannelMixing(1, 1, 1)
    with torch.no_grad():
        mixing.expand.weight.fill_(1.0)
        mixing.project.weight.fill_(1.0)
    assert abs(mixing(torch.tensor([1.0])).item() - 0.8413447) < 1e-6


def test_residual_only_where_widths_agree() -> None:
    x, same, other = torch.rand(1, 2, 2, 3), torch.rand(1, 2, 2, 3), torch.rand(1, 2, 2, 5)
    mask = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1)
    assert torch.equal(refine(x, same, None), x + same)
    assert refine(x, other, None) is other
    assert torch.equal(refine(x, same, mask), x + same * mask)
    assert not refine(x, other, mask)[:, :, 1].any()
