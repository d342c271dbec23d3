import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.blocks.convnext import ConvNeXt


def by_hand(state: dict[str, Tensor], x: Tensor, strides: tuple[int, ...]) -> Tensor:
    """One block per stage, written with functions only."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        scaled = (x - mean) / torch.sqrt(variance + 1e-6)
        return scaled * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    for i, stride in enumerate(strides):
        conv = state[f"downsample.{i}.conv.weight"], state[f"downsample.{i}.conv.bias"]
        if i == 0:
            x = norm(F.conv2d(x, *conv, stride=stride), f"downsample.{i}.norm")
        else:
            x = F.conv2d(norm(x, f"downsample.{i}.norm"), *conv, stride=stride)
        key = f"stages.{i}.0"
        y = F.conv2d(x, state[f"{key}.depthwise.weight"], state[f"{key}.depthwise.bias"], padding=3, groups=x.shape[1])
        y = norm(y, f"{key}.norm")
        y = F.conv2d(y, state[f"{key}.expand.weight"][:, :, None, None], state[f"{key}.expand.bias"])
        y = F.conv2d(F.gelu(y), state[f"{key}.project.weight"][:, :, None, None], state[f"{key}.project.bias"])
        x = x + state[f"{key}.scale"][:, None, None] * y
    return x


def test_it_is_what_the_paper_describes() -> None:
    torch.manual_seed(0)
    encoder = ConvNeXt([6, 4], (3, 2), 1)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    frames = torch.rand(2, 3, 12, 18)
    embedding = encoder(frames)
    assert embedding.shape == (2, 4, 2, 3)
    torch.testing.assert_close(embedding, by_hand(encoder.state_dict(), frames, (3, 2)), atol=2e-5, rtol=1e-4)


def test_the_papers_encoder_has_306160_parameters() -> None:
    encoder = ConvNeXt([64, 64, 64, 64, 16], (5, 4, 4, 2, 2), 1)
    assert sum(p.numel() for p in encoder.parameters()) == 306_160


def test_initial_values() -> None:
    torch.manual_seed(0)
    encoder = ConvNeXt([64, 16], (5, 2), 2)
    for name, value in encoder.state_dict().items():
        if name.endswith("scale"):
            assert (value == 1e-6).all()
        elif "norm" in name:
            assert (value == (1.0 if name.endswith("weight") else 0.0)).all()
        elif name.endswith("bias"):
            assert (value == 0).all()
        else:
            assert 0.015 < value.std() < 0.025, name


def test_random_numbers_are_drawn_stage_by_stage_then_once_for_all() -> None:
    """The generator stands where the official order leaves it: defaults of every layer, then the truncated normals."""
    torch.manual_seed(3)
    ConvNeXt([4, 2], (2, 2), 1)
    after = torch.rand(1)
    torch.manual_seed(3)
    layers: list[torch.nn.Module] = []
    for before, width in ((3, 4), (4, 2)):
        layers += [
            torch.nn.Conv2d(before, width, 2, 2),
            torch.nn.Conv2d(width, width, 7, groups=width),
            torch.nn.Linear(width, 4 * width),
            torch.nn.Linear(4 * width, width),
        ]
    for layer in layers:
        torch.nn.init.trunc_normal_(layer.weight, std=0.02)
    assert torch.equal(after, torch.rand(1))
