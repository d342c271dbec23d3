"""Each operation against PyTorch."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.decode.graph import UntraceableError, trace
from nervplay.decode.lowering import lower
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.translate import write

TABLE = torch.randn(5, 2, 6, 4, 3, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.randn(2000, generator=torch.Generator().manual_seed(1))


def weights(*shape: int) -> Tensor:
    return WEIGHTS[: torch.Size(shape).numel()].reshape(shape)


def check(function: Callable[[Tensor], Tensor]) -> None:
    """Compare for a map (2, 6, 4, 3) that depends on an index."""

    def network(index: Tensor) -> Tensor:
        return function(TABLE[index][0])

    graph = trace(network)
    program = OpenvinoProgram(graph, write(graph, lower(graph, 1)), 1)
    for index in (0, 4):
        torch.testing.assert_close(program.run(index), network(torch.tensor([index])), atol=2e-6, rtol=2e-6)


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x.view(2, 3, -1),
    "transpose": lambda x: x.transpose(1, -1) + 0.0,
    "permute": lambda x: x.permute(3, 0, 2, 1) * 1.0,
    "expand": lambda x: x[:, :1].expand(2, 5, 4, 3) + 1,
    "repeat": lambda x: (x * 1).repeat(2, 1, 1, 3, 2),
    "select": lambda x: x.select(1, 2) + x.select(-3, -1),
    "slice": lambda x: x[:, 1:-2, ::2] - x[:, 3:, 1::2],
    "split": lambda x: torch.cat(x.split(4, 1)[::-1], 1),
    "split off": lambda x: torch.cat(x.split([1, 3, 2], dim=1)[::-1], 1),
    "rows and columns": lambda x: (x * 1)[torch.tensor([[[1]]]), torch.tensor([[[3], [0]]]), torch.tensor([[[2, 1]]])],
    "unbind": lambda x: torch.stack(x.unbind(2)[::-1], -1),
    "cat": lambda x: torch.cat([x, 2 * x], -1),
    "as_strided": lambda x: x.permute(0, 2, 3, 1).contiguous().add_(1).permute(0, 3, 1, 2),
    "pixel shuffle": lambda x: F.pixel_shuffle(torch.cat([x, 2 * x], 1), 2),
}
VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "alpha": lambda x: torch.add(x, x * x, alpha=3) - torch.sub(x, x * x, alpha=2),
    "rsub": lambda x: 1 - x,
    "div": lambda x: x / 3 + x / weights(6, 1, 1).abs().add(1),
    "lerp": lambda x: torch.lerp(x, x * x, x[:, :1]),
    "clamp": lambda x: x.clamp(-0.5, 0.7) + x.clamp(min=0.1) + x.clamp(max=0.2),
    "activations": lambda x: F.gelu(x) + 2 * F.silu(x) + 3 * F.leaky_relu(x, 0.2) + 4 * torch.sigmoid(x) + F.relu(x),
    "more": lambda x: torch.tanh(x) + 2 * torch.sin(x) + 3 * F.hardswish(x) + 4 * F.leaky_relu(x),
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softmax": lambda x: x.softmax(1) + 2 * x.softmax(-1),
    "bmm": lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "layer norm": lambda x: F.layer_norm(x, (4, 3), weights(4, 3), weights(4, 3) + 1) + F.layer_norm(x, (3,)),
    "instance norm": lambda x: F.instance_norm(x) + F.instance_norm(x, weight=weights(6), bias=weights(6) + 1),
    "batch norm": lambda x: F.batch_norm(x, weights(6), weights(6).abs() + 1, weights(6) + 2, weights(6) + 3, eps=0.1),
    "bilinear": lambda x: F.interpolate(x, size=(9, 8), mode="bilinear", align_corners=False),
    "bilinear, corners": lambda x: F.interpolate(x, scale_factor=3.0, mode="bilinear", align_corners=True),
}
CONVOLUTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: F.gelu(F.pixel_shuffle(F.conv2d(x, weights(8, 6, 3, 3), weights(8), padding=1), 2)),
    "uneven": lambda x: F.conv2d(x, weights(5, 6, 1, 3), padding=(0, 1)),
    "no padding": lambda x: F.relu6(F.conv2d(x, weights(5, 6, 3, 2))),
    "stride": lambda x: F.conv2d(x, weights(5, 6, 3, 3), weights(5), stride=2, padding=1),
    "dilation": lambda x: F.conv2d(x, weights(5, 6, 2, 2), weights(5), dilation=2),
    "groups": lambda x: F.conv2d(x, weights(4, 3, 3, 3), weights(4), padding=1, groups=2),
    "depthwise": lambda x: F.softplus(F.conv2d(x, weights(6, 1, 3, 3), weights(6), padding=1, groups=6)),
    "transposed": lambda x: F.conv_transpose2d(x, weights(6, 4, 3, 3), weights(4), stride=2, padding=1),
    "transposed groups": lambda x: F.conv_transpose2d(x, weights(6, 2, 3, 3), weights(4), stride=2, groups=2),
    "transposed squares": lambda x: F.conv_transpose2d(x, weights(6, 4, 2, 2), weights(4), stride=2),
    "three dimensions": lambda x: F.conv3d(x[None], weights(3, 2, 3, 3, 3), weights(3), padding=1),
    "linear": lambda x: F.linear(x.reshape(24, 6), weights(5, 6), weights(5)),
    "half tanh": lambda x: torch.tanh(F.conv2d(x, weights(3, 6, 1, 1), weights(3))) * 0.5 + 0.5,
}
ALL = SHAPES | VALUES | CONVOLUTIONS


@pytest.mark.parametrize("name", ALL)
def test_as_pytorch(name: str) -> None:
    check(ALL[name])


def test_what_has_no_counterpart() -> None:
    for words, function in (
        ("no counterpart of aten.cumsum", lambda x: x.cumsum(1)),
        ("padding of its output", lambda x: F.conv_transpose2d(x, weights(6, 4, 2, 2), stride=2, output_padding=1)),
        ("no counterpart of aten._to_copy", lambda x: (x * 2).to(torch.float64).float()),
        ("whole rows", lambda x: (x * 2)[torch.tensor([0, 1]), torch.tensor([3, 5])]),
    ):
        with pytest.raises(UntraceableError, match=words):
            check(function)
