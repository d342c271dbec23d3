"""Everything that changes in a fit is captured, and restoring brings exactly that back or nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nervplay.errors import CheckpointError
from nervplay.training.eager import Adam
from nervplay.training.state import capture, restore

HERE = Path("clip.nerv.resume")


class Net(nn.Module):
    """Two used parameters, one unused, one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(2, 3))
        self.bias = nn.Parameter(torch.rand(()))
        self.unused = nn.Parameter(torch.rand(4))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


def objects(steps: int) -> tuple[Net, torch.optim.Adam, dict[str, Tensor]]:
    net = Net()
    adam = Adam(net.parameters(), lr=0.1)
    for _ in range(steps):
        adam.zero_grad()
        (net.weight.sum() * net.bias).backward()
        adam.step()
        net.get_buffer("count").add_(1)
    return net, adam, {"epoch.losses": torch.rand(5)}


def test_round_trip_goes_on_bit_for_bit() -> None:
    net, adam, extra = objects(3)
    tensors = capture(net, adam, extra)
    other, other_adam, other_extra = objects(0)
    restore(other, other_adam, other_extra, tensors, HERE)
    assert torch.equal(other_extra["epoch.losses"], extra["epoch.losses"])
    for n, a in ((net, adam), (other, other_adam)):
        a.zero_grad()
        (n.weight.sum() * n.bias).backward()
        a.step()
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert not other_adam.state[other.unused]


def test_what_was_captured_does_not_move_with_the_network() -> None:
    net, adam, extra = objects(2)
    tensors = capture(net, adam, extra)
    copies = {name: value.clone() for name, value in tensors.items()}
    (net.weight.sum() * net.bias).backward()
    adam.step()
    extra["epoch.losses"].zero_()
    assert all(torch.equal(tensors[name], copies[name]) for name in copies)


def test_the_generator_comes_back() -> None:
    net, adam, extra = objects(1)
    tensors = capture(net, adam, extra)
    expected = torch.rand(3)
    restore(net, adam, extra, tensors, HERE)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.pop("model.weight"),
        lambda t: t.pop("epoch.losses"),
        lambda t: t.pop("optimiser.exp_avg.weight"),
        lambda t: t.update({"model.more": torch.zeros(1)}),
        lambda t: t.update({"optimiser.step.more": torch.zeros(())}),
        lambda t: t.update({"model.weight": torch.zeros(3, 2)}),
        lambda t: t.update({"optimiser.exp_avg_sq.weight": torch.zeros(1)}),
        lambda t: t.update({"model.weight": torch.zeros(2, 3, dtype=torch.float64)}),
    ],
)
def test_damage_is_refused_and_nothing_is_loaded(damage: Any) -> None:
    net, adam, extra = objects(2)
    tensors = capture(net, adam, extra)
    damage(tensors)
    other, other_adam, other_extra = objects(0)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"clip\.nerv\.resume.*--overwrite"):
        restore(other, other_adam, other_extra, tensors, HERE)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    assert not other_adam.state
