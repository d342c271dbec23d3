"""Tables of the papers, made again on the bundled clip.

    python -m benchmarks.reproduce --table snerv-2a                    on a CPU: reduced, only the order is claimed
    python -m benchmarks.reproduce --table snerv-2a --full --device cuda    the paper's sizes, frames and epochs

The reduced version fits networks of the stated numbers of parameters to a few small frames for a few epochs. Its
figures are not the paper's and say `reduced` in every row; what it claims is the order of the rows, each to be no worse
than the next one but for `--slack` dB, and it ends with status 1 where that is not so. The full version stands beside
the published figure in every row; a network for frames larger than the clip's gets the clip scaled up. Both measure
what the written file decodes to, flicker included; LPIPS flicker with `--lpips FILE...`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from app.cli.work.stages import parse_convolutions
from benchmarks.side import CLIP, ROOT, write_table
from ffmpeg_bridge import open_source
from nervplay.bitstream import write_nerv
from nervplay.codec import Precision, pack
from nervplay.decode import open_decoder
from nervplay.metrics import evaluate
from nervplay.metrics.flicker import AlexLpips, flicker, load_lpips, lpips_flicker
from nervplay.models import ModelConfig, get_architecture, resolve_preset
from nervplay.models.chosen_stages import stage_count, with_convolutions
from nervplay.training import Recipe, build_for_training, fit
from nervplay.video import FrameTransform
from nervplay.video.selection import parse_size

COLUMNS = (
    *("table", "row", "version", "parameters", "epochs", "frames", "size", "seed", "bits", "bytes"),
    *("psnr_db", "published_db", "flicker", "lpips_flicker", "seconds"),
)


class Row(NamedTuple):
    """One network of a table.

    Args:
        name: as the paper has it.
        preset: of the paper's size.
        architecture: of the reduced version.
        parameters: of the reduced version.
        published_db: PSNR in the paper; None where the table has none for this clip.
        convolutions: of the reduced version, see `nervplay encode --convolutions`.
        bits: of a weight.
    """

    name: str
    preset: str
    architecture: str
    parameters: int
    published_db: float | None = None
    convolutions: Sequence[str] = ()
    bits: int = 8


TABLES: dict[str, tuple[Row, ...]] = {
    # the best first
    "snerv-2a": tuple(
        Row(f"SNeRV-B {size}M", f"snerv-{size.lower()}m-640x1280", "snerv", parameters, published)
        for size, parameters, published in (
            *(("3", 480_000, 39.64), ("1.5", 240_000, 36.76)),
            *(("0.75", 120_000, 33.25), ("0.35", 60_000, 30.88)),
        )
    ),
    "enerv-1": (
        Row("E-NeRV", "e-nerv-bunny", "e-nerv", 480_000, 42.87),
        Row("NeRV-L", "nerv-l", "nerv", 480_000, 39.63),
    ),
    "lrconv-2": (
        Row("NeRV-S", "nerv-s", "nerv", 120_000),
        Row("LRConv L4", "nerv-lrconv-l4", "nerv", 120_000, convolutions=("low-rank:last:rho=0.25",)),
        Row("LRConv all", "nerv-lrconv-l0-4", "nerv", 120_000, convolutions=("low-rank:all:rho=0.25",)),
    ),
    "lrconv-4": (
        Row("NeRV-S", "nerv-s", "nerv", 120_000),
        Row("Ghost L4", "nerv-ghost-l4", "nerv", 120_000, convolutions=("ghost:last",)),
        Row("Binary L4", "nerv-binary-l4", "nerv", 120_000, convolutions=("binary:last",)),
    ),
    "srnerv-1": (
        Row("HiNeRV", "hinerv-mcl-s", "hinerv", 60_000),
        Row("SRNeRV", "srnerv-c64", "srnerv", 30_000),
    ),
    "pnerv": (
        Row("PNeRV", "pnerv-m-960x1920", "pnerv", 480_000),
        Row("NeRV", "nerv-s", "nerv", 480_000),
    ),
}


REDUCED = {"pnerv": (64, 120)}
"""Frames and epochs of reduced tables, where they are not `FEW`. NeRV, which reads an index, learns 16 frames by heart
as well as PNeRV, which sees each of them (27.9 and 27.3 dB): what the paper finds needs more of them."""
FEW = (16, 150)


def configured(row: Row, options: argparse.Namespace, width: int, height: int) -> tuple[ModelConfig, Recipe]:
    """Return network and recipe of a row, in the version that was asked for."""
    if options.full:
        _, preset = resolve_preset(row.preset)
        return preset.configure(width, height, options.frames), Recipe.from_json(dict(preset.recipe))
    entry = get_architecture(row.architecture)
    if entry.configure_size is None:
        raise SystemExit(f"{row.architecture} has no rule for sizes")
    config = entry.configure_size(width, height, options.frames, row.parameters)
    if row.convolutions:
        count = stage_count(entry, config)
        texts = [text.replace("last", str(count - 1)) for text in row.convolutions]
        config = with_convolutions(entry, config, parse_convolutions(texts, count))
    recipe = Recipe.from_json(dict(entry.presets["tiny"].recipe)).replace(batch_size=1, phases=())
    return config, recipe


def measure(table: str, row: Row, options: argparse.Namespace, lpips: AlexLpips | None) -> dict[str, object]:
    """Fit one network and return its values by column."""
    architecture = resolve_preset(row.preset)[0].name if options.full else row.architecture
    size = resolve_preset(row.preset)[1].size if options.full else parse_size(options.size)
    width, height = size or (1280, 720)
    # papers cut frames from the middle; the reduced version scales them
    source = open_source(CLIP)
    fits = options.full and width <= source.spec.width and height <= source.spec.height
    cut = FrameTransform(crop=(width, height)) if fits else FrameTransform(scale=(width, height))
    clip = replace(cut, frames=(0, options.frames)).apply(source)
    config, recipe = configured(row, options, width, height)
    changes: dict[str, object] = {"seed": options.seed, "speed": options.speed}
    recipe = recipe.replace(**changes | ({"epochs": options.epochs} if options.epochs else {}))
    began = time.perf_counter()
    model = build_for_training(architecture, config, recipe)
    fit(model, clip, recipe, device=options.device)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nerv"
        file_bytes = write_nerv(path, pack(model, clip.spec, precision=Precision(bits=row.bits)))
        with open_decoder(path, device=options.device) as decoder:
            psnr = evaluate(decoder, clip, file_bytes, metrics=("psnr",)).metrics["psnr"]
            moving = flicker(decoder, clip)
            felt = f"{lpips_flicker(decoder, clip, lpips).of_means:.3f}" if lpips else ""
    assert psnr is not None
    values = (
        *(table, row.name, "full" if options.full else "reduced"),
        sum(value.numel() for value in model.stored_state().values()),
        *(recipe.epochs, options.frames, f"{width}x{height}", recipe.seed, row.bits, file_bytes),
        *(f"{psnr.mean:.3f}", row.published_db or "", f"{moving.ratio:.3f}", felt, f"{seconds:.0f}"),
    )
    found = dict(zip(COLUMNS, values, strict=True))
    print(*found.values(), sep="\t", flush=True)
    return found


def main() -> None:
    """Make a table again, write it, and check its order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, choices=tuple(TABLES))
    parser.add_argument("--full", action="store_true", help="the paper's sizes; for a GPU")
    parser.add_argument("--size", default="320x160", help="of reduced frames")
    parser.add_argument("--frames", type=int, help="default: 16 reduced (pnerv: 64), 132 full")
    parser.add_argument("--epochs", type=int, help="default: 150 reduced (pnerv: 120), the paper's full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", default="fast")
    parser.add_argument("--slack", type=float, default=0.1, help="dB by which a row may miss its place")
    parser.add_argument("--lpips", type=Path, nargs="+", help="weights of AlexNet and of LPIPS")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    frames, epochs = (132, None) if options.full else REDUCED.get(options.table, FEW)
    options.frames, options.epochs = options.frames or frames, options.epochs or epochs
    lpips = load_lpips(*options.lpips) if options.lpips else None
    found = [measure(options.table, row, options, lpips) for row in TABLES[options.table]]
    version = "full" if options.full else "reduced"
    target = options.output or ROOT / "benchmarks" / "results" / f"reproduce-{options.table}-{version}.tsv"
    command = f"python -m benchmarks.reproduce {' '.join(sys.argv[1:])}"
    write_table(target, command, options.device, COLUMNS, [tuple(row.values()) for row in found])
    for better, worse in pairwise(found):
        high, low = (float(str(row["psnr_db"])) for row in (better, worse))
        if high < low - options.slack:
            raise SystemExit(f"{better['row']} came out at {high:.2f} dB, below {worse['row']} at {low:.2f} dB")


if __name__ == "__main__":
    main()
