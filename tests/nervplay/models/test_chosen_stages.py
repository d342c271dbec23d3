"""Free stage sets: which networks take them, and the size that is met with them."""

from typing import Any

import pytest

from nervplay.blocks.conv_kinds import StageConv
from nervplay.errors import UsageError
from nervplay.models import ModelConfig, architecture_names, get_architecture
from nervplay.models.chosen_stages import near_size, stage_count, takes_convolutions, with_convolutions
from nervplay.models.cost import measure_cost

GHOST = StageConv(stage=1, kind="ghost")


def tiny(name: str) -> Any:
    return get_architecture(name).presets["tiny"].configure(64, 48, 6)


def test_all_but_the_two_without_nerv_style_blocks() -> None:
    without = [name for name in architecture_names() if not takes_convolutions(get_architecture(name))]
    assert without == ["hinerv", "srnerv"]
    for name in architecture_names():
        entry, config = get_architecture(name), tiny(name)
        if name in without:
            with pytest.raises(UsageError, match=f"{name} has no stages .* take one of dnerv, e-nerv, .*snerv-t$"):
                with_convolutions(entry, config, [GHOST])
        else:
            assert stage_count(entry, config) == len(config.strides)
            changed: Any = with_convolutions(entry, config, [GHOST])
            assert changed.convolutions == (GHOST,)


def test_the_network_is_built_to_check() -> None:
    narrow = {"strides": (2, 2, 2), "grid": (6, 8), "lower_width": 1, "channels": 1}
    config = type(tiny("nerv")).from_config(tiny("nerv").to_config() | narrow | {"upsampling": "bilinear"})
    with pytest.raises(UsageError, match="a ghost convolution has 1 output channel"):
        with_convolutions(get_architecture("nerv"), config, [GHOST])


def of_size(parameters: int, *choices: StageConv) -> tuple[int, list[int]]:
    """Return the parameters of a sized HNeRV with other convolutions, and the sizes that were asked for."""
    entry, asked = get_architecture("hnerv"), []

    def configure(count: int) -> ModelConfig:
        asked.append(count)
        assert entry.configure_size is not None
        return entry.configure_size(320, 180, 20, count)

    config = near_size(entry, configure, lambda plain: with_convolutions(entry, plain, choices), parameters)
    return measure_cost("hnerv", config).parameters, asked


def test_the_size_is_met_with_the_convolutions() -> None:
    found, asked = of_size(200_000, *(StageConv(stage=stage, kind="low-rank", rho=0.1) for stage in range(3)))
    assert found == pytest.approx(200_000, rel=0.02)
    assert asked[-1] > 400_000
    found, asked = of_size(200_000, StageConv(stage=1, kind="binary"))
    assert found == pytest.approx(200_000, rel=0.02)
    assert asked == [200_000], "binary convolutions store as many weights"


def test_a_size_that_cannot_be_met() -> None:
    entry = get_architecture("nerv")
    with pytest.raises(UsageError, match=r"no nerv with these convolutions has about 9000 parameters; the nearest"):
        near_size(entry, lambda _: tiny("nerv"), lambda config: config, 9000)
