from typing import Any

import pytest
import torch
from torch import nn

from nervplay.blocks.binary import BinaryConv2d
from nervplay.blocks.conv_kinds import StageConv, check_convolutions, convolution, stage_convolution
from nervplay.blocks.ghost import GhostConv2d
from nervplay.blocks.low_rank import LowRankConv2d
from nervplay.errors import UnknownNameError, UsageError

LOW_RANK = StageConv(stage=1, kind="low-rank", rho=0.5)
BINARY = StageConv(stage=3, kind="binary")


@pytest.mark.parametrize(
    ("choice", "layer"),
    [
        (None, nn.Conv2d),
        (LOW_RANK, LowRankConv2d),
        (StageConv(stage=0, kind="ghost"), GhostConv2d),
        (StageConv(stage=0, kind="ghost-v2"), GhostConv2d),
        (BINARY, BinaryConv2d),
    ],
)
def test_every_kind_takes_the_place_of_a_dense_convolution(choice: StageConv | None, layer: type[nn.Module]) -> None:
    built = convolution(choice, 4, 12, 5, padding=2)
    assert type(built) is layer
    assert built(torch.ones(2, 4, 7, 9)).shape == (2, 12, 7, 9)


def test_rho_and_the_gate_arrive() -> None:
    assert convolution(LOW_RANK, 4, 12, 3, padding=1)[0].out_channels == 2
    assert convolution(StageConv(stage=0, kind="ghost"), 4, 12, 3, padding=1).gate is None
    assert convolution(StageConv(stage=0, kind="ghost-v2"), 4, 12, 3, padding=1).gate is not None


def test_a_dense_convolution_draws_as_ever() -> None:
    torch.manual_seed(5)
    built = convolution(None, 4, 12, 3, padding=1)
    torch.manual_seed(5)
    dense = nn.Conv2d(4, 12, 3, padding=1)
    assert torch.equal(built.weight, dense.weight)
    assert torch.equal(built.bias, dense.bias)


def test_the_choice_of_a_stage() -> None:
    choices = (LOW_RANK, BINARY)
    assert [stage_convolution(choices, stage) for stage in range(5)] == [None, LOW_RANK, None, BINARY, None]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"kind": "gost"}, UnknownNameError, "kind of convolution 'gost'; did you mean ghost"),
        ({"kind": "low-rank"}, UsageError, "rho of stage 2 is None"),
        ({"kind": "low-rank", "rho": 0.0}, UsageError, "rho of stage 2 is 0.0"),
        ({"kind": "low-rank", "rho": 1.01}, UsageError, "rho of stage 2 is 1.01"),
        ({"kind": "low-rank", "rho": float("nan")}, UsageError, "rho of stage 2 is nan"),
        ({"kind": "binary", "rho": 0.25}, UsageError, "stage 2 has rho 0.25, kind 'binary' has none"),
    ],
)
def test_choices_that_cannot_be(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        StageConv(stage=2, **fields)


def test_stages_are_checked() -> None:
    check_convolutions((), 1, transposed=True)
    check_convolutions((LOW_RANK, BINARY), 4)
    with pytest.raises(UsageError, match="name stage 3; the stages of this network are 0 to 2"):
        check_convolutions((LOW_RANK, BINARY), 3)
    with pytest.raises(UsageError, match="name stage -1"):
        check_convolutions((StageConv(stage=-1, kind="ghost"),), 3)
    for wrong in ((BINARY, LOW_RANK), (BINARY, BINARY)):
        with pytest.raises(UsageError, match="name each once, in rising order"):
            check_convolutions(wrong, 4)
    with pytest.raises(UsageError, match="stage 3 is to be binary, but transposed convolutions are dense only"):
        check_convolutions((BINARY,), 4, transposed=True)
