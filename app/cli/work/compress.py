"""What `nervplay compress` does, around the search of `compressing`: opening, measuring, writing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.cli.compress import Asked, file_bytes
from app.cli.output import emit_json, note
from app.cli.words import human_bytes
from app.cli.work.compressing import Compression, Limits, Settings
from app.cli.work.decoding import open_logged
from app.cli.work.finishing import calibrated, finish
from app.cli.work.measure import measure_psnr, psnr_of, summary_line
from app.core.clips import open_original
from nervplay.bitstream import Chunk, encode_nerv, peek_nerv, weights_sha256, write_nerv
from nervplay.bitstream.sections import is_calibration
from nervplay.codec import NeuralVideo, open_nerv
from nervplay.codec.allocate import Choice
from nervplay.decode import resolve_device
from nervplay.decode.loss import STAND_IN, fitted_db, loss_db
from nervplay.metrics import Report
from nervplay.video import FrameSource

__all__ = ["compress"]


def compress(asked: Asked) -> None:
    """Compress, write, measure, and say what came of it.

    Raises:
        UsageError: a limit that cannot be kept.
    """
    resolve_device(asked.device)
    video = _opened(asked)
    limits = _limits(video, asked)
    settings = Settings(
        prune=asked.prune,
        bits=asked.bits,
        embed_bits=asked.embed_bits,
        qat_epochs=asked.qat_epochs,
        device=asked.device,
    )
    if asked.calibrate and (settings, limits, asked.source) == (Settings(device=asked.device), Limits(), None):
        _only_calibrate(asked.target, video, overwrite=asked.overwrite, as_json=asked.as_json)
        return
    with _reference(asked, video) as reference:
        compressed, details = video.file, _details([], {})
        allowance = _allowance(video) if asked.calibrate and limits.file_bytes is not None else {}
        if not _stays(video, asked, limits, allowance):
            work = Compression(video, reference, settings, limits, allowance)
            compressed, choices = work.run()
            details = _details(work.trials, choices)
            if limits.file_bytes is None and weights_sha256(compressed.segments) == video.weights_sha256:
                compressed = video.file  # with the calibration, and without the record of a compression
        write_nerv(asked.target, compressed, overwrite=asked.overwrite)
        report = measure_psnr(open_nerv(asked.target), reference, asked.device)
    against_source = psnr_of(report).mean if asked.source is not None else _reckoned(video, report)
    size = finish(
        asked.target, compressed, psnr_db=against_source, calibrate=asked.calibrate, most_bytes=limits.file_bytes
    )
    report = replace(report, file_bytes=size)
    against = "the source" if asked.source is not None else f"what {asked.file.name} decodes to"
    note(f"{summary_line(asked.target, report)} against {against}; it was {human_bytes(video.file_bytes)}")
    if size > video.file_bytes:
        note(f"that is more than before; fewer --bits make it smaller, or --target-bytes {video.file_bytes // 2}")
    if asked.as_json:
        before = {"reference": "source" if asked.source else "input", "file_bytes_before": video.file_bytes}
        measured = {"bpp": report.bpp, "psnr_db": psnr_of(report).mean}
        emit_json({**before, **_summary(asked.target), **measured, **details})


def _only_calibrate(target: Path, video: NeuralVideo, *, overwrite: bool, as_json: bool) -> None:
    """Write the file as it is, with its calibration; there is nothing to measure."""
    write_nerv(target, video.file, overwrite=overwrite)
    size = finish(target, video.file, psnr_db=fitted_db(video.file.recipe), calibrate=True)
    note(f"{target}: {human_bytes(size)}; it was {human_bytes(video.file_bytes)}")
    if as_json:
        emit_json({"file_bytes_before": video.file_bytes, **_summary(target)})


def _stays(video: NeuralVideo, asked: Asked, limits: Limits, allowance: Mapping[str, Chunk]) -> bool:
    """Return whether the weights stay as they are: nothing is asked of them but a limit that the file keeps.

    Args:
        video: what is to be compressed.
        asked: the options.
        limits: what they limit.
        allowance: chunks as large as those that will be added.
    """
    if asked.prune or asked.bits or asked.embed_bits or asked.qat_epochs or limits.psnr_db is not None:
        return False
    if limits.file_bytes is None:
        return asked.calibrate
    measured = STAND_IN if asked.source is not None else {}
    file = replace(video.file, recipe={**video.file.recipe, **measured}, extras={**video.file.extras, **allowance})
    if len(encode_nerv(file)) > limits.file_bytes:
        return False
    note(f"{asked.file.name} keeps to the limit already; its weights stay as they are")
    return True


def _allowance(video: NeuralVideo) -> dict[str, Chunk]:
    """Return chunks as large as the calibration will be, which is found for this: that of smaller weights is alike."""
    complete = calibrated(video)
    extras = complete.extras if complete is not None else {}
    return {name: Chunk(bytes(len(it.data) * 9 // 8)) for name, it in extras.items() if is_calibration(name)}


def _reckoned(video: NeuralVideo, report: Report) -> float | None:
    """Return the PSNR against the source where that of the input is known: both errors are independent."""
    before = fitted_db(video.file.recipe)
    return None if before is None else before - loss_db(before, psnr_of(report).mean)


def _limits(video: NeuralVideo, asked: Asked) -> Limits:
    """Return the one limit that the options set, or none."""
    if asked.target_bytes is not None:
        return Limits(file_bytes=file_bytes(asked.target_bytes))
    if asked.target_bpp is not None:
        return Limits(file_bytes=int(asked.target_bpp * video.spec.pixels / 8))
    return Limits(psnr_db=asked.target_psnr)


def _opened(asked: Asked) -> NeuralVideo:
    """Open the input; one that will be replaced is read to its end now, for it is asked for frames until the end."""
    in_place = asked.target.exists() and asked.target.samefile(asked.file)
    return open_nerv(asked.file, late=False if in_place else None)


@contextmanager
def _reference(asked: Asked, video: NeuralVideo) -> Iterator[FrameSource]:
    """Open what quality is measured against: the source, or the file as it was."""
    if asked.source is not None:
        with open_original(asked.source, video.file.source, video.spec) as clip:
            yield clip
    else:
        # opened anew: the networks of `video` are changed
        with open_logged(_opened(asked), device=asked.device) as decoder:
            yield decoder


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
