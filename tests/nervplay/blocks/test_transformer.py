import torch
import torch.nn.functional as F

from nervplay.blocks.transformer import TransformerBlock


@torch.no_grad()
def test_two_heads_by_hand() -> None:
    """Heads stand side by side in q, in k and in v: features 0..63 of each belong to the first."""
    torch.manual_seed(0)
    block = TransformerBlock(6, 2, 5)
    x = torch.randn(1, 3, 6)
    wide = x[0] @ block.qkv.weight.T
    heads = []
    for head in range(2):
        q, k, v = (wide[:, part * 128 + head * 64 :][:, :64] for part in range(3))
        share = torch.exp(q @ k.T / 8)
        heads.append(share / share.sum(1, keepdim=True) @ v)
    y = F.linear(torch.cat(heads, 1), block.merge.weight, block.merge.bias) + x[0]
    hidden = F.linear(y, block.expand.weight, block.expand.bias)
    z = F.linear(hidden * (1 + torch.erf(hidden / 2**0.5)) / 2, block.project.weight, block.project.bias) + y
    torch.testing.assert_close(block(x)[0], z, atol=1e-5, rtol=0)


@torch.no_grad()
def test_tokens_have_no_order_and_batches_do_not_mix() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(6, 8, 5)
    x = torch.randn(2, 4, 6)
    turned = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(block(x[:, turned]), block(x)[:, turned], atol=1e-5, rtol=0)
    torch.testing.assert_close(block(x)[1:], block(x[1:]), atol=1e-5, rtol=0)


def test_keys_and_shapes() -> None:
    shapes = {name: tuple(value.shape) for name, value in TransformerBlock(6, 8, 5).named_parameters()}
    assert shapes == {
        "qkv.weight": (1536, 6),
        "merge.weight": (6, 512),
        "merge.bias": (6,),
        "expand.weight": (5, 6),
        "expand.bias": (5,),
        "project.weight": (6, 5),
        "project.bias": (6,),
    }
    assert "merge.weight" not in TransformerBlock(64, 1, 5).state_dict()
    assert "merge.weight" in TransformerBlock(64, 2, 5).state_dict()
