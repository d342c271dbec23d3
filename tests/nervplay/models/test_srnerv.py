"""SRNeRV: the official HiNeRV code with tied weights, sharing, sizes of both readings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nervplay.errors import GeometryError, UsageError
from nervplay.models.cost import count_parameters, measure_cost
from nervplay.models.hinerv import HiNeRV, HiNeRVConfig, rename_upstream_keys
from nervplay.models.srnerv import PRESETS, SRNeRV, SRNeRVConfig, config_for_size

SMALL: dict[str, Any] = {
    "width": 48,
    "height": 36,
    "frame_count": 6,
    "strides": (3, 2),
    "channels": 8,
    "grid_channels": 2,
    "local_channels": 4,
    "depths": (2, 1),
    "expansions": (2.0, 2.0),
}
SLICES: dict[str, Any] = {"reading": "B", "reduction": 2.0, "expansions": (2.0, 1.0)}
BUNNY: dict[str, Any] = {
    "width": 1280,
    "height": 720,
    "frame_count": 132,
    "strides": (5, 2, 2, 2),
    "grid_channels": 2,
    "local_channels": 4,
    "grid_frames": 40,
}


def shared_state(full: dict[str, Tensor], *, whole: bool) -> dict[str, Tensor]:
    """Weights of a HiNeRV with tied stages, as SRNeRV stores them: stage 0 stands for all."""
    state: dict[str, Tensor] = {}
    for name, value in full.items():
        parts = name.split(".")
        if "mixing" in parts or (whole and "depthwise" in parts):
            assert torch.equal(value, full[".".join(["stages", "0", *parts[2:]])]), f"{name} is not tied"
            state[f"shared.{parts[3]}.{'.'.join(parts[4:]).removeprefix('mixing.')}"] = value
        else:
            state[name] = value
    return state


@torch.no_grad()
def test_frames_equal_the_official_code_with_tied_weights(golden: Path) -> None:
    folder = golden / "srnerv_tied"
    part = ".parametrizations.weight.original"
    state = torch.load(folder / "checkpoints" / "checkpoint_0" / "pytorch_model.bin", weights_only=True)
    full = {k.replace(part, ".weight"): v for k, v in state.items() if k.endswith((part, ".bias"))}
    config = SRNeRVConfig(
        width=240,
        height=160,
        frame_count=10,
        strides=(5, 2, 2, 2),
        channels=24,
        grid_channels=2,
        local_channels=4,
        grid_frames=4,
    )
    model = SRNeRV(config)
    model.load_stored_state(shared_state(rename_upstream_keys(full), whole=False))
    io = np.load(folder / "io.npz")
    expected = json.loads((folder / "config.json").read_text())["stages_frame_mode"]
    seen: dict[str, Tensor] = {}
    for i, (stage, depth) in enumerate(zip(model.stages, config.depths, strict=True)):
        stage.register_forward_hook(lambda _m, _i, out, key=f"blocks.{i}.{depth + 1}": seen.update({key: out}))
    frames = model(torch.from_numpy(io["frames"]))
    for key, values in seen.items():
        assert values.mean().item() == pytest.approx(expected[key]["mean"], abs=1e-5), f"behind {key}"
    np.testing.assert_allclose(frames, io["out_frame"][:, :, 0], atol=1e-5, rtol=0)
    index, row, column = torch.from_numpy(io["train_patch_idx"]).unbind(1)
    patches = model.patch(index, row * 80, column * 80, 80, 80)
    np.testing.assert_allclose(patches, io["train_patch_out"][:, :, 0], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("share", ["mixing", "step"])
def test_it_is_a_hinerv_with_tied_weights(share: str) -> None:
    torch.manual_seed(2)
    model = SRNeRV(SRNeRVConfig(**SMALL, share=share))
    twin = HiNeRV(HiNeRVConfig(**SMALL, reduction=1.0))
    shared = model.stored_state()
    full = {}
    for name in twin.stored_state():
        parts = name.split(".")
        tied = f"shared.{parts[3]}.{'.'.join(parts[4:]).removeprefix('mixing.')}" if "steps" in parts else ""
        full[name] = shared[tied] if tied in shared else shared[name]
    twin.load_stored_state(full)
    index = torch.arange(6)
    assert torch.equal(model(index), twin(index))
    assert torch.equal(model.patch(index, 6, 0, 12, 18), twin.patch(index, 6, 0, 12, 18))


@torch.no_grad()
def test_slices_are_the_leading_rows_and_columns() -> None:
    torch.manual_seed(4)
    model = SRNeRV(SRNeRVConfig(**(SMALL | SLICES)))
    twin = HiNeRV(HiNeRVConfig(**(SMALL | {"reduction": 2.0, "expansions": (2.0, 1.0)})))
    shared = model.stored_state()
    full = dict(twin.stored_state())
    for name, value in full.items():
        parts = name.split(".")
        if "mixing" in parts:
            rows, columns = value.shape
            full[name] = shared[f"shared.{parts[3]}.{'.'.join(parts[5:])}"][:rows, :columns]
        else:
            full[name] = shared[name]
    twin.load_stored_state(full)
    index = torch.arange(6)
    torch.testing.assert_close(model(index), twin(index), atol=1e-6, rtol=0)


@pytest.mark.parametrize("share", ["mixing", "step"])
@pytest.mark.parametrize("reading", [{}, SLICES])
def test_shared_weights_are_stored_counted_and_trained_once(share: str, reading: dict[str, Any]) -> None:
    model = SRNeRV(SRNeRVConfig(**(SMALL | reading), share=share))
    names = [name for name in model.stored_state() if "steps" in name or "shared" in name]
    own = [] if share == "step" else [f"stages.{i}.steps.{j}.depthwise.weight" for i, j in ((0, 0), (0, 1), (1, 0))]
    layers = ["depthwise", "expand", "project"] if share == "step" else ["expand", "project"]
    assert names == own + [f"shared.{j}.{layer}.weight" for j in (0, 1) for layer in layers]
    assert count_parameters(model) == sum(value.numel() for value in model.stored_state().values())
    assert len({value.data_ptr() for value in model.stored_state().values()}) == len(model.stored_state())
    model(torch.tensor([1, 4])).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_shared_weights_are_as_wide_as_the_stages_that_use_them() -> None:
    model = SRNeRV(SRNeRVConfig(**(SMALL | SLICES | {"depths": (1, 2)}), share="step"))
    shapes = {name: tuple(value.shape) for name, value in model.stored_state().items() if "shared" in name}
    assert shapes == {
        "shared.0.depthwise.weight": (8, 1, 3, 3),
        "shared.0.expand.weight": (16, 8),
        "shared.0.project.weight": (8, 16),
        "shared.1.depthwise.weight": (4, 1, 3, 3),
        "shared.1.expand.weight": (4, 4),
        "shared.1.project.weight": (4, 4),
    }


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"tiny"}))
def test_presets_have_the_sizes_of_reading_a(name: str) -> None:
    preset = PRESETS[name]
    cost = measure_cost("srnerv", preset.configure(1280, 720, 132))
    assert cost.parameters == preset.expected["parameters"]
    assert cost.gflops == pytest.approx(preset.expected["gflops"], abs=0.011)
    millions, gmacs = {"64": ("0.250", 61), "96": ("0.379", 137), "128": ("0.558", 242)}[name.rpartition("c")[2]]
    assert round(cost.gflops / 2) == gmacs
    if "fullshare" not in name:
        assert f"{cost.parameters / 1e6:.3f}" == millions
    with pytest.raises(GeometryError, match=f"srnerv-{name} is made for"):
        preset.configure(640, 360, 132)


@pytest.mark.parametrize(
    ("changes", "parameters", "gmacs"),
    [
        ({"channels": 158}, 770_099, 368.28),
        ({"channels": 158, "share": "step"}, 760_145, 368.28),
        ({"channels": 158, "reading": "B"}, 762_752, 30.49),
        ({"channels": 158, "reading": "B", "share": "step"}, 758_144, 30.49),
        ({"channels": 64, "reading": "B"}, 246_747, 5.28),
    ],
)
def test_sizes_of_both_readings(changes: dict[str, Any], parameters: int, gmacs: float) -> None:
    widths = {"reduction": 2.0, "expansions": (4.0, 4.0, 4.0, 1.0)} if "reading" in changes else {}
    with torch.device("meta"):
        model = SRNeRV(SRNeRVConfig(**(BUNNY | changes | widths)))
    assert count_parameters(model) == parameters
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, dtype=torch.int64, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=0.006)


def test_reading_a_needs_one_width() -> None:
    for field, value in (("reduction", 2.0), ("expansions", (4.0, 1.0))):
        with pytest.raises(UsageError, match="reading A needs"):
            SRNeRVConfig(**(SMALL | {field: value}))


def test_config_comes_back_from_json() -> None:
    config = SRNeRVConfig(**(SMALL | SLICES), share="step")
    assert SRNeRVConfig.from_config(json.loads(json.dumps(config.to_config()))) == config
    with pytest.raises(UsageError, match=r"SRNeRVConfig\.share"):
        SRNeRVConfig.from_config(config.to_config() | {"share": "all"})


def test_size_on_demand() -> None:
    cost = measure_cost("srnerv", config_for_size(1280, 720, 132, 300_000))
    assert abs(cost.parameters - 300_000) < 30_000
    with pytest.raises(UsageError, match="the nearest has"):
        config_for_size(1280, 720, 132, 100)
