import torch

from nervplay.blocks.channel_norm import ChannelNorm


@torch.no_grad()
def test_each_position_is_normalised_over_its_channels() -> None:
    torch.manual_seed(0)
    norm = ChannelNorm(4)
    norm.weight.copy_(torch.tensor([1.0, 2.0, -1.0, 0.5]))
    norm.bias.copy_(torch.tensor([0.0, 1.0, 0.0, -3.0]))
    x = 1e-3 * torch.randn(2, 4, 3, 5)  # so small that what is added to the variance shows
    x -= x.mean(1, keepdim=True)
    scaled = x / torch.sqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
    expected = scaled * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x + 7.0), norm(x), atol=2e-3, rtol=0)
    torch.testing.assert_close(norm(x), expected, atol=1e-5, rtol=1e-5)
