"""`nervplay import`: a checkpoint of an official code becomes a .nerv file."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click

from app.cli.command import command as nervplay_command
from app.cli.decoding import open_logged
from app.cli.fitting import cut, sound_of
from app.cli.measure import measure, summary_line
from app.cli.options import SOURCE, TARGET, check_suffix, check_target, device_option, json_option, overwrite_option
from app.cli.output import emit_json, note
from app.cli.words import human_bytes
from app.core.clips import source_record
from ffmpeg_bridge import open_source
from nervplay.bitstream import write_nerv
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import NeuralVideo, Precision, open_nerv, pack
from nervplay.codec.official import open_official, open_quantised
from nervplay.decode import resolve_device
from nervplay.decode.loss import told
from nervplay.errors import UsageError
from nervplay.metrics import Report, Series
from nervplay.models import VideoModel, build_model
from nervplay.video import FrameSource, FrameTransform, VideoSpec, default_colour, matched

__all__ = ["command"]

_RATE = Fraction(25)
"""Frames per second where no source tells: what the papers' clip has."""


@nervplay_command(
    "import",
    examples=(
        'nervplay import quant_vid.pth --official "--conv_type convnext pshuffel --act gelu ..." -o bunny.nerv',
        'nervplay import model_latest.pth --official "--embed 1.25_40 ..." --source bunny.mp4 -o bunny.nerv',
    ),
    codes=(2, 3, 4, 6),
)
@click.argument("checkpoint", type=SOURCE)
@click.option("--official", "arguments", required=True, metavar='"ARGS"', help="The command line it was trained with.")
@click.option(
    "--source", type=SOURCE, metavar="SRC", help="The clip it was fitted to: rate, sound, embeddings, measure."
)
@click.option("-o", "--output", required=True, type=TARGET, metavar="OUT.nerv", help="The file to write.")
@click.option("--frames", metavar="A:B", help="Only frames A to B - 1 of the source.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option(
    "--audio", type=click.Choice(["copy", "none"]), default="copy", show_default=True, help="The clip's sound."
)
@json_option
@device_option
@overwrite_option
def command(
    *,
    checkpoint: Path,
    arguments: str,
    source: Path | None,
    frames: str | None,
    output: Path,
    bits: int,
    embed_bits: int,
    audio: str,
    as_json: bool,
    device: str,
    overwrite: bool,
) -> None:
    """Turn CHECKPOINT of an official code into a .nerv file; whose it is shows in its tensors.

    The official command line supplies what no checkpoint holds; add "--frames N" to it where no --source is given.
    Known are NeRV, E-NeRV, FFNeRV, HNeRV, HNeRV-Boost, SNeRV, HiNeRV, DNeRV and PNeRV. A quant_vid.pth or a HiNeRV
    bitstream keeps its integers as they are: --bits and --embed-bits do not touch it.
    """
    check_suffix(output, ".nerv")
    check_target(output, overwrite=overwrite)
    resolve_device(device)
    precision = Precision(bits=bits, embed_bits=embed_bits)
    if source is None and frames is not None:
        raise UsageError(
            f"--frames {frames} cuts the source; give --source, or add --frames N to the official arguments"
        )
    with ExitStack() as stack:
        clip, transform = None, FrameTransform()
        if source is not None:
            clip, transform = cut(stack.enter_context(open_source(source)), frames, None, None)
        model, tensors = _open(checkpoint, arguments, clip)
        spec = _spec(model, clip)
        if clip is not None and (clip.spec.width, clip.spec.height) != (spec.width, spec.height):
            transform = replace(transform, crop=(spec.width, spec.height))  # the official loader cuts from the middle
        file = pack(
            model,
            spec,
            precision=precision,
            tensors=tensors,
            source=source_record(source, transform) if source is not None else {},
            recipe={"official": {"checkpoint": checkpoint.name, "arguments": arguments}},
            audio=sound_of(source, spec, transform) if source is not None and audio == "copy" else None,
        )
        original = matched(clip, FrameTransform(crop=transform.crop), spec) if clip is not None else None
        write_nerv(output, file, overwrite=overwrite)
        video = open_nerv(output)
        report = None
        if original is not None:
            report = _measure(video, original, device)
            known = told(_series(report).mean)  # the file is there already: measuring it may go wrong
            write_nerv(output, replace(file, recipe={**file.recipe, **known}), overwrite=True)
            video = open_nerv(output)
            report = replace(report, file_bytes=video.file_bytes)
    note(summary_line(output, report) if report else f"{output}: {human_bytes(video.file_bytes)}")
    if as_json:
        emit_json({"path": str(output), **_summary(video, report)})


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


def _measure(video: NeuralVideo, clip: FrameSource, device: str) -> Report:
    with open_logged(video, device=device) as decoder:
        return measure(decoder, clip, video.file_bytes, ["psnr"])


def _series(report: Report) -> Series:
    series = report.metrics["psnr"]
    assert series is not None
    return series


def _summary(video: NeuralVideo, report: Report | None) -> dict[str, object]:
    psnr = _series(report) if report else None
    return {
        "architecture": video.architecture,
        "file_bytes": video.file_bytes,
        "bpp": video.bits_per_pixel,
        "psnr_db": psnr.mean if psnr else None,
        "psnr_db_min": psnr.minimum if psnr else None,
        "weights_sha256": video.weights_sha256,
    }
