"""Pruning against what the official code pruned, and what is never pruned."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.codec.prune import apply_masks, hold_masks, nerv_shares, prunable, prune_masks, zero_share
from nervplay.errors import UsageError
from nervplay.models import VideoModel, build_model, preset_names, resolve_preset
from nervplay.models.hinerv import rename_upstream_keys

TINY = [name for name in preset_names() if name.endswith("-tiny")]


def small(preset: str) -> VideoModel:
    entry, choice = resolve_preset(preset)
    torch.manual_seed(0)
    return build_model(entry.name, choice.configure(64, 32, 5))


def load(path: Path) -> dict[str, Tensor]:
    tree = torch.load(path, map_location="cpu", weights_only=False)  # our own golden vectors
    return dict(tree.get("state_dict", tree.get("model", tree)))


def test_golden_hnerv(golden: Path) -> None:
    about = json.loads((golden / "hnerv_q" / "config.json").read_text())["pruned10"]
    before = load(golden / "hnerv_q" / "checkpoint.pth")
    after = load(golden / "hnerv_q" / "checkpoint_pruned10.pth")
    masks = prune_masks({name: before[name] for name in about["tensors"]}, 0.1)
    assert sum(int((~mask).sum()) for mask in masks.values()) == about["zeros"]
    for name, mask in masks.items():
        assert torch.equal(before[name] * mask, after[name]), name


def test_golden_nerv(golden: Path) -> None:
    folder = golden / "nerv_a_90x160_readme_like"
    before, after = load(folder / "checkpoint.pth"), load(folder / "pruned_ratio0.4_lr0.pth")
    names = [name.removesuffix("_mask") for name in after if name.endswith("_mask")]
    masks = prune_masks({name: before[name] for name in names}, 1 - 0.4)
    for name, mask in masks.items():
        assert torch.equal(mask.float(), after[f"{name}_mask"]), name


def test_golden_enerv(golden: Path) -> None:
    before, after = (
        load(golden / "enerv_a_90x160" / "checkpoint.pth"),
        np.load(golden / "enerv_a_90x160" / "prune40.npz"),
    )
    names = [f"{name.removeprefix('zeros/')}.weight" for name in after.files if name.startswith("zeros/")]
    masks = prune_masks({name: before[name] for name in names}, 0.4)
    for name, mask in masks.items():
        assert np.array_equal(before[name] * mask, after[f"weight_after/{name}"]), name


def test_golden_hinerv(golden: Path) -> None:
    """Its 15 % are of all parameters, taken from those that may go; scores are balanced by the size of the tensor."""
    folder = golden / "train_steps"
    official = load(folder / "weights_after_4_steps.pt")
    state = rename_upstream_keys(
        {name.replace(".parametrizations.weight.original", ".weight"): value for name, value in official.items()
         if not name.endswith((".mask", ".bitwidth", ".noise_ratio"))}
    )  # fmt: skip
    expected = rename_upstream_keys(
        {name.replace(".parametrizations.weight.0.mask", ".weight"): mask
         for name, mask in load(folder / "masks_after_prune.pt").items()}
    )  # fmt: skip
    weights = {name: state[name] for name in expected}
    total = sum(value.numel() for value in state.values())
    share = int(0.15 * total) / sum(value.numel() for value in weights.values())
    masks = prune_masks(weights, share, scope="balanced")
    for name, mask in masks.items():
        assert torch.equal(mask, expected[name].bool()), name


def test_golden_steps(golden: Path) -> None:
    cases = json.loads((golden / "misc_losses_metrics_schedules" / "expected.json").read_text())["multi_step_prune"]
    for name, case in cases.items():
        gone = nerv_shares(0.4, int(name.rpartition("=")[2]))[-1]
        assert 1 - gone == pytest.approx(case["formula_base_pow"], rel=1e-12)
        assert 1 - gone == pytest.approx(case["kept_fraction_actual"], abs=1e-4)


@pytest.mark.parametrize("preset", TINY)
def test_what_may_go(preset: str) -> None:
    model = small(preset)
    weights = prunable(model)
    assert weights
    stored = model.stored_state()
    assert weights.keys() <= stored.keys()
    untouched = set(model.embedding_names) | set(model.stored_bits) | {n for n in stored if n.endswith("bias")}
    untouched |= {n for n in stored if n.startswith(("grid", "encoder.")) or ".local." in n or "norm" in n}
    assert not weights.keys() & untouched
    assert len({weight.data_ptr() for weight in weights.values()}) == len(weights), "shared tensors count once"


def test_scopes() -> None:
    torch.manual_seed(0)
    weights = {"large": torch.randn(40, 10) * 5, "small": torch.randn(20, 5)}
    for scope, shares in (("global", (0.2, 0.7)), ("per-layer", (0.3, 0.3)), ("balanced", (0.24, 0.53))):
        masks = prune_masks(weights, 0.3, scope=scope)
        gone = [float((~masks[name]).float().mean()) for name in weights]
        assert gone == pytest.approx(shares, abs=0.01), scope
    assert sum(int((~mask).sum()) for mask in prune_masks(weights, 0.3).values()) == 150
    assert all(bool(mask.all()) for mask in prune_masks(weights, 0).values())
    ties = prune_masks({"w": torch.ones(10, 2)}, 0.5)
    assert int(ties["w"].sum()) == 10, "equal weights are told apart, so that the share is exact"


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_are_bounded(share: float) -> None:
    with pytest.raises(UsageError, match="give what is removed"):
        prune_masks({"w": torch.ones(3, 3)}, share)
    with pytest.raises(UsageError, match="no weights that can be pruned"):
        prune_masks({}, 0.1)


def test_pruned_weights_stay_zero_while_others_learn() -> None:
    model = small("hnerv-tiny")
    masks = prune_masks(prunable(model), 0.4)
    let_go = hold_masks(model, masks)
    assert zero_share(prunable(model)) == pytest.approx(0.4, abs=1e-3)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step() -> None:
        optimiser.zero_grad()
        model(torch.arange(3)).square().mean().backward()
        optimiser.step()

    model.embedding.normal_()
    before = {name: value.clone() for name, value in prunable(model).items()}
    for _ in range(3):
        step()
    for name, mask in masks.items():
        weight = prunable(model)[name]
        assert not weight[~mask].any()
        assert (weight != before[name])[mask].any()
    let_go()
    step()
    assert zero_share(prunable(model)) < 0.3


def test_masks_are_applied_in_place() -> None:
    model = small("nerv-tiny")
    masks = prune_masks(prunable(model), 0.25, scope="per-layer")
    apply_masks(model, masks)
    for name, weight in prunable(model).items():
        assert zero_share({name: weight}) == pytest.approx(0.25, abs=0.01)
