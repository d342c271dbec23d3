"""Quality against work: the paper's recipe and the efforts, epoch by epoch, at a small size.

    python -m benchmarks.efforts [--arch hnerv --parameters 60000] [--size 160x80] [--frames 16] [--epochs 300]

Every line is one epoch of one recipe: mean PSNR of its training predictions, and the processor time so far (wall time
on a GPU). Lines marked `file` hold what the fitted network decodes to after storing it at 8 and 6 bits; lines marked
`against` hold an effort's share of the paper's updates and seconds, and how many dB its file lies above the paper's.
`--also balanced:ema=0.998` runs an effort with other fields of its recipe, too: that is how the settings in
`nervplay.training.efforts` were chosen. `--also balanced:learning_rate=3e-3 --also balanced:ema=0.998` runs both.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.side import ROOT, open_clip, write_table
from nervplay.bitstream import write_nerv
from nervplay.choices import EFFORTS
from nervplay.codec import pack
from nervplay.decode import open_decoder
from nervplay.metrics import evaluate
from nervplay.models import get_architecture
from nervplay.training import Progress, Recipe, build_for_training, fit
from nervplay.training.efforts import with_effort

COLUMNS = ("recipe", "kind", "epoch", "updates", "seconds", "psnr_db")


def run(name: str, recipe: Recipe, options: argparse.Namespace) -> list[tuple[object, ...]]:
    """Fit by one recipe and return its rows."""
    clip = open_clip(options.size, options.frames)
    entry = get_architecture(options.arch)
    if entry.configure_size is None:
        raise SystemExit(f"{options.arch} has no rule for sizes")
    config = entry.configure_size(clip.spec.width, clip.spec.height, clip.spec.frame_count, options.parameters)
    model = build_for_training(entry.name, config, recipe)
    clock = time.perf_counter if options.device.startswith("cuda") else time.process_time
    began = clock()
    rows: dict[int, tuple[object, ...]] = {}

    def note(now: Progress) -> None:
        seconds = f"{clock() - began:.1f}"
        rows[now.epoch] = (name, "epoch", now.epoch, now.epoch * now.steps, seconds, f"{now.psnr_db:.3f}")

    fit(model, clip, recipe, device=options.device, progress=note)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nerv"
        size = write_nerv(path, pack(model, clip.spec))
        with open_decoder(path, device="cpu") as decoder:
            psnr = evaluate(decoder, clip, size, metrics=("psnr",)).metrics["psnr"]
    assert psnr is not None
    updates = recipe.epochs * (options.frames // recipe.batch_size)
    table = list(rows.values())
    table.append((name, "file", recipe.epochs, updates, f"{clock() - began:.1f}", f"{psnr.mean:.3f}"))
    print(*table[-1], sep="\t", flush=True)
    return table


def changed(paper: Recipe, words: str) -> Recipe:
    """Return an effort's recipe with fields changed: "balanced:ema=0.998,learning_rate=3e-3"."""
    effort, _, changes = words.partition(":")
    fields = dict(change.split("=") for change in changes.split(","))
    numbers = {name: value if name in {"schedule", "loss"} else float(value) for name, value in fields.items()}
    return with_effort(paper, effort).replace(**numbers)


def against(rows: list[tuple[object, ...]]) -> tuple[object, ...]:
    """Compare the last file with the paper's, which is the first: shares of updates and seconds, dB above it."""
    files = [row for row in rows if row[1] == "file"]
    (_, _, _, updates, seconds, psnr), (name, _, epochs, *last) = files[0], files[-1]
    wanted = [float(str(value)) for value in (updates, seconds, psnr)]
    found = [float(str(value)) for value in last]
    shares = (f"{found[0] / wanted[0]:.3f}", f"{found[1] / wanted[1]:.3f}", f"{found[2] - wanted[2]:+.3f}")
    return (name, "against", epochs, *shares)


def main() -> None:
    """Run the paper's recipe and all efforts, and write the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="hnerv")
    parser.add_argument("--parameters", type=int, default=60_000)
    parser.add_argument("--size", default="160x80")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=300, help="of the paper's recipe")
    parser.add_argument("--efforts", default=",".join(EFFORTS))
    parser.add_argument("--also", action="append", default=[], metavar="EFFORT:FIELD=VALUE[,FIELD=VALUE]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    settings = dict(get_architecture(options.arch).presets["tiny"].recipe)
    paper = Recipe.from_json(settings).replace(epochs=options.epochs, batch_size=1, speed="fast", phases=())
    recipes = {"paper": paper} | {name: with_effort(paper, name) for name in options.efforts.split(",")}
    recipes |= {words: changed(paper, words) for words in options.also}
    rows: list[tuple[object, ...]] = []
    for name, recipe in recipes.items():
        rows += run(name, recipe, options)
        rows.append(against(rows))
        print(*rows[-1], sep="\t", flush=True)
    target = options.output or ROOT / "benchmarks" / "results" / f"efforts-{options.arch}.tsv"
    write_table(target, f"python -m benchmarks.efforts {' '.join(sys.argv[1:])}", options.device, COLUMNS, rows)


if __name__ == "__main__":
    main()
