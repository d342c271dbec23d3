"""Fitting a network to a clip: recipes, losses, schedules, the loop, and resuming what was stopped."""

from nervplay.choices import SPEEDS
from nervplay.training.checkpoint import resume_path
from nervplay.training.interrupt import stop_on_signals
from nervplay.training.loop import FitResult, build_for_training, fit
from nervplay.training.losses import LOSS_NAMES, get_loss
from nervplay.training.phases import HINERV_PHASES, Phase, PhaseHooks
from nervplay.training.progress import Progress
from nervplay.training.recipes import Recipe
from nervplay.training.schedule import parse_schedule

__all__ = [
    "HINERV_PHASES",
    "LOSS_NAMES",
    "SPEEDS",
    "FitResult",
    "Phase",
    "PhaseHooks",
    "Progress",
    "Recipe",
    "build_for_training",
    "fit",
    "get_loss",
    "parse_schedule",
    "resume_path",
    "stop_on_signals",
]
