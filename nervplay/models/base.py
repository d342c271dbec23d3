"""What every architecture is: a configuration, and a network from frame index to frame.

Shape letters, here and everywhere: B batch, T frames of the clip, C channels, H rows, W columns.

A network stores what decoding needs and nothing else. Architectures with per-frame embeddings (HNeRV and its kin) keep them
as stored state; their encoder exists only when the network is built for training and is never part of `stored_state`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from nervplay.errors import FrameIndexError, UnknownNameError, UsageError

__all__ = [
    "ModelConfig",
    "Preset",
    "TrainingPair",
    "VideoModel",
    "architecture_names",
    "build_model",
    "get_architecture",
    "preset_names",
    "register",
    "resolve_preset",
]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Base of all configurations: JSON-plain, strict, versioned.

    Every subclass describes one network completely, the frame size and the number of frames included.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T, number of frames that the network stands for.
    """

    version: ClassVar[int] = 1

    width: int
    height: int
    frame_count: int

    def to_config(self) -> dict[str, Any]:
        """Return a JSON-plain dict of all fields; tuples become lists."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain

    @classmethod
    def from_config(cls, data: Mapping[str, Any]) -> Self:
        """Return the configuration that `to_config` wrote.

        Raises:
            UsageError: unknown key, missing key, or value of another type; the message names it.
        """
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}
        for key in data:
            if key not in known:
                raise UnknownNameError(f"{cls.__name__} field", key, known)
        values: dict[str, Any] = {}
        for name, f in known.items():
            if name in data:
                values[name] = _checked(data[name], hints[name], f"{cls.__name__}.{name}")
            elif f.default is MISSING and f.default_factory is MISSING:
                raise UsageError(f"{cls.__name__} needs the field '{name}'; it is missing")
        return cls(**values)


def _checked(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as type `hint` (int, float, bool, str, None, tuple[X, ...], unions), lists made tuples; never coerced.

    Raises:
        UsageError: the value has another type.
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        for option in get_args(hint):
            try:
                return _checked(value, option, where)
            except UsageError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        items = get_args(hint)
        if len(items) == 2 and items[1] is Ellipsis:
            return tuple(_checked(item, items[0], where) for item in value)
        if len(items) == len(value):
            return tuple(_checked(item, kind, where) for item, kind in zip(value, items, strict=True))
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint in (int, bool, str, type(None)) and type(value) is hint:
        return value
    elif get_origin(hint) is not None and str(get_origin(hint)) == "typing.Literal" and value in get_args(hint):
        return value
    raise UsageError(f"{where} is {value!r}; it must be {getattr(hint, '__name__', hint)}")


class TrainingPair(NamedTuple):
    """One term of the training loss: `weight * loss(prediction, target)`, both float (B, C, H', W')."""

    prediction: Tensor
    target: Tensor
    weight: float = 1.0


class VideoModel(nn.Module, ABC):
    """A clip as a network: `forward(index (B,) int64) -> frames (B, 3, H, W) float32 in [0, 1]`.

    Contract for subclasses:
      * built as `Model(config, encoder=False)`; parameters are drawn from torch's global generator in the order of the
        official code, the encoder included when `encoder=True`, so that a seed gives the official initial weights;
      * sub-module and buffer names are keys in files: they never change;
      * the encoder, if the architecture has one, is the attribute `encoder`; nothing else is left out of `stored_state`;
      * buffers that can be computed again from the configuration are registered with `persistent=False`;
      * `forward` runs without the encoder and without hidden state: same index, same frame, whatever the batch.
    """

    architecture: ClassVar[str]
    embedding_names: ClassVar[tuple[str, ...]] = ()
    """Names of stored tensors that hold one row per frame (dimension 0 is T); they are quantised with `embed_bits`."""

    def __init__(self, config: ModelConfig, *, encoder: bool = False) -> None:  # noqa: ARG002 - for subclasses
        super().__init__()
        self.config = config
        self.encoder: nn.Module | None = None

    @abstractmethod
    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`.

        Args:
            index: int64 (B,), each 0 .. T - 1.

        Returns:
            float32 (B, 3, H, W); in [0, 1] up to what the output activation leaves outside.
        """

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the terms of the training loss; the last prediction is the full-size frame (B, 3, H, W).

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, H, W) in [0, 1], the source frames at `index`.
        """
        return [TrainingPair(self(index), frames)]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Run the encoder on `frames` and keep the embeddings for decoding; nothing to do without an encoder.

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, H, W) in [0, 1], the source frames at `index`.
        """

    def check_index(self, index: int) -> None:
        """Raise `FrameIndexError` when `index` is outside 0 .. T - 1."""
        if not 0 <= index < self.config.frame_count:
            raise FrameIndexError(index, self.config.frame_count)

    def stored_state(self) -> dict[str, Tensor]:
        """Return what decoding needs, by name, in a fixed order: the state dict without the encoder, detached."""
        return {k: v.detach() for k, v in self.state_dict().items() if not k.startswith("encoder.")}

    def check_stored_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compare names and shapes of stored tensors with what this network needs, both ways.

        Args:
            shapes: shape of every tensor on offer, by name.

        Raises:
            UsageError: a missing, an extra or a misshapen tensor, by name.
        """
        own = {name: tuple(value.shape) for name, value in self.stored_state().items()}
        for name in own.keys() - shapes.keys():
            raise UsageError(f"the weights of {self.architecture} lack the tensor '{name}'")
        for name, shape in shapes.items():
            if name not in own:
                raise UsageError(f"the weights have a tensor '{name}' that {self.architecture} does not know")
            if own[name] != tuple(shape):
                raise UsageError(
                    f"the tensor '{name}' has shape {tuple(shape)}; this {self.architecture} needs {own[name]}"
                )

    def load_stored_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what `stored_state` gave.

        Args:
            state: tensors by name, of the shapes that this network needs.

        Raises:
            UsageError: a missing, an extra or a misshapen tensor, by name.
        """
        self.check_stored_shapes({name: tuple(value.shape) for name, value in state.items()})
        self.load_state_dict(dict(state), strict=False)


