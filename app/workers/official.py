"""A checkpoint of an official code as a neural video: for the player's window and for its child processes."""

from fractions import Fraction
from pathlib import Path

from ffmpeg_bridge import open_source
from nervplay.codec import NeuralVideo, pack, unpack
from nervplay.codec.official import open_official, open_quantised
from nervplay.models import ModelConfig, build_model
from nervplay.video import FrameSource, FrameTransform, VideoSpec
from nervplay.video.spec import default_colour

__all__ = ["open_checkpoint"]

_RATE = Fraction(25)


def open_checkpoint(path: Path, arguments: str, reference: Path | None) -> NeuralVideo:
    """Open a checkpoint; its frames are those of its weights as they are, floats or integers.

    Args:
        path: the checkpoint.
        arguments: the official command line.
        reference: the clip that it was fitted to, which supplies rate, colour and embeddings; None to do without.

    Raises:
        CheckpointError: it cannot be read, or does not fit its command line.
        UsageError: arguments that are not those of the official code, or a reference that is missing.
        VideoInputError: the reference cannot be read.
    """
    source = open_source(reference) if reference is not None else None
    try:
        quantised = open_quantised(path, arguments)
        if quantised is None:
            model = open_official(path, arguments, source)
            file = pack(model, _spec(model.config, source), source=_record(model.config))
        else:
            model = build_model(quantised.architecture, quantised.config).eval()
            spec, record = _spec(quantised.config, source), _record(quantised.config)
            file = pack(model, spec, tensors=quantised.tensors, source=record)
            model = unpack(file)
    finally:
        if source is not None:
            source.close()
    return NeuralVideo(file=file, model=model, file_bytes=path.stat().st_size, path=path)


def _record(config: ModelConfig) -> dict[str, object]:
    """Return how a clip is cut to be compared: the official loaders take the middle of every frame."""
    return {"transform": FrameTransform(crop=(config.width, config.height)).to_json()}


def _spec(config: ModelConfig, source: FrameSource | None) -> VideoSpec:
    """Return the clip that a checkpoint decodes to; rate and colour are the reference's where there is one."""
    return VideoSpec(
        width=config.width,
        height=config.height,
        frame_count=config.frame_count,
        rate=source.spec.rate if source is not None else _RATE,
        colour=source.spec.colour if source is not None else default_colour(config.height),
    )
