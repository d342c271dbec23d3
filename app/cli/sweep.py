"""`nervplay sweep`: one clip at several sizes, a ladder of rate and quality for `nervplay rd`."""

import csv
import io
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.effort import Effort, effort_options
from app.cli.finishing import finish
from app.cli.fitting import Network, choose_network, cut
from app.cli.long import Cutting, LongJob, run_parts, whole_clip
from app.cli.options import SIZE, SOURCE, TARGET, device_option, json_option
from app.cli.output import emit_json, emit_table, note
from app.encoding.parts import Part, part_path
from ffmpeg_bridge import open_source
from nervplay.bitstream import atomic_write, replacing
from nervplay.codec import Precision, open_nerv
from nervplay.decode import open_decoder, resolve_device
from nervplay.errors import OutputError, UsageError
from nervplay.metrics import evaluate
from nervplay.training import Recipe
from nervplay.video import FrameSource, VideoSpec

__all__ = ["command"]

TABLE = "ladder.csv"


class Rung(NamedTuple):
    """One point of the ladder, a row of the table."""

    file: str
    size: str
    bits: int
    file_bytes: int
    bpp: float
    psnr_db: float


@nervplay_command(
    "sweep",
    examples=(
        "nervplay sweep clip.mp4 -o ladder --arch hnerv --sizes 100k,200k,400k,800k",
        "nervplay sweep clip.mp4 -o ladder --arch snerv --sizes 0.5M,1M,2M --engine ray",
        "nervplay rd clip.mp4 ladder/*.nerv -o report",
    ),
    codes=(2, 3, 4, 6, 130),
)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.option(
    "-o", "--output", type=TARGET, required=True, metavar="DIR", help="Folder of the ladder; made if need be."
)
@click.option("--arch", required=True, metavar="NAME", help="An architecture.")
@click.option("--sizes", required=True, metavar="A,B,...", help="Stored parameters of the networks, as 350k or 1.5M.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option("--frames", metavar="A:B", help="Only frames A to B - 1.")
@click.option("--crop", type=SIZE, metavar="WxH", help="Cut this size from the middle.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Resize to this size, behind --crop.")
@click.option("--seed", type=int, metavar="N", help="Of initial weights and frame order; default: the preset's.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--ray-address", metavar="ADDRESS", help="A running cluster; default: one on this machine.")
@click.option("--overwrite", is_flag=True, help="Start again where fits of other settings lie in DIR.")
@json_option
@device_option
@effort_options
def command(
    *,
    source: Path,
    output: Path,
    arch: str,
    sizes: str,
    bits: int,
    embed_bits: int,
    frames: str | None,
    crop: tuple[int, int] | None,
    scale: tuple[int, int] | None,
    seed: int | None,
    engine: str,
    ray_address: str | None,
    effort: Effort,
    overwrite: bool,
    as_json: bool,
    device: str,
) -> None:
    """Fit networks of several sizes to the clip SRC and write a file for each, and a table of rate and quality.

    Stopped at any time, the same command goes on: finished files are kept, the others go on from their saved state.
    A time limit is that of each file.
    """
    names = _sizes(sizes)
    precision = Precision(bits=bits, embed_bits=embed_bits)
    resolve_device(device)
    with open_source(source) as whole:
        clip, transform = cut(whole, frames, crop, scale)
        recipe = partial(effort.recipe, seed=seed)
        job = LongJob(
            source=source,
            transform=transform,
            target=output,
            precision=precision,
            device=device,
            save_every=5.0,
            time_limit=effort.time_limit,
            frame_memory=effort.frame_memory,
            cutting=Cutting(segments=None, seconds=1.0, overlap=0, engine=engine, address=ray_address),
            choose=lambda spec, _share: choose_network(spec, preset=None, arch=arch, size=names[0], recipe=recipe),
        )
        parts = _plan(job, clip.spec, arch, names, recipe)
        folder = output / ".parts"
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another target") from None
        run_parts(folder, parts, job.cutting, len(clip) * len(parts))
        targets = [output / f"{arch}-{name}.nerv" for name in names]
        rungs = [_finish(part, folder, target, clip) for part, target in zip(parts, targets, strict=True)]
    _write_table(output / TABLE, rungs)
    note(
        f"wrote {output / TABLE}; go on with: nervplay rd {shlex.quote(str(source))} {shlex.quote(str(output))}/*.nerv"
    )
    if as_json:
        emit_json([rung._asdict() for rung in rungs])
    else:
        emit_table(
            ("file", "bits", "bytes", "bpp", "PSNR (dB)"),
            ((it.file, str(it.bits), str(it.file_bytes), f"{it.bpp:.5f}", f"{it.psnr_db:.2f}") for it in rungs),
        )


def _sizes(text: str) -> list[str]:
    """Return the sizes of a list with commas.

    Raises:
        UsageError: no size, or one twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"sizes '{text}' must be some different ones; write them as 100k,200k,400k")
    return names


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
