"""`nervplay encode`: a clip becomes a fitted network in a .nerv file; stopped at any time, it goes on where it was."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.effort import Effort, effort_options
from app.cli.goal import Goal, goal_options
from app.cli.long import Cutting, segment_options
from app.cli.offers import offer_architectures, offer_presets
from app.cli.options import (
    CONVOLUTIONS_FORM,
    SIZE,
    SOURCE,
    SPAN,
    TARGET,
    Number,
    calibrate_option,
    check_suffix,
    check_target,
    device_option,
    json_option,
    overwrite_option,
    parse_parameters,
)
from nervplay.bitstream.precision import Precision
from nervplay.errors import UsageError
from nervplay.video.tasks import parse_task

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    source: Path
    target: Path
    preset: str | None
    arch: str | None
    size: str | None
    convolutions: tuple[str, ...]
    frames: str | None
    crop: tuple[int, int] | None
    scale: tuple[int, int] | None
    task: str | None
    seed: int | None
    bits: int
    embed_bits: int
    rate_lambda: float | None
    audio: str
    resume: bool
    calibrate: bool
    save_every: float
    effort: Effort
    goal: Goal | None
    cutting: Cutting
    as_json: bool
    device: str
    overwrite: bool


@nervplay_command(
    "encode",
    examples=(
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --size 1.5M --scale 640x360 --epochs 300",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --size 1.5M --effort balanced",
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny --resume",
        "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny --time-limit 30m --speed compiled",
        "nervplay encode clip.mp4 clip.nerv --arch hnerv --target-bytes 400000",
        "nervplay encode clip.mp4 clip.nerv --arch snerv --size 1M --convolutions low-rank:2-:rho=0.25",
        "nervplay encode film.mp4 film.nerv --preset hnerv-tiny --segments auto --engine ray",
    ),
    codes=(2, 3, 4, 6, 130),
)
@click.argument("source", type=SOURCE, metavar="SRC")
@click.argument("target", type=TARGET, metavar="OUT.nerv")
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=offer_presets,
    help="A network and its recipe by name; `nervplay models` lists them.",
)
@click.option(
    "--arch",
    metavar="NAME",
    shell_complete=offer_architectures,
    help="An architecture, with --size instead of a preset.",
)
@click.option("--size", metavar="1.5M", help="About how many parameters to store, with --arch.")
@click.option(
    "--convolutions",
    multiple=True,
    metavar=CONVOLUTIONS_FORM,
    help="Cheaper convolutions in some stages; may be given again for others. KIND: low-rank (with rho, its rank over"
    " the channels), ghost, ghost-v2, binary. STAGES: 3-4, 0,2, 2- or all, counted from 0.",
)
@click.option("--frames", type=SPAN, metavar="A:B", help="Only frames A to B - 1.")
@click.option("--crop", type=SIZE, metavar="WxH", help="Cut this size from the middle.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Resize to this size, behind --crop.")
@click.option(
    "--task",
    metavar="NAME",
    help="What is fitted for: regression (default), interpolation, inpaint-center, inpaint-disperse_50,"
    " denoise-gaussian_25, ...; `nervplay eval` measures it by its paper's protocol.",
)
@click.option("--seed", type=int, metavar="N", help="Of initial weights and frame order; default: the preset's.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option(
    "--rate-lambda",
    type=float,
    metavar="L",
    help="Let weights pay for their bits while they are fitted: L times bits per pixel in the loss, e.g. 1e-3.",
)
@click.option(
    "--audio", type=click.Choice(["copy", "none"]), default="copy", show_default=True, help="The clip's sound."
)
@click.option("--resume", is_flag=True, help="Go on with the stopped fit of this target.")
@calibrate_option
@click.option("--save-every", type=Number(min=0), default=5.0, show_default=True, metavar="S", help="Seconds.")
@json_option
@device_option
@overwrite_option
@effort_options
@goal_options
@segment_options
def command(**values: Any) -> None:
    """Fit a network to the clip SRC (a video file, or a folder of pictures) and write it to OUT.nerv.

    Everything is checked before the work begins. While it runs, its state is saved beside the target every few seconds;
    Ctrl-C saves, too, and --resume goes on as if nothing had happened. At the end the written file is decoded again,
    and what it decodes to is measured.
    """
    asked = Asked(**values)
    _check(asked)
    from app.cli.work.encode import encode

    encode(asked)


def _check(asked: Asked) -> None:
    """Check the options that say enough by themselves, and the target.

    Raises:
        UsageError: a value of another form, or options that do not go together.
        OutputError: the target cannot be written.
        OutputExistsError: it is there, and is not to be replaced.
    """
    _check_choice(asked.preset, asked.arch, asked.size, asked.goal)
    if asked.size is not None:
        parse_parameters(asked.size)
    if asked.task is not None:
        parse_task(asked.task)
    Precision(bits=asked.bits, embed_bits=asked.embed_bits)
    if (asked.cutting.long or asked.goal is not None) and asked.rate_lambda is not None:
        raise UsageError("--rate-lambda fits one network; leave it out, or leave --segments, --engine and targets out")
    if asked.cutting.long and asked.goal is not None:
        raise UsageError("a target is met by one network for the whole clip; leave --segments and --engine out")
    check_suffix(asked.target, ".nerv")
    check_target(asked.target, overwrite=asked.overwrite)


def _check_choice(preset: str | None, arch: str | None, size: str | None, goal: Goal | None) -> None:
    """Raise `UsageError` unless exactly one way to choose a network was taken."""
    if goal is not None:
        if arch is None or size is not None or preset is not None:
            raise UsageError("a target chooses the size; give --arch with it, and neither --size nor --preset")
        return
    if preset is None and (arch is None or size is None):
        raise UsageError("no network chosen; give --preset NAME (`nervplay models` lists them), or --arch and --size")
    if preset is not None and (arch is not None or size is not None):
        raise UsageError(f"--preset {preset} says everything; leave --arch and --size out, or take them instead of it")
