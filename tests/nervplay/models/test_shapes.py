"""Results without arithmetic: as PyTorch makes them, and without its compiler."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from nervplay.models import build_model, preset_names, resolve_preset
from nervplay.models.shapes import _RULES, QuietMode, ShapesOnly, result_on_meta

TINY = [name for name in preset_names() if name.endswith("tiny")]


def outline(tensor: Tensor) -> tuple[object, ...]:
    """Size, type, and the strides of sides that are longer than one."""
    strides = tuple(stride for stride, side in zip(tensor.stride(), tensor.shape, strict=True) if side > 1)
    return tuple(tensor.shape), tensor.dtype, strides


class Compared(QuietMode):
    """Runs each operation and compares its results to what the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.seen: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        real = func(*args, **(kwargs or {}))
        makes = all(item.alias_info is None for item in func._schema.returns)
        if makes and any(isinstance(leaf, Tensor) for leaf in tree_iter((args, kwargs))):
            made = result_on_meta(func, args, kwargs or {})
            for a, b in zip(*((each,) if isinstance(each, Tensor) else each for each in (real, made)), strict=True):
                assert b.is_meta
                if outline(a) != outline(b):
                    self.wrong.append(f"{func}: {outline(b)}, not {outline(a)}")
            self.seen[func] += 1
        return real


@pytest.mark.parametrize("name", TINY)
def test_as_the_cpu_makes_them(name: str) -> None:
    architecture, preset = resolve_preset(name)
    model = build_model(architecture.name, preset.configure(*(preset.size or (320, 160)), preset.frame_count)).eval()
    with torch.no_grad(), Compared() as compared:
        model(torch.zeros(1, dtype=torch.int64))
    assert not compared.wrong
    assert sum(compared.seen[func] for func in _RULES) > 3


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: a + b[:, :1, :1],
        lambda a, b: a.permute(0, 2, 1) * 2,
        lambda a, b: (a > 0).float() + 1,
        lambda a, b: torch.arange(6, device=a.device).view(1, 6, 1) / 2 + a[:, :1],
        lambda a, b: torch.cat([a.permute(0, 2, 1), b.permute(0, 2, 1)], dim=-1),
        lambda a, b: torch.stack([a, b], dim=-1),
        lambda a, b: a.mean(dim=(0, -1)),
        lambda a, b: a.sum(dim=1, keepdim=True, dtype=torch.float64),
        lambda a, b: a.expand(2, 6, 4).neg(),
        lambda a, b: torch.nn.functional.conv_transpose1d(a, b.expand(6, 6, 4), stride=3, padding=1, output_padding=2),
        lambda a, b: a[torch.zeros(3, dtype=torch.int64, device=a.device)],
        lambda a, b: a.repeat(2, 3, 1, 2),
    ],
)
def test_other_ways_to_call_them(make: Any) -> None:
    a, b = torch.ones(1, 6, 4), torch.ones(1, 6, 4)
    with Compared() as compared:
        make(a, b)
    assert not compared.wrong


def test_a_mode_makes_them_of_meta_tensors_alone() -> None:
    meta = torch.ones(2, 3, device="meta")
    with ShapesOnly():
        made = torch.nn.functional.gelu(meta).add_(1)
        real = torch.ones(2) + 1
        numbers = torch.arange(1, 7, 2, dtype=torch.float64, device="meta")
    assert (numbers.is_meta, *outline(numbers)) == (True, (3,), torch.float64, (1,))
    assert made.is_meta
    assert made.shape == (2, 3)
    assert real.tolist() == [2, 2]


def test_opening_a_video_leaves_the_compiler_alone(clip: Path) -> None:
    """It and SymPy take longer to import than the first frame takes to be made."""
    script = (
        "import sys\n"
        "from nervplay.decode import open_decoder\n"
        "with open_decoder(sys.argv[1]) as decoder: decoder.frame(0)\n"
        "print(*sorted({'sympy', 'torch._dynamo', 'torch._inductor'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(clip.with_name("bunny-320x180.nerv"))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
