"""A .nerv file becomes a network that decodes: `open_nerv`."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nervplay.bitstream import NervFile, QuantisedTensor, read_nerv, weights_sha256
from nervplay.bitstream.sections import calibration_section
from nervplay.errors import BitstreamError, UnknownNameError, UsageError, VersionError
from nervplay.models import ModelConfig, VideoModel, build_model, get_architecture
from nervplay.models.cost import measure_cost
from nervplay.models.shapes import ShapesOnly
from nervplay.video.spec import VideoSpec

__all__ = ["MAX_ACTIVATION", "NeuralVideo", "open_nerv", "segment_file", "unpack"]

MAX_ACTIVATION = 1 << 31
"""Largest activation (values of one frame in one layer) that a file may ask for: 8 GiB in float32."""


@dataclass(frozen=True, kw_only=True)
class NeuralVideo:
    """An opened .nerv file: the network with its weights, and what the file says of itself.

    Args:
        file: all that the file says; weights as integers.
        model: the network, in eval mode on the CPU, holding what the integers decode to; of a clip in several segments
            the network of the first one, the others come from `segment`.
        file_bytes: size of the file, in bytes; the rate is computed from this.
        path: where it came from, or None for bytes in memory.
    """

    file: NervFile
    model: VideoModel
    file_bytes: int
    path: Path | None = None

    @property
    def spec(self) -> VideoSpec:
        """The clip that comes out."""
        return self.file.video

    @property
    def architecture(self) -> str:
        """Registry name of the network."""
        return self.file.architecture

    @property
    def bits_per_pixel(self) -> float:
        """8 * file bytes / (W * H * T)."""
        return 8 * self.file_bytes / self.spec.pixels

    @property
    def weights_sha256(self) -> str:
        """Hash of the integer weights, the same on every machine."""
        return weights_sha256(self.file.segments)

    def segment(self, number: int) -> "NeuralVideo":
        """Return one time segment as a video of its own: all frames that its network knows.

        Args:
            number: 0 .. len(file.segments) - 1.

        Raises:
            BitstreamError: weights that do not fit the network.
        """
        if len(self.file.segments) == 1:
            return self
        part = segment_file(self.file, number)
        model = unpack(part) if number else self.model
        return NeuralVideo(file=part, model=model, file_bytes=self.file_bytes, path=self.path)


def segment_file(file: NervFile, number: int) -> NervFile:
    """Return the file of one segment alone: a clip of the frames that its network knows, without sound and still, with
    its own calibration.

    Args:
        file: any file.
        number: 0 .. len(file.segments) - 1.
    """
    segment = file.segments[number]
    known, calibrated = segment.known_count, calibration_section(number)
    return replace(
        file,
        video=replace(file.video, frame_count=known),
        config=dict(file.config) | dict(segment.config) | {"frame_count": known},
        segments=(replace(segment, first_frame=0, frame_count=known, lead=0, tail=0, config={}),),
        audio=None,
        poster=None,
        extras={calibration_section(0): file.extras[calibrated]} if calibrated in file.extras else {},
    )


def _config(file: NervFile) -> ModelConfig:
    """Return the checked configuration of the file's network.

    Raises:
        VersionError: an architecture, or a version of one, that this nervplay does not know.
        BitstreamError: a configuration that does not describe the file's clip.
    """
    try:
        entry = get_architecture(file.architecture)
    except UnknownNameError:
        raise VersionError(
            f"the file's architecture '{file.architecture}' is not known to this version; update nervplay"
        ) from None
    if file.config_version > entry.config.version:
        raise VersionError(
            f"the file has version {file.config_version} of {file.architecture}; this nervplay knows up to "
            f"{entry.config.version}: update nervplay"
        )
    try:
        config = entry.config.from_config(file.config)
    except UsageError as error:
        raise BitstreamError(f"the file's network description is not sound: {error}") from None
    video = file.video
    if (config.width, config.height, config.frame_count) != (video.width, video.height, video.frame_count):
        raise BitstreamError(
            f"the file announces {video.frame_count} frames of {video.width}x{video.height}, its network "
            f"{config.frame_count} of {config.width}x{config.height}; it is damaged, get it again"
        )
    return config


def unpack(file: NervFile) -> VideoModel:
    """Return the network of a file, of its first segment where it has several, in eval mode on the CPU.

    Its cost is measured on the "meta" device and shapes are compared before anything is allocated for it.

    Raises:
        VersionError: made by a newer nervplay.
        BitstreamError: weights that do not fit the network, or a network too large to run.
    """
    config = _config(file)
    if len(file.segments) > 1:
        file = segment_file(file, 0)
        config = _config(file)
    try:
        cost = measure_cost(file.architecture, config)
        if cost.largest_activation > MAX_ACTIVATION:
            raise BitstreamError(
                f"decoding needs layers of {cost.largest_activation} values; at most {MAX_ACTIVATION} are allowed, "
                "the file is refused"
            )
        with torch.device("meta"), ShapesOnly():
            model = build_model(file.architecture, config)
            model.check_stored_state({name: tensor.shape for name, tensor in file.segments[0].tensors.items()})
            model.to_empty(device="cpu")
        model.load_stored_state(
            {
                name: torch.from_numpy(tensor.dequantise() if isinstance(tensor, QuantisedTensor) else tensor.copy())
                for name, tensor in file.segments[0].tensors.items()
            }
        )
    except UsageError as error:
        raise BitstreamError(f"the file's weights do not fit its network: {error}") from None
    return model.eval().requires_grad_(requires_grad=False)


def open_nerv(path: str | Path, *, late: bool | None = None) -> NeuralVideo:
    """Open a .nerv file: read, check, decode the weights, build the network.

    Of a clip in several segments only the first one's weights are decoded, the others when they are asked for; the file
    has to stay as it is.

    Args:
        path: the file.
        late: False to decode all weights now: the file may be replaced then. See `read_nerv`.

    Raises:
        MissingInputError: no such file.
        BitstreamError: not a sound .nerv file; `VersionError` for one made by a newer nervplay.
    """
    path = Path(path)
    file = read_nerv(path, late=late)
    return NeuralVideo(file=file, model=unpack(file), file_bytes=path.stat().st_size, path=path)
