"""From a clip and a choice of network to a checked plan, before the first step of a long fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.effort import Effort
from app.cli.options import parse_parameters
from app.cli.words import human_seconds
from app.cli.work.stages import parse_convolutions
from ffmpeg_bridge.audio import extract_audio
from nervplay.bitstream import Audio
from nervplay.errors import UsageError
from nervplay.models import Architecture, ModelConfig, get_architecture, resolve_preset
from nervplay.models.chosen_stages import near_size, stage_count, with_convolutions
from nervplay.training import FitResult, Progress, Recipe
from nervplay.training.efforts import with_effort
from nervplay.video import FrameSource, FrameTransform, VideoSpec, parse_range

__all__ = ["Network", "choose_network", "cut", "ending_words", "progress_words", "recipe_of", "sound_of"]


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


def recipe_of(effort: Effort, preset: Recipe, *, seed: int | None, task: str | None = None) -> Recipe:
    """Return the recipe of a preset as the options change it.

    Args:
        effort: the options.
        preset: the recipe.
        seed: another seed, or None.
        task: another task, or None.

    Raises:
        UsageError: a value out of range.
    """
    base = preset if effort.level is None else with_effort(preset, effort.level)
    changes = {"epochs": effort.epochs, "speed": effort.speed, "patience": effort.patience, "seed": seed, "task": task}
    changes |= {"batch_size": effort.batch, "accumulate": effort.accumulate}
    return base.replace(**{name: value for name, value in changes.items() if value is not None})


def progress_words(now: Progress) -> str:
    """Return one phrase for a progress bar."""
    times = "once" if now.rollbacks == 1 else f"{now.rollbacks} times"
    collapses = f", went back {times}" if now.rollbacks else ""
    return f"{now.psnr_db:.2f} dB, {now.frames_per_second:.1f} frames/s{collapses}"


def ending_words(result: FitResult) -> str | None:
    """Return what a user must know about how a fit ended; None when it ended as planned."""
    if result.ended == "done":
        return None
    reason = "the time limit was reached" if result.ended == "time limit" else "it no longer got better"
    return f"the fit ended after {result.epochs:.1f} epochs, {human_seconds(result.seconds)} of this run: {reason}"
