"""The efforts change optimiser and epochs, and nothing else of a paper's recipe."""

import pytest

from nervplay.choices import EFFORTS
from nervplay.errors import UnknownNameError
from nervplay.training import HINERV_PHASES, Recipe
from nervplay.training.efforts import with_effort
from nervplay.training.schedule import Position, parse_schedule

PAPER = Recipe(epochs=300, loss="Fusion6", batch_size=2, grad_clip=1.0, phases=HINERV_PHASES, schedule="nerv_0.2")


@pytest.mark.parametrize(("name", "epochs"), [("fast", 38), ("balanced", 150), ("best", 300)])
def test_what_an_effort_changes(name: str, epochs: int) -> None:
    recipe = with_effort(PAPER, name)
    assert (recipe.epochs, recipe.optimiser) == (epochs, "muon")
    factor = parse_schedule(recipe.schedule)
    rates = [factor(Position(epoch, 100, 0, 1, 1)) for epoch in (0, 5, 50, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1 - 0.4737**4, 1 - 0.98947**4], abs=1e-3)
    kept = ("loss", "batch_size", "grad_clip", "phases", "seed", "patch_size")
    assert all(getattr(recipe, field) == getattr(PAPER, field) for field in kept)


def test_edges() -> None:
    assert all(with_effort(Recipe(epochs=1), name).epochs == 1 for name in EFFORTS)
    assert with_effort(Recipe(epochs=0, phases=HINERV_PHASES), "fast").epochs == 0
    with pytest.raises(UnknownNameError, match="did you mean balanced"):
        with_effort(PAPER, "balance")
