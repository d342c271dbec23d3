"""Tiny networks of every architecture whose frames differ, for tests of decoders."""

from fractions import Fraction

import torch

from nervplay.models import VideoModel, architecture_names, build_model, get_architecture
from nervplay.video.spec import VideoSpec

__all__ = ["SPEC", "TINY", "network"]

SPEC = VideoSpec(width=160, height=96, frame_count=6, rate=Fraction(24))
TINY = [
    f"{name}-{short}"
    for name in architecture_names()
    for short in get_architecture(name).presets
    if "tiny" in short and name != "ffnerv"
]
"""Presets whose networks can be traced."""


def network(preset: str, *, width: int = SPEC.width, height: int = SPEC.height) -> VideoModel:
    """Return a tiny network with embeddings and grids large enough for frames to differ."""
    name = max((n for n in architecture_names() if preset.startswith(f"{n}-")), key=len)
    entry = get_architecture(name)
    torch.manual_seed(3)
    made = entry.presets[preset.removeprefix(f"{name}-")].configure(width, height, SPEC.frame_count)
    model = build_model(name, made)
    state = model.stored_state()
    lively = {k: torch.randn_like(v) for k, v in state.items() if "embed" in k or "levels" in k or "grids" in k}
    model.load_stored_state(state | lively)
    return model.eval()
