"""While the block runs PyTorch's calls go to the kernels, where these take them, and a network learns the same."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nervplay.blocks.conv_block import ConvBlock, up_block
from nervplay.blocks.convnext import ConvNeXtBlock
from nervplay.models import build_model, preset_names, resolve_preset
from nervplay.training.native.layers import NativeLayers, fusible
from nervplay.training.native.library import Kernels

NAMES = {"Activated", "Finished", "Depthwise", "Convolved", "Head", "Block", "PointBlock", "Patched", "ConvNeXtBlock"}


def used(value: Tensor) -> set[str]:
    """Return the kernels in the graph behind a value."""
    names, left, seen = set(), [value.grad_fn], set()
    while left:
        function = left.pop()
        if function is not None and function not in seen:
            seen.add(function)
            names.add(function.name().strip("_").removesuffix("Backward"))
            left.extend(following for following, _ in function.next_functions)
    return names & NAMES


X = torch.randn(1, 16, 24, 32)


@pytest.mark.parametrize(
    ("layer", "kernel"),
    [
        (nn.Conv2d(16, 16, 7, padding=3, groups=16), "Depthwise"),
        (nn.Conv2d(16, 24, 3, padding=1), "Convolved"),
        (nn.Conv2d(16, 24, 5, padding=2), "Convolved"),
        (nn.Conv2d(16, 3, 3, padding=1), "Head"),
        (nn.Sequential(nn.Conv2d(16, 16, 1), nn.GELU()), "Activated"),
        (nn.Sequential(nn.Conv2d(16, 16, 1), nn.SiLU(inplace=True)), "Activated"),
        (nn.Conv2d(16, 20, 2, stride=2), "Patched"),
        (nn.Conv2d(16, 20, (8, 4), stride=(8, 4)), None),
        (nn.Conv2d(16, 20, 5, stride=5), None),
        (nn.Conv2d(16, 16, 2, stride=2, groups=2), None),
        (nn.Conv2d(16, 16, 1), None),
        (nn.Conv2d(16, 16, 3), None),
        (nn.Conv2d(16, 16, 3, padding=1, stride=2), None),
        (nn.Conv2d(16, 16, 3, padding=2, dilation=2), None),
        (nn.Conv2d(16, 16, 3, padding=1, groups=4), None),
        (nn.Conv2d(16, 16, 3, padding="same"), None),
        (nn.Conv2d(16, 16, 7, padding=3), None),
        (nn.Sequential(nn.Conv2d(16, 16, 1), nn.GELU("tanh")), None),
    ],
    ids=str,
)
def test_what_is_taken(kernels: Kernels, layer: nn.Module, kernel: str | None) -> None:
    with NativeLayers(kernels):
        ours = layer(X)
    assert used(ours) == ({kernel} if kernel else set())
    torch.testing.assert_close(ours, layer(X), rtol=1e-4, atol=1e-4)
    assert used(layer(X)) == set(), "and nothing is left of it"


def test_an_activation_alone_takes_any_dense_order(kernels: Kernels) -> None:
    last = X.contiguous(memory_format=torch.channels_last).requires_grad_()
    with NativeLayers(kernels):
        for x, kernel in ((last, {"Finished"}), (last.permute(0, 2, 3, 1), {"Activated"}), (last[:, :, ::2], set())):
            ours = F.gelu(x)
            assert used(ours) == kernel
            torch.testing.assert_close(ours, F.gelu(x.detach()), rtol=1e-5, atol=1e-6)


def test_small_maps_and_narrow_half_precision_stay_with_pytorch(kernels: Kernels) -> None:
    conv = nn.Conv2d(16, 16, 3, padding=1)
    with NativeLayers(kernels):
        assert used(conv(X[:, :, :12, :12])) == set()
        assert used(conv.double()(X.double())) == set()
        with torch.autocast("cpu", torch.bfloat16):
            assert used(nn.Conv2d(16, 8, 3, padding=1)(X)) == set()
            assert used(nn.Conv2d(16, 16, 3, padding=1)(X)) == {"Convolved"}


@pytest.mark.parametrize("activation", ["gelu", "swish"])
@pytest.mark.parametrize(("kernel", "names"), [(1, {"PointBlock"}), (3, {"Block"}), (5, {"Block"}), (7, {"Finished"})])
def test_a_block_is_one_function_or_its_end_is(kernels: Kernels, activation: str, kernel: int, names: set[str]) -> None:
    block = up_block("pshuffel", 16, 15, kernel=kernel, stride=2, norm="none", activation=activation)
    expected = block(X)
    with NativeLayers(kernels, fusible(block)):
        ours = block(X)
    assert used(ours) == names
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    assert not {"finish", "forward"} & set(vars(block))


def test_the_end_of_a_block_comes_back_after_an_error(kernels: Kernels) -> None:
    block = up_block("pshuffel", 16, 15, kernel=3, stride=2, norm="none", activation="gelu")
    with pytest.raises(RuntimeError), NativeLayers(kernels, fusible(block)):
        block(X[0, 0])
    assert not {"finish", "forward"} & set(vars(block))


def test_blocks_of_another_type_are_computed_as_ever(kernels: Kernels) -> None:
    blocks = [
        ConvNeXtBlock(16).double(),
        up_block("pshuffel", 16, 15, kernel=3, stride=2, norm="none", activation="gelu").double(),
    ]
    for block in blocks:
        with NativeLayers(kernels, fusible(block)):
            ours = block(X.double())
        assert used(ours) == set()
        assert torch.equal(ours, block(X.double()))


def test_blocks_that_are_left_alone() -> None:
    def block(**look: str) -> ConvBlock:
        return up_block("pshuffel", 4, 4, kernel=3, stride=2, **{"norm": "none", "activation": "gelu"} | look)

    assert len(fusible(nn.ModuleList([block(), block(activation="swish")]))) == 2
    assert fusible(nn.ModuleList([block(norm="in"), block(activation="relu")])) == []


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.endswith("-tiny")])
def test_gradients_of_every_architecture(kernels: Kernels, preset: str) -> None:
    architecture, found = resolve_preset(preset)
    torch.manual_seed(1)
    model = build_model(architecture.name, found.configure(128, 96, 4), encoder=True)
    index = torch.tensor([2])
    frames = torch.rand(1, *model.source_index(index).shape[1:], 3, 96, 128)
    gradients = []
    for blocks in (None, fusible(model)):
        model.zero_grad(set_to_none=True)
        if blocks is None:
            pairs = model.training_pairs(index, frames)
        else:
            with NativeLayers(kernels, blocks):
                pairs = model.training_pairs(index, frames)
        torch.stack([F.mse_loss(pair.prediction, pair.target) for pair in pairs]).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append(torch.cat([it.grad.flatten() for it in model.parameters() if it.grad is not None]))
    assert (gradients[1] - gradients[0]).norm() <= 1e-3 * gradients[0].norm()