ModelT = TypeVar("ModelT", bound=type[VideoModel])


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named configuration of one architecture.

    Args:
        summary: one line for lists.
        configure: (width, height, frame_count) -> configuration. Raises `GeometryError` for a size that cannot be had.
        size: (width, height) that the paper uses; None when any size will do.
        paper: where the figures come from ("table 1"); empty for our own presets.
        expected: figures that the preset should reach, e.g. {"psnr_db": 33.2, "parameters": 3_201_905, "gflops": 201.9}.
        recipe: default training settings, as keyword arguments of `nervplay.training.recipes.Recipe`.
    """

    summary: str
    configure: Callable[[int, int, int], ModelConfig]
    size: tuple[int, int] | None = None
    paper: str = ""
    expected: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


class Architecture(NamedTuple):
    """A registry entry."""

    name: str
    model: type[VideoModel]
    config: type[ModelConfig]
    presets: Mapping[str, Preset]


_REGISTRY: dict[str, Architecture] = {}


def register(
    name: str, *, config: type[ModelConfig], presets: Mapping[str, Preset]
) -> Callable[[ModelT], ModelT]:
    """Enter an architecture into the registry, as a class decorator.

    Args:
        name: the name in files and on the command line; lower case, for ever.
        config: its configuration class.
        presets: its presets by short name; the full name is "<architecture>-<short name>".

    Raises:
        ValueError: the name is taken.
    """

    def enter(model: ModelT) -> ModelT:
        if name in _REGISTRY:
            raise ValueError(f"architecture '{name}' is registered twice: {_REGISTRY[name].model} and {model}")
        model.architecture = name
        _REGISTRY[name] = Architecture(name, model, config, presets)
        return model

    return enter


def architecture_names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return sorted(_REGISTRY)


def get_architecture(name: str) -> Architecture:
    """Return the registry entry of `name`.

    Raises:
        UnknownNameError: no such architecture.
    """
    if name not in _REGISTRY:
        raise UnknownNameError("architecture", name, _REGISTRY)
    return _REGISTRY[name]


def preset_names() -> list[str]:
    """Return the full names of all presets, "<architecture>-<preset>", sorted."""
    return sorted(f"{entry.name}-{short}" for entry in _REGISTRY.values() for short in entry.presets)


def resolve_preset(full_name: str) -> tuple[Architecture, Preset]:
    """Return architecture and preset of a full name such as "hnerv-1.5m-640x1280".

    Raises:
        UnknownNameError: no such preset; the nearest names are offered.
    """
    for entry in _REGISTRY.values():
        for short, preset in entry.presets.items():
            if full_name == f"{entry.name}-{short}":
                return entry, preset
    raise UnknownNameError("preset", full_name, preset_names())


def build_model(name: str, config: ModelConfig, *, encoder: bool = False) -> VideoModel:
    """Build the network of `config`, with PyTorch's default initialisation.

    Args:
        name: architecture name.
        config: an instance of that architecture's configuration class.
        encoder: build the training-only encoder as well.

    Raises:
        UnknownNameError: no such architecture.
        UsageError: a configuration of another architecture.
    """
    entry = get_architecture(name)
    if not isinstance(config, entry.config):
        raise UsageError(f"a {type(config).__name__} cannot configure {name}; it needs a {entry.config.__name__}")
    return entry.model(config, encoder=encoder)
