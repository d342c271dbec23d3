"""From a clip and a choice of network to a checked plan, before the first step of a long fit."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.stages import parse_convolutions
from ffmpeg_bridge.audio import extract_audio
from nervplay.bitstream import Audio
from nervplay.errors import UsageError
from nervplay.models import Architecture, ModelConfig, get_architecture, resolve_preset
from nervplay.models.chosen_stages import near_size, stage_count, with_convolutions
from nervplay.training import Recipe
from nervplay.video import FrameSource, FrameTransform, VideoSpec, parse_range

__all__ = ["Network", "choose_network", "cut", "parse_parameters", "sound_of"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is to be fitted.

    Args:
        architecture: registry name.
        config: its configuration for the clip.
        recipe: how it is fitted.
        preset: full name of the preset, None for one made to size.
    """

    architecture: str
    config: ModelConfig
    recipe: Recipe
    preset: str | None


def parse_parameters(text: str) -> int:
    """Return a number of parameters: "1500000", "1.5M" or "350k".

    Raises:
        UsageError: text of another form.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmM]?)\s*", text)
    count = round(float(match[1]) * {"": 1, "k": 10**3, "m": 10**6}[match[2].lower()]) if match else 0
    if count < 1:
        raise UsageError(f"size '{text}' is no number of parameters; write it as 350k, 1.5M or 1500000")
    return count


def cut(
    source: FrameSource, frames: str | None, crop: tuple[int, int] | None, scale: tuple[int, int] | None
) -> tuple[FrameSource, FrameTransform]:
    """Return the clip cut as the options say, and the transform that did it.

    Args:
        source: the clip; the result owns it.
        frames: "A:B" or None for all.
        crop: (W, H) from the middle, or None.
        scale: (W, H) after the crop, or None.

    Raises:
        UsageError, FrameIndexError: a range of another form, or outside the clip.
        GeometryError: a crop larger than the frame.
    """
    chosen = None if frames is None else parse_range(frames, len(source))
    transform = FrameTransform(crop=crop, scale=scale, frames=chosen)
    return transform.apply(source), transform


def choose_network(
    spec: VideoSpec,
    *,
    preset: str | None,
    arch: str | None,
    size: str | None,
    recipe: Callable[[Recipe], Recipe],
    convolutions: Sequence[str] = (),
) -> Network:
    """Return the network that the options name, configured for a clip.

    Args:
        spec: the clip.
        preset: full name of a preset; or
        arch: name of an architecture, with
        size: about how many parameters it may store.
        recipe: turns the preset's recipe into the one to fit by.
        convolutions: the stages that are not dense, see `parse_convolutions`; they take the place of the preset's. The
            size is that of the network with them.

    Raises:
        UsageError: neither or both ways to name a network, a size or convolutions that cannot be had.
        UnknownNameError: no such preset or architecture.
        GeometryError: frames that the network cannot have.
    """
    if preset is not None:
        entry, chosen = resolve_preset(preset)
        config, settings = chosen.configure(spec.width, spec.height, spec.frame_count), chosen.recipe
        if convolutions:
            config = _with_convolutions(entry, config, convolutions)
    else:
        assert arch is not None
        assert size is not None
        entry = get_architecture(arch)
        config = _of_size(entry, spec, parse_parameters(size), convolutions)
        settings = entry.presets["tiny"].recipe  # the paper's, as far as it goes with frames of any size
    chosen_recipe = recipe(Recipe.from_json(dict(settings)))
    return Network(architecture=entry.name, config=config, recipe=chosen_recipe, preset=preset)


def _of_size(entry: Architecture, spec: VideoSpec, parameters: int, convolutions: Sequence[str]) -> ModelConfig:
    """Return the configuration of about `parameters` stored parameters, with other convolutions where some are given.

    Raises:
        UsageError: an architecture without a rule for sizes; a size or convolutions that cannot be had.
    """
    rule = entry.configure_size
    if rule is None:
        raise UsageError(
            f"architecture '{entry.name}' has no rule for --size; name a preset: nervplay models {entry.name}"
        )

    def configure(asked: int) -> ModelConfig:
        return rule(spec.width, spec.height, spec.frame_count, asked)

    if not convolutions:
        return configure(parameters)
    return near_size(entry, configure, lambda config: _with_convolutions(entry, config, convolutions), parameters)


def _with_convolutions(entry: Architecture, config: ModelConfig, texts: Sequence[str]) -> ModelConfig:
    """Return a configuration with the convolutions that options name.

    Raises:
        UsageError: options or convolutions that cannot be had.
    """
    return with_convolutions(entry, config, parse_convolutions(texts, stage_count(entry, config)))


def sound_of(path: Path, spec: VideoSpec, transform: FrameTransform) -> Audio | None:
    """Return the sound that belongs to the chosen frames of a clip, None where it has none.

    Args:
        path: the clip.
        spec: what is left of it after the transform.
        transform: how it was cut.

    Raises:
        VideoInputError: sound that cannot be read.
    """
    if transform.frames is None:
        return extract_audio(path)
    return extract_audio(path, transform.frames[0] / spec.rate, spec.duration)
