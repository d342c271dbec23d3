"""Three amounts of work, found by experiment: recipes that get further in fewer epochs than those of the papers.

All three train by Muon at a rate of 5e-3 that stays high for long: it rises in a twentieth of the epochs and then falls
as 1 - v^4, which in few updates gets further than HNeRV's half cosine. Loss, batch size and phases stay those of the
recipe. They differ in their epochs. What each reaches against the recipe of the paper is measured by
benchmarks/efforts.py, which also runs other schedules and a running mean of the weights (`Recipe.ema`): that wins where
a rate stays high to the end, and nothing where it comes down to 0.
"""

from nervplay.choices import EFFORTS
from nervplay.errors import UnknownNameError
from nervplay.training.recipes import Recipe

__all__ = ["with_effort"]


def with_effort(recipe: Recipe, name: str) -> Recipe:
    """Return the recipe of a paper with another optimiser and other epochs.

    Args:
        recipe: the paper's.
        name: one of `EFFORTS`.

    Raises:
        UnknownNameError: no such effort.
    """
    if name not in EFFORTS:
        raise UnknownNameError("effort", name, EFFORTS)
    return recipe.replace(
        epochs=max(1, round(EFFORTS[name] * recipe.epochs)) if recipe.epochs else 0,
        optimiser="muon",
        betas=(0.95, 0.9, 0.999),
        learning_rate=5e-3,
        schedule="hybrid_0.05_1_4_0.1_0",
    )
