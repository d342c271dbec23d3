"""What `nervplay import` does: reading, packing, measuring."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from app.cli.import_official import Asked
from app.cli.output import emit_json, note
from app.cli.words import human_bytes
from app.cli.work.fitting import cut, sound_of
from app.cli.work.measure import measure_psnr, psnr_of, summary_line
from app.core.clips import source_record
from ffmpeg_bridge import open_source
from nervplay.bitstream import write_nerv
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import NeuralVideo, Precision, open_nerv, pack
from nervplay.codec.official import open_official, open_quantised
from nervplay.decode import resolve_device
from nervplay.decode.loss import told
from nervplay.metrics import Report
from nervplay.models import VideoModel, build_model
from nervplay.video import FrameSource, FrameTransform, VideoSpec, default_colour, matched

__all__ = ["import_official"]

_RATE = Fraction(25)
"""Frames per second where no source tells: what the papers' clip has."""


def import_official(asked: Asked) -> None:
    """Read the checkpoint, write it as a .nerv file, measure it, and say what came of it."""
    resolve_device(asked.device)
    with ExitStack() as stack:
        clip, transform = None, FrameTransform()
        if asked.source is not None:
            clip, transform = cut(stack.enter_context(open_source(asked.source)), asked.frames, None, None)
        model, tensors = _open(asked.checkpoint, asked.arguments, clip)
        spec = _spec(model, clip)
        if clip is not None and (clip.spec.width, clip.spec.height) != (spec.width, spec.height):
            transform = replace(transform, crop=(spec.width, spec.height))  # the official loader cuts from the middle
        file = pack(
            model,
            spec,
            precision=Precision(bits=asked.bits, embed_bits=asked.embed_bits),
            tensors=tensors,
            source=source_record(asked.source, transform) if asked.source is not None else {},
            recipe={"official": {"checkpoint": asked.checkpoint.name, "arguments": asked.arguments}},
            audio=sound_of(asked.source, spec, transform)
            if asked.source is not None and asked.audio == "copy"
            else None,
        )
        original = matched(clip, FrameTransform(crop=transform.crop), spec) if clip is not None else None
        write_nerv(asked.output, file, overwrite=asked.overwrite)
        video = open_nerv(asked.output)
        report = None
        if original is not None:
            report = measure_psnr(video, original, asked.device)
            known = told(psnr_of(report).mean)  # the file is there already: measuring it may go wrong
            write_nerv(asked.output, replace(file, recipe={**file.recipe, **known}), overwrite=True)
            video = open_nerv(asked.output)
            report = replace(report, file_bytes=video.file_bytes)
    note(summary_line(asked.output, report) if report else f"{asked.output}: {human_bytes(video.file_bytes)}")
    if asked.as_json:
        emit_json({"path": str(asked.output), **_summary(video, report)})


def _open(
    checkpoint: Path, arguments: str, clip: FrameSource | None
) -> tuple[VideoModel, Mapping[str, StoredTensor] | None]:
    """Return the network of a checkpoint, and its integers where it holds integers.

    Raises:
        CheckpointError: a file that cannot be read, or does not fit the arguments.
        UsageError: arguments that are not those of the official code, or a source that is missing.
    """
    quantised = open_quantised(checkpoint, arguments)
    if quantised is None:
        return open_official(checkpoint, arguments, clip), None
    return build_model(quantised.architecture, quantised.config).eval(), quantised.tensors


def _spec(model: VideoModel, clip: FrameSource | None) -> VideoSpec:
    """Return the clip that the network decodes to; rate and colour are the source's where there is one."""
    config = model.config
    known = clip.spec if clip is not None else None
    return VideoSpec(
        width=config.width,
        height=config.height,
        frame_count=config.frame_count,
        rate=known.rate if known else _RATE,
        colour=known.colour if known else default_colour(config.height),
    )


def _summary(video: NeuralVideo, report: Report | None) -> dict[str, object]:
    psnr = psnr_of(report) if report else None
    return {
        "architecture": video.architecture,
        "file_bytes": video.file_bytes,
        "bpp": video.bits_per_pixel,
        "psnr_db": psnr.mean if psnr else None,
        "psnr_db_min": psnr.minimum if psnr else None,
        "weights_sha256": video.weights_sha256,
    }
