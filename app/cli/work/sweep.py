"""What `nervplay sweep` does: fitting the ladder, and its table."""

import csv
import io
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from app.cli.long import Cutting
from app.cli.output import emit_json, emit_table, note
from app.cli.sweep import Asked, parse_sizes
from app.cli.work.finishing import finish
from app.cli.work.fitting import Network, choose_network, cut, recipe_of
from app.cli.work.long import LongJob, run_parts, whole_clip
from app.encoding.parts import Part, part_path
from ffmpeg_bridge import open_source
from nervplay.bitstream import atomic_write, replacing
from nervplay.codec import Precision, open_nerv
from nervplay.decode import open_decoder, resolve_device
from nervplay.errors import Interrupted, OutputError
from nervplay.metrics import evaluate
from nervplay.training import Recipe
from nervplay.video import FrameSource, VideoSpec

__all__ = ["sweep"]

TABLE = "ladder.csv"


class Rung(NamedTuple):
    """One point of the ladder, a row of the table."""

    file: str
    size: str
    bits: int
    file_bytes: int
    bpp: float
    psnr_db: float


def sweep(asked: Asked) -> None:
    """Fit a network of each size, write its file, and the table.

    Raises:
        OutputError: the folder cannot be made.
        Interrupted: stopped; all is saved in the folder.
    """
    names = parse_sizes(asked.sizes)
    resolve_device(asked.device)
    with open_source(asked.source) as whole:
        clip, transform = cut(whole, asked.frames, asked.crop, asked.scale)
        recipe = partial(recipe_of, asked.effort, seed=asked.seed)
        job = LongJob(
            source=asked.source,
            transform=transform,
            target=asked.output,
            precision=Precision(bits=asked.bits, embed_bits=asked.embed_bits),
            device=asked.device,
            save_every=5.0,
            time_limit=asked.effort.time_limit,
            frame_memory=asked.effort.frame_memory,
            cutting=Cutting(segments=None, seconds=1.0, overlap=0, engine=asked.engine, address=asked.ray_address),
            choose=lambda spec, _share: choose_network(
                spec, preset=None, arch=asked.arch, size=names[0], recipe=recipe
            ),
        )
        parts = _plan(job, clip.spec, asked.arch, names, recipe)
        folder = asked.output / ".parts"
        if asked.overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another target") from None
        try:
            run_parts(folder, parts, job.cutting, len(clip) * len(parts))
        except Interrupted as stop:
            raise Interrupted(f"{stop}; the same command goes on") from None
        targets = [asked.output / f"{asked.arch}-{name}.nerv" for name in names]
        rungs = [_finish(part, folder, target, clip) for part, target in zip(parts, targets, strict=True)]
    _write_table(asked.output / TABLE, rungs)
    clip_word, folder_word = shlex.quote(str(asked.source)), shlex.quote(str(asked.output))
    note(f"wrote {asked.output / TABLE}; go on with: nervplay rd {clip_word} {folder_word}/*.nerv")
    if asked.as_json:
        emit_json([rung._asdict() for rung in rungs])
    else:
        emit_table(
            ("file", "bits", "bytes", "bpp", "PSNR (dB)"),
            ((it.file, str(it.bits), str(it.file_bytes), f"{it.bpp:.5f}", f"{it.psnr_db:.2f}") for it in rungs),
        )


def _plan(job: LongJob, spec: VideoSpec, arch: str, names: list[str], recipe: Callable[[Recipe], Recipe]) -> list[Part]:
    """Return the fits, every network checked.

    Raises:
        UsageError: a size that cannot be had.
    """
    pattern = whole_clip(job, spec)
    networks: list[Network] = [choose_network(spec, preset=None, arch=arch, size=name, recipe=recipe) for name in names]
    return [
        replace(pattern, number=number, config=network.config, recipe=network.recipe)
        for number, network in enumerate(networks)
    ]


def _finish(part: Part, folder: Path, target: Path, clip: FrameSource) -> Rung:
    """Put a finished part beside the table under its name, and measure it."""
    with replacing(target, overwrite=True) as beside:
        beside.write_bytes(part_path(folder, part.number).read_bytes())
    video = open_nerv(target)
    with open_decoder(video, device=part.device) as decoder:
        report = evaluate(decoder, clip, video.file_bytes, metrics=("psnr",))
    psnr = report.metrics["psnr"]
    assert psnr is not None
    report = replace(report, file_bytes=finish(target, video.file, psnr_db=psnr.mean))
    size = target.stem.rpartition("-")[2]
    return Rung(target.name, size, part.precision.bits, report.file_bytes, report.bpp, psnr.mean)


def _write_table(path: Path, rungs: list[Rung]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Rung._fields)
    rows.writerows(rungs)
    atomic_write(path, text.getvalue().encode(), overwrite=True)
