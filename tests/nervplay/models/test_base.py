import json
import math
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import nn

from nervplay.errors import FrameIndexError, GeometryError, UnknownNameError, UsageError
from nervplay.models import (
    ModelConfig,
    Preset,
    VideoModel,
    architecture_names,
    build_model,
    get_architecture,
    preset_names,
    register,
    require_size,
    resolve_preset,
)
from nervplay.models.hnerv import HNeRVConfig
from nervplay.models.nerv import NeRV, NeRVConfig


@dataclass(frozen=True, kw_only=True)
class Part:
    length: int
    name: str = "x"


@dataclass(frozen=True, kw_only=True)
class Sample(ModelConfig):
    pairs: tuple[tuple[int, float], ...] = ()
    kind: Literal["a", "b"] = "a"
    ratio: float | None = 1.5
    output: Literal["tanh"] | float = "tanh"
    flag: bool = False
    parts: tuple[Part, ...] = ()


SIZE = {"width": 8, "height": 6, "frame_count": 3}


def test_a_config_comes_back_from_json() -> None:
    parts = (Part(length=2), Part(length=3, name="y"))
    config = Sample(**SIZE, pairs=((1, 2.5), (3, 0.25)), kind="b", ratio=None, output=0.5, flag=True, parts=parts)
    plain = json.loads(json.dumps(config.to_config()))
    assert plain["pairs"] == [[1, 2.5], [3, 0.25]]
    assert plain["parts"] == [{"length": 2, "name": "x"}, {"length": 3, "name": "y"}]
    assert Sample.from_config(plain) == config


def test_an_int_may_stand_for_a_float_and_becomes_one() -> None:
    config = Sample.from_config(SIZE | {"ratio": 2, "pairs": [[1, 2]]})
    assert type(config.ratio) is float
    assert type(config.pairs[0][1]) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widht": 3}, "did you mean width"),
        ({"width": None}, r"Sample.width is None; it must be int"),
        ({"width": 2.0}, r"width is 2.0"),
        ({"width": True}, r"width is True"),
        ({"flag": 1}, r"flag is 1; it must be bool"),
        ({"kind": "c"}, r"kind is 'c'; it must be one of a, b"),
        ({"kind": ["a"]}, r"kind is"),
        ({"ratio": "1"}, r"ratio is '1'"),
        ({"pairs": [[1]]}, r"pairs is \[1\]"),
        ({"pairs": [[1, 2, 3]]}, r"pairs is"),
        ({"output": "tan"}, r"output is 'tan'"),
        ({"parts": [{"length": "2"}]}, r"Part.length is '2'; it must be int"),
        ({"parts": [{"name": "y"}]}, r"Part needs the field 'length'"),
        ({"parts": [{"length": 2, "nam": "y"}]}, r"unknown Part field 'nam'; did you mean name"),
        ({"parts": [2]}, r"Sample.parts is 2; it must be Part"),
        ({"parts": {"length": 2}}, r"Sample.parts is"),
        ({"height": 0}, r"height is 0; it must lie in 1 \.\. 16384"),
        ({"height": 16_385}, r"height is 16385"),
        ({"frame_count": 10_000_001}, r"frame_count is 10000001"),
    ],
)
def test_a_config_is_strict(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sample.from_config(SIZE | change)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UsageError, match="needs the field 'height'"):
        Sample.from_config({"width": 8, "frame_count": 3})


def test_no_range_lets_a_number_that_is_none_pass() -> None:
    with pytest.raises(UsageError, match="expansion is nan"):
        NeRVConfig(**SIZE, grid=(3, 4), channels=4, strides=(2,), expansion=math.nan)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register("nerv", config=NeRVConfig, presets={})(NeRV)


def test_names() -> None:
    assert {"nerv", "hnerv"} <= set(architecture_names())
    assert "hnerv-1.5m-640x1280" in preset_names()
    entry, preset = resolve_preset("nerv-s")
    assert (entry.name, preset.size) == ("nerv", (1280, 720))
    with pytest.raises(UnknownNameError, match="did you mean"):
        resolve_preset("hnerv-1.5m")
    with pytest.raises(UnknownNameError, match="architecture 'nrev'"):
        get_architecture("nrev")


