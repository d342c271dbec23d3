"""A recipe is strict, JSON-plain and complete; all presets have a sound one."""

import json
from typing import Any

import pytest

from nervplay.errors import UnknownNameError, UsageError
from nervplay.models import preset_names, resolve_preset
from nervplay.training import HINERV_PHASES, Recipe


def test_json_round_trip() -> None:
    recipe = Recipe(epochs=3, betas=(0.5, 0.99), grad_clip=1.0, schedule="nerv_0.2", loss="Fusion6", seed=7)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert Recipe.from_json({}) == Recipe()


def test_defaults_are_hnerv_s() -> None:
    expected = {
        "epochs": 300,
        "batch_size": 1,
        "accumulate": 1,
        "patch_size": None,
        "learning_rate": 1e-3,
        "betas": [0.9, 0.999],
        "schedule": "cosine_0.1_1_0.1",
        "loss": "L2",
        "optimiser": "adam",
        "grad_clip": None,
        "ema": None,
        "task": "regression",
        "speed": "exact",
        "rollbacks": 3,
        "patience": None,
        "seed": 1,
        "phases": [],
    }
    assert Recipe().to_json() == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "1e-3"),
        ("betas", [0.9]),
        ("betas", [0.9, 1.0]),
        ("betas", [0.98, 0.92, 0.99]),
        ("patch_size", [80, 0]),
        ("patch_size", [80]),
        ("phases", [6]),
        ("betas", [-0.1, 0.9]),
        ("schedule", "cosine"),
        ("loss", "L3"),
        ("optimiser", "sgd"),
        ("grad_clip", 0.0),
        ("accumulate", 0),
        ("speed", "faster"),
        ("task", "inpaint-corner"),
        ("rollbacks", -1),
        ("patience", 0),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=str(field)):
        Recipe.from_json({field: value})


@pytest.mark.parametrize(
    ("phase", "message"), [({"epochs": 0}, "epochs 0 of a phase"), ({"bit": 6}, "did you mean bits")]
)
def test_bad_phases_are_refused(phase: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe.from_json({"phases": [{"epochs": 1} | phase]})


def test_phases_round_trip_and_follow_the_first_part() -> None:
    recipe = Recipe(epochs=3, phases=HINERV_PHASES)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert recipe.total_epochs == 93
    assert [recipe.stage_of(epoch) for epoch in (0, 2)] == [(None, 0), (None, 2)]
    assert [recipe.stage_of(epoch) for epoch in (3, 62)] == [(HINERV_PHASES[0], 0), (HINERV_PHASES[0], 59)]
    assert [recipe.stage_of(epoch) for epoch in (63, 92)] == [(HINERV_PHASES[1], 0), (HINERV_PHASES[1], 29)]
    assert recipe.replace(epochs=0).stage_of(0) == (HINERV_PHASES[0], 0), "a fitted network goes on with the phases"


def test_adan_takes_three_betas() -> None:
    assert Recipe(optimiser="adan", betas=(0.98, 0.92, 0.99)).betas == (0.98, 0.92, 0.99)
    with pytest.raises(UsageError, match=r"betas .* must be 3 numbers in .* for adan"):
        Recipe(optimiser="adan")


def test_unknown_fields_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"recipe field 'epoch'.*epochs"):
        Recipe.from_json({"epoch": 3})
    with pytest.raises(UnknownNameError, match=r"recipe field 'epoch'.*epochs"):
        Recipe().replace(epoch=3)


def test_replace_checks_and_leaves_the_original() -> None:
    recipe = Recipe()
    assert recipe.replace(epochs=5).epochs == 5
    assert recipe.epochs == 300
    with pytest.raises(UsageError, match="epochs 0"):
        recipe.replace(epochs=0)


@pytest.mark.parametrize("name", preset_names())
def test_all_presets_have_a_sound_recipe(name: str) -> None:
    _, preset = resolve_preset(name)
    assert Recipe.from_json(preset.recipe).to_json() == {
        **Recipe().to_json(),
        **json.loads(json.dumps(dict(preset.recipe))),
    }
