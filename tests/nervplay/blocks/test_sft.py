import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.sft import SFTResidual


@torch.no_grad()
def test_the_block_is_the_one_of_the_paper() -> None:
    block = SFTResidual(6, 4)
    x, time = torch.randn(2, 4, 5, 7), torch.randn(2, 6, 1, 1)

    def value(part: nn.Module) -> Tensor:
        out: Tensor = part.get_submodule("out")(F.relu(part.get_submodule("hidden")(time)))
        return out

    def modulate(part: nn.Module, y: Tensor) -> Tensor:
        return y * (1 + value(part.get_submodule("scale"))) + value(part.get_submodule("shift"))

    hidden = F.gelu(block.conv0(modulate(block.sft0, x)))
    torch.testing.assert_close(block(x, time), x + block.conv1(modulate(block.sft1, hidden)))


@torch.no_grad()
def test_without_scale_and_shift_time_does_not_matter() -> None:
    block = SFTResidual(3, 2)
    for sft in (block.sft0, block.sft1):
        for part in ("scale", "shift"):
            for parameter in sft.get_submodule(f"{part}.out").parameters():
                parameter.zero_()
    x = torch.randn(1, 2, 4, 4)
    plain = x + block.conv1(F.gelu(block.conv0(x)))
    for _ in range(2):
        torch.testing.assert_close(block(x, torch.randn(1, 3, 1, 1)), plain)


def test_keys_never_change() -> None:
    names = [name for name in SFTResidual(3, 2).state_dict() if name.endswith("weight")]
    parts = ["scale.hidden", "scale.out", "shift.hidden", "shift.out"]
    expected = [f"sft0.{part}" for part in parts] + ["conv0"] + [f"sft1.{part}" for part in parts] + ["conv1"]
    assert names == [f"{name}.weight" for name in expected]
