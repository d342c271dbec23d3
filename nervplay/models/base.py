"""What every architecture is: a configuration, and a network from frame index to frame.

Shape letters, here and everywhere: B batch, T frames of the clip, C channels, H rows, W columns.

A network stores what decoding needs and nothing else. Architectures with per-frame embeddings (HNeRV and its kin) keep
them as stored state; their encoder exists only when the network is built for training, never in `stored_state`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from fractions import Fraction
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

import torch
from torch import Tensor, nn

from nervplay.errors import CapabilityError, FrameIndexError, GeometryError, UnknownNameError, UsageError
from nervplay.plain import plain_numbers

__all__ = [
    "MAX_FRAMES",
    "MAX_SIDE",
    "Architecture",
    "CoarseLayer",
    "ModelConfig",
    "Preset",
    "TrainingPair",
    "VideoModel",
    "architecture_names",
    "build_model",
    "check_ranges",
    "checked",
    "get_architecture",
    "preset_names",
    "register",
    "require_size",
    "resolve_preset",
]

MAX_SIDE = 1 << 14
"""Largest width or height of a frame, in pixels; bounds what a file can ask for."""
MAX_FRAMES = 10_000_000
"""Largest number of frames of a clip; bounds what a file can ask for."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Base of all configurations: JSON-plain, strict, versioned.

    Every subclass describes one network completely, the frame size and the number of frames included.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T, number of frames that the network stands for.

    Raises:
        UsageError: a field outside its range. Subclasses check their own fields in `__post_init__`, this one first.
    """

    version: ClassVar[int] = 1

    width: int
    height: int
    frame_count: int

    def __post_init__(self) -> None:
        plain_numbers(self)
        check_ranges(self, width=(1, MAX_SIDE), height=(1, MAX_SIDE), frame_count=(1, MAX_FRAMES))

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
        return cls(**_field_values(cls, data))


def _field_values(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values of the fields of a dataclass; absent ones that have a default are left out.

    Raises:
        UsageError: unknown key, missing key, or value of another type; the message names it.
    """
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for key in data:
        if key not in known:
            raise UnknownNameError(f"{kind.__name__} field", key, known)
    values: dict[str, Any] = {}
    for name, f in known.items():
        if name in data:
            values[name] = checked(data[name], hints[name], f"{kind.__name__}.{name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise UsageError(f"{kind.__name__} needs the field '{name}'; it is missing")
    return values


def checked(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as type `hint`: int, float, bool, str, None, tuple[X, ...], Literal, dataclasses, unions of them.

    Lists become tuples, dicts of fields dataclasses, and an int may stand for a float; nothing else is bent.

    Raises:
        UsageError: the value has another type.
    """
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for option in options:
            with suppress(UsageError):
                return checked(value, option, where)
    elif origin is tuple and isinstance(value, list | tuple):
        kinds = options[:1] * len(value) if options[-1] is Ellipsis else options
        if len(kinds) == len(value):
            return tuple(checked(item, kind, where) for item, kind in zip(value, kinds, strict=True))
    elif origin is Literal and isinstance(value, str) and value in options:
        return value
    elif is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return hint(**_field_values(hint, value))
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint in (int, bool, str, type(None)) and type(value) is hint:
        return value
    wanted = f"one of {', '.join(map(str, options))}" if origin is Literal else getattr(hint, "__name__", hint)
    raise UsageError(f"{where} is {value!r}; it must be {wanted}")


def check_ranges(config: ModelConfig, **ranges: tuple[float, float]) -> None:
    """Raise when a field of `config` lies outside its range.

    Args:
        config: the configuration.
        ranges: by field name (smallest, largest), both allowed; in a tuple every item is checked, None passes.

    Raises:
        UsageError: a value outside, or one that is not finite.
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None and not low <= item <= high:  # a NaN fails every comparison
                raise UsageError(f"{type(config).__name__}.{name} is {value}; it must lie in {low} .. {high}")


class TrainingPair(NamedTuple):
    """One term of the training loss: `weight * loss(prediction, target)`, both float (B, C, H', W')."""

    prediction: Tensor
    target: Tensor
    weight: float = 1.0


@runtime_checkable
class CoarseLayer(Protocol):
    """A layer that decodes with a coarser weight than the one that is trained, such as `blocks.binary.BinaryConv2d`.

    The coarse weight must do as `weight`, too: a network that loads it decodes to the same frames.
    """

    weight_bits: int
    """Bits that hold a value of `stored_weight` exactly, given one affine map per index of dimension 0."""

    def stored_weight(self) -> Tensor:
        """Return what decoding needs in place of `weight`, in its shape."""


class VideoModel(nn.Module, ABC):
    """A clip as a network: `forward(index (B,) int64) -> frames (B, 3, H, W) float32 in [0, 1]`.

    Contract for subclasses:
      * built as `Model(config, encoder=False)`; parameters are drawn from torch's global generator in the order of the
        official code, the encoder included when `encoder=True`, so that a seed gives the official initial weights;
      * sub-module and buffer names are keys in files: they never change;
      * the encoder, if the architecture has one, is the attribute `encoder`; `stored_state` leaves it out;
      * buffers that can be computed again from the configuration are registered with `persistent=False`;
      * `forward` runs without the encoder and without hidden state: same index, same frame, whatever the batch.
    """

    architecture: ClassVar[str]
    embedding_names: tuple[str, ...] = ()
    """Names of stored tensors that hold one row per frame (dimension 0 is T); they are quantised with `embed_bits`."""
    mixed_precision: ClassVar[bool] = True
    """Whether its forward pass bears PyTorch's autocast to bfloat16: runs under it, and learns as well."""

    def __init__(self, config: ModelConfig, *, encoder: bool = False) -> None:  # noqa: ARG002 - for subclasses
        super().__init__()
        self.config = config
        self.encoder: nn.Module | None = None
        # cheaper convolutions bear it worse than the dense ones of the same network (ghost: 0.14 dB after 30 epochs)
        self.bears_bfloat16 = self.mixed_precision and not getattr(config, "convolutions", ())

    @abstractmethod
    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`.

        Args:
            index: int64 (B,), each 0 .. T - 1.

        Returns:
            float32 (B, 3, H, W); in [0, 1] up to what the output activation leaves outside.
        """

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder gives the embeddings in training; without one they are what is stored."""
        return self.encoder is not None

    @property
    def continuous_time(self) -> bool:
        """Whether `at_position` gives pictures between frames: the network reads a time, not a row of a table."""
        return False

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions between frames; at whole positions what `forward` gives.

        Args:
            position: float64 (B,), in frames, each 0 .. T - 1.

        Returns:
            float32 (B, 3, H, W), as `forward`.

        Raises:
            CapabilityError: the architecture, in this configuration, is not continuous in time.
        """
        raise CapabilityError(
            f"this {self.architecture} stores one embedding per frame and has nothing at {position.tolist()} between "
            "frames; ask for whole positions"
        )

    def source_index(self, index: Tensor) -> Tensor:
        """Return the source frames that training needs for the frames at `index`.

        Args:
            index: int64 (B,).

        Returns:
            `index` itself; or int64 (B, K), the frame first and its neighbours behind it, for encoders that read these.
        """
        return index

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the terms of the training loss; the last prediction is the full-size frame (B, 3, H, W).

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, H, W) or (B, K, 3, H, W) in [0, 1], the source frames at `source_index(index)`.
        """
        return [TrainingPair(self(index), frames)]

    def fill_tables(self) -> None:
        """Compute the buffers that are not stored (`persistent=False`) from the configuration; nothing on "meta".

        `load_stored_state` calls it, so that a network moved off the "meta" device is whole again.
        """

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Run the encoder on `frames` and keep the embeddings for decoding; nothing to do without an encoder.

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, H, W) or (B, K, 3, H, W) in [0, 1], the source frames at `source_index(index)`.
        """

    def check_index(self, index: int | Fraction) -> None:
        """Raise `FrameIndexError` when `index`, an int or a position between frames, is outside 0 .. T - 1."""
        if not 0 <= index <= self.config.frame_count - 1:
            raise FrameIndexError(index, self.config.frame_count)

    def stored_state(self) -> dict[str, Tensor]:
        """Return what decoding needs, by name, in a fixed order: the state dict without the encoder, detached.

        Batch counters of BatchNorm are left out, too: they steer nothing. Of a `CoarseLayer` it is the coarse weight.
        """
        state = {
            name: value.detach()
            for name, value in self.state_dict().items()
            if not name.startswith("encoder.") and not name.endswith(".num_batches_tracked")
        }
        return state | {name: layer.stored_weight().detach() for name, layer in self._coarse_layers()}

    @property
    def stored_bits(self) -> dict[str, int]:
        """Bits that hold a stored tensor exactly, by name, for those that need few: the codec never gives them others.

        They take one affine map per index of dimension 0.
        """
        return {name: layer.weight_bits for name, layer in self._coarse_layers()}

    def _coarse_layers(self) -> Iterator[tuple[str, CoarseLayer]]:
        """Yield the layers whose stored weight is coarse, each under the name of its weight."""
        for name, layer in self.named_modules(remove_duplicate=False):
            if isinstance(layer, CoarseLayer) and not name.startswith("encoder."):
                yield f"{name}.weight", layer

    def check_stored_state(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compare names and shapes with what `stored_state` gives; on the "meta" device before anything is allocated.

        Args:
            shapes: shape by name.

        Raises:
            UsageError: a missing, an extra or a misshapen tensor, by name.
        """
        own = {name: tuple(value.shape) for name, value in self.stored_state().items()}
        for name, shape in own.items():
            if name not in shapes:
                raise UsageError(f"the weights of {self.architecture} lack the tensor '{name}' of shape {shape}")
        for name, shape in shapes.items():
            if name not in own:
                raise UsageError(f"the weights have a tensor '{name}' that this {self.architecture} does not know")
            if own[name] != shape:
                raise UsageError(f"the tensor '{name}' has shape {shape}; this {self.architecture} needs {own[name]}")

    def load_stored_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what `stored_state` gave, and compute the tables that are not stored.

        Raises:
            UsageError: a missing, an extra or a misshapen tensor, by name.
        """
        self.check_stored_state({name: tuple(value.shape) for name, value in state.items()})
        self.load_state_dict(dict(state), strict=False)
        self.fill_tables()


ModelT = TypeVar("ModelT", bound=type[VideoModel])


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named configuration of one architecture.

    Args:
        summary: one line for lists.
        configure: (width, height, frame_count) -> configuration. Raises `GeometryError` for a size that cannot be had.
        size: (width, height) that the paper uses; None when any size will do.
        frame_count: frames of the clip that `expected` holds for; Big Buck Bunny's unless another is named.
        paper: where the figures come from ("table 1"); empty for our own presets.
        expected: figures that the preset should reach, e.g. {"parameters": 3_201_905, "gflops": 201.88}.
        recipe: default training settings, as keyword arguments of `nervplay.training.recipes.Recipe`.
    """

    summary: str
    configure: Callable[[int, int, int], ModelConfig]
    size: tuple[int, int] | None = None
    frame_count: int = 132
    paper: str = ""
    expected: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


class Architecture(NamedTuple):
    """A registry entry."""

    name: str
    model: type[VideoModel]
    config: type[ModelConfig]
    presets: Mapping[str, Preset]
    configure_size: Callable[[int, int, int, int], ModelConfig] | None
    """(width, height, frame_count, parameters) -> configuration; None where the architecture has no size rule."""


_REGISTRY: dict[str, Architecture] = {}


def register(
    name: str,
    *,
    config: type[ModelConfig],
    presets: Mapping[str, Preset],
    configure_size: Callable[[int, int, int, int], ModelConfig] | None = None,
) -> Callable[[ModelT], ModelT]:
    """Enter an architecture into the registry, as a class decorator.

    Args:
        name: the name in files and on the command line; lower case, for ever.
        config: its configuration class.
        presets: its presets by short name; the full name is "<architecture>-<short name>".
        configure_size: (width, height, frame_count, parameters) -> configuration of about that many stored parameters.

    Raises:
        ValueError: the name is taken.
    """

    def enter(model: ModelT) -> ModelT:
        if name in _REGISTRY:
            raise ValueError(f"architecture '{name}' is registered twice: {_REGISTRY[name].model} and {model}")
        model.architecture = name
        _REGISTRY[name] = Architecture(name, model, config, presets, configure_size)
        return model

    return enter


def require_size(preset: str, size: tuple[int, int], asked: tuple[int, int]) -> None:
    """Refuse a preset of a paper for another frame size than the paper's.

    Args:
        preset: full name of the preset.
        size: its (width, height), in pixels.
        asked: (width, height) of the clip.

    Raises:
        GeometryError: the sizes differ; the message tells how to get on.
    """
    if size != asked:
        width, height = size
        architecture = max((name for name in _REGISTRY if preset.startswith(f"{name}-")), key=len)
        way = "crop" if width <= asked[0] and height <= asked[1] else "scale"
        raise GeometryError(
            f"preset {preset} is made for {width}x{height} frames, the clip has {asked[0]}x{asked[1]}; "
            f"{way} it with --{way} {width}x{height}, or name a size with --arch {architecture} --size 1.5M"
        )


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
