"""One paper, one file: the networks, their configurations and presets, and the registry that lists them.

Importing this package fills the registry.
"""

from nervplay.models import dnerv, enerv, ffnerv, hinerv, hnerv, hnerv_boost, nerv, pnerv, snerv, snerv_t, srnerv
from nervplay.models.base import (
    MAX_FRAMES,
    MAX_SIDE,
    Architecture,
    ModelConfig,
    Preset,
    TrainingPair,
    VideoModel,
    architecture_names,
    build_model,
    check_ranges,
    get_architecture,
    preset_names,
    register,
    require_size,
    resolve_preset,
)

__all__ = [
    "MAX_FRAMES",
    "MAX_SIDE",
    "Architecture",
    "ModelConfig",
    "Preset",
    "TrainingPair",
    "VideoModel",
    "architecture_names",
    "build_model",
    "check_ranges",
    "dnerv",
    "enerv",
    "ffnerv",
    "get_architecture",
    "hinerv",
    "hnerv",
    "hnerv_boost",
    "nerv",
    "pnerv",
    "preset_names",
    "register",
    "require_size",
    "resolve_preset",
    "snerv",
    "snerv_t",
    "srnerv",
]
