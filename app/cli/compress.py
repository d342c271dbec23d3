"""`nervplay compress`: a smaller .nerv file out of a .nerv file, at given settings or under a limit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.compressing import Compression, Limits, Settings
from app.cli.decoding import open_logged
from app.cli.finishing import calibrated, finish
from app.cli.measure import measure, summary_line
from app.cli.options import (
    NERV,
    SOURCE,
    TARGET,
    calibrate_option,
    check_suffix,
    check_target,
    device_option,
    json_option,
    overwrite_option,
)
from app.cli.output import emit_json, note
from app.cli.words import human_bytes
from app.core.clips import open_original
from nervplay.bitstream import Chunk, peek_nerv, write_nerv
from nervplay.bitstream.sections import is_calibration
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.codec.allocate import Choice
from nervplay.decode import resolve_device
from nervplay.decode.loss import fitted_db, loss_db
from nervplay.errors import UsageError
from nervplay.metrics import Report
from nervplay.video import FrameSource

__all__ = ["command"]


@nervplay_command(
    "compress",
    examples=(
        "nervplay compress clip.nerv small.nerv --bits 6 --embed-bits 6",
        "nervplay compress clip.nerv small.nerv --target-bytes 200k --source clip.mp4 --qat-epochs 10",
        "nervplay compress clip.nerv small.nerv --prune 0.1 --target-psnr 35 --source clip.mp4",
        "nervplay compress clip.nerv ready.nerv --calibrate",
    ),
    codes=(2, 3, 4, 6, 130),
)
@click.argument("file", type=NERV, metavar="IN.nerv")
@click.argument("target", type=TARGET, metavar="OUT.nerv")
@click.option("--prune", type=float, default=0.0, metavar="SHARE", help="Set this share of the weights to 0, e.g. 0.1.")
@click.option("--bits", type=click.IntRange(2, 16), metavar="N", help="Bits of a weight (8); with a target the most.")
@click.option(
    "--embed-bits", type=click.IntRange(2, 16), metavar="N", help="Bits of an embedding (6); with a target the most."
)
@click.option("--target-bytes", metavar="N", help="The best file of at most N bytes (200k, 1.5M).")
@click.option("--target-bpp", type=float, metavar="X", help="The best file of at most X bits per pixel.")
@click.option("--target-psnr", type=float, metavar="D", help="The smallest file of at least D dB.")
@click.option("--source", type=SOURCE, metavar="SRC", help="The clip: quality is measured, and fitted, against it.")
@click.option("--qat-epochs", type=click.IntRange(0), default=0, metavar="N", help="Fit on with rounded weights.")
@calibrate_option
@json_option
@device_option
@overwrite_option
def command(
    *,
    file: Path,
    target: Path,
    prune: float,
    bits: int | None,
    embed_bits: int | None,
    target_bytes: str | None,
    target_bpp: float | None,
    target_psnr: float | None,
    source: Path | None,
    qat_epochs: int,
    calibrate: bool,
    as_json: bool,
    device: str,
    overwrite: bool,
) -> None:
    """Write a smaller OUT.nerv out of IN.nerv.

    Without a target every tensor gets --bits or --embed-bits. With one, each tensor of each time segment gets the bits
    that it needs: how much an error in it shows in the frames is measured first. Every setting that is tried is
    printed. Quality is that of the decoded frames against SRC, or, without a source, against what IN.nerv decodes to.
    --calibrate and nothing else keeps the weights as they are.
    """
    check_suffix(target, ".nerv")
    check_target(target, overwrite=overwrite)
    resolve_device(device)
    if qat_epochs and source is None:
        raise UsageError(f"--qat-epochs {qat_epochs} fits the network on, which needs the clip; give --source SRC")
    video = open_nerv(file)
    limits = _limits(video, target_bytes, target_bpp, target_psnr)
    settings = Settings(prune=prune, bits=bits, embed_bits=embed_bits, qat_epochs=qat_epochs, device=device)
    if calibrate and (settings, limits, source) == (Settings(device=device), Limits(), None):
        _only_calibrate(target, video, overwrite=overwrite, as_json=as_json)
        return
    with _reference(file, source, video, device) as reference:
        compressed, details = video.file, _details([], {})
        if not calibrate or (settings, limits) != (Settings(device=device), Limits()):
            allowance = _allowance(video) if calibrate and limits.file_bytes is not None else {}
            work = Compression(video, reference, settings, limits, allowance)
            compressed, choices = work.run()
            details = _details(work.trials, choices)
        write_nerv(target, compressed, overwrite=overwrite)
        report = _measure(target, reference, device)
    against_source = _mean(report) if source is not None else _reckoned(video, report)
    size = finish(target, compressed, psnr_db=against_source, calibrate=calibrate, most_bytes=limits.file_bytes)
    report = replace(report, file_bytes=size)
    against = "the source" if source is not None else f"what {file.name} decodes to"
    note(f"{summary_line(target, report)} against {against}; it was {human_bytes(video.file_bytes)}")
    if as_json:
        before = {"reference": "source" if source else "input", "file_bytes_before": video.file_bytes}
        measured = {"bpp": report.bpp, "psnr_db": _mean(report)}
        emit_json({**before, **_summary(target), **measured, **details})


def _only_calibrate(target: Path, video: NeuralVideo, *, overwrite: bool, as_json: bool) -> None:
    """Write the file as it is, with its calibration; there is nothing to measure."""
    write_nerv(target, video.file, overwrite=overwrite)
    size = finish(target, video.file, psnr_db=fitted_db(video.file.recipe), calibrate=True)
    note(f"{target}: {human_bytes(size)}; it was {human_bytes(video.file_bytes)}")
    if as_json:
        emit_json({"file_bytes_before": video.file_bytes, **_summary(target)})


def _allowance(video: NeuralVideo) -> dict[str, Chunk]:
    """Return chunks as large as the calibration will be, which is found for this: that of smaller weights is alike."""
    complete = calibrated(video)
    extras = complete.extras if complete is not None else {}
    return {name: Chunk(bytes(len(it.data) * 9 // 8)) for name, it in extras.items() if is_calibration(name)}


def _reckoned(video: NeuralVideo, report: Report) -> float | None:
    """Return the PSNR against the source where that of the input is known: both errors are independent."""
    before = fitted_db(video.file.recipe)
    return None if before is None else before - loss_db(before, _mean(report))


def _limits(video: NeuralVideo, size: str | None, bpp: float | None, psnr_db: float | None) -> Limits:
    """Return the one limit that the options set, or none.

    Raises:
        UsageError: more than one, or one that makes no sense.
    """
    given = [name for name, value in (("bytes", size), ("bpp", bpp), ("psnr", psnr_db)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"--target-{given[0]} and --target-{given[1]} are two targets; give one")
    if size is not None:
        return Limits(file_bytes=_bytes(size))
    if bpp is not None:
        if not 0 < bpp < float("inf"):
            raise UsageError(f"--target-bpp {bpp:g} must be above 0 bits per pixel")
        return Limits(file_bytes=int(bpp * video.spec.pixels / 8))
    return Limits(psnr_db=psnr_db)


def _bytes(text: str) -> int:
    """Return a number of bytes: "200000", "200k" or "1.5M", powers of ten.

    Raises:
        UsageError: text of another form.
    """
    units = {"k": 10**3, "m": 10**6}
    number, factor = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        count = round(float(number) * factor)
    except (ValueError, OverflowError):
        count = 0
    if count < 1:
        raise UsageError(f"--target-bytes '{text}' is no number of bytes; write it as 200000, 200k or 1.5M")
    return count


@contextmanager
def _reference(file: Path, source: Path | None, video: NeuralVideo, device: str) -> Iterator[FrameSource]:
    """Open what quality is measured against: the source, or the file as it was."""
    if source is not None:
        with open_original(source, video.file.source, video.spec) as clip:
            yield clip
    else:
        with open_logged(file, device=device) as decoder:
            yield decoder


def _measure(target: Path, reference: FrameSource, device: str) -> Report:
    video = open_nerv(target)
    with open_logged(video, device=device) as decoder:
        return measure(decoder, reference, video.file_bytes, ["psnr"])


def _mean(report: Report) -> float:
    series = report.metrics["psnr"]
    assert series is not None
    return series.mean


def _summary(target: Path) -> dict[str, Any]:
    header = peek_nerv(target)
    return {
        "path": str(target),
        "file_bytes": header.file_bytes,
        "weights_sha256": header.weights_sha256,
        "int8_bytes": header.section_bytes["int8"],
    }


def _details(trials: Sequence[Mapping[str, Any]], choices: Mapping[str, Choice]) -> dict[str, Any]:
    tensors = [{"name": name, "stored": choice.note, "bytes": choice.size} for name, choice in choices.items()]
    return {"trials": list(trials), "tensors": tensors}