def test_every_preset_trains_with_a_full_recipe() -> None:
    keys = {"epochs", "batch_size", "learning_rate", "betas", "schedule", "loss", "optimiser"}
    for name in ("nerv", "hnerv"):
        for preset in get_architecture(name).presets.values():
            assert set(preset.recipe) == keys
    assert get_architecture("nerv").presets["s"].recipe["betas"] == (0.5, 0.999)


def test_a_config_of_another_architecture_is_refused() -> None:
    config = get_architecture("nerv").presets["tiny"].configure(32, 32, 2)
    with pytest.raises(UsageError, match="NeRVConfig cannot configure hnerv; it needs a HNeRVConfig"):
        build_model("hnerv", config)


def test_a_papers_preset_keeps_to_its_size() -> None:
    with pytest.raises(
        GeometryError, match=r"hnerv-x is made for 8x6 frames, the clip has 9x6; .*--crop 8x6.*--arch hnerv"
    ):
        require_size("hnerv-x", (8, 6), (9, 6))
    require_size("hnerv-x", (8, 6), (8, 6))
    with pytest.raises(GeometryError, match="scale it with --scale 8x6"):
        require_size("hnerv-x", (8, 6), (9, 5))


def test_indices_are_checked_by_name() -> None:
    model = build_model("nerv", get_architecture("nerv").presets["tiny"].configure(32, 32, 2))
    model.check_index(1)
    for wrong in (-1, 2):
        with pytest.raises(FrameIndexError, match="its frames are 0 to 1"):
            model.check_index(wrong)


def test_weights_that_do_not_fit_are_named_on_any_device() -> None:
    config = get_architecture("hnerv").presets["tiny"].configure(32, 32, 2)
    state = build_model("hnerv", config).stored_state()
    with torch.device("meta"):
        empty = build_model("hnerv", config)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    empty.check_stored_state(shapes)
    with pytest.raises(UsageError, match=r"'head.bias' has shape \(4,\); this hnerv needs \(3,\)"):
        empty.check_stored_state(shapes | {"head.bias": (4,)})
    with pytest.raises(UsageError, match="lack the tensor 'embedding'"):
        empty.check_stored_state({name: shape for name, shape in shapes.items() if name != "embedding"})
    with pytest.raises(UsageError, match="'more' that this hnerv does not know"):
        empty.check_stored_state(shapes | {"more": (1,)})


def test_batch_counters_are_not_stored() -> None:
    config = HNeRVConfig(**SIZE | {"width": 8, "height": 8}, strides=(2,), encoder_strides=(2,), channels=4, norm="bn")
    names = build_model("hnerv", config).stored_state()
    assert "stem.norm.running_var" in names
    assert not [name for name in names if "num_batches" in name]


def test_presets_say_what_they_reach() -> None:
    assert Preset(summary="x", configure=Sample).expected == {}


class Halves(nn.Linear):
    """A layer that decodes with multiples of a half."""

    weight_bits = 5

    def stored_weight(self) -> torch.Tensor:
        return (self.weight * 2).round() / 2


class Coarse(VideoModel):
    """A network with coarse layers: its own, one under two names, and one in its encoder."""

    architecture = "coarse"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, encoder=True)
        self.first = Halves(2, 2)
        self.plain = nn.Linear(2, 2)
        self.again = self.first
        self.encoder = nn.Sequential(Halves(2, 2))

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        return self.plain(index.float().expand(2))


def test_coarse_layers_are_stored_as_they_decode() -> None:
    model = Coarse(ModelConfig(**SIZE))
    state = model.stored_state()
    assert list(state) == [f"{name}.{part}" for name in ("first", "plain", "again") for part in ("weight", "bias")]
    assert model.stored_bits == {"first.weight": 5, "again.weight": 5}
    for name in ("first.weight", "again.weight"):
        assert torch.equal(state[name], model.first.stored_weight())
        assert not state[name].requires_grad
    assert torch.equal(state["plain.weight"], model.plain.weight)
    assert not torch.equal(model.state_dict()["first.weight"], state["first.weight"]), "training goes on with its own"
    model.load_stored_state(state)
    assert torch.equal(model.first.weight, state["first.weight"])
