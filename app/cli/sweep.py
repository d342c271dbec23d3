"""`nervplay sweep`: one clip at several sizes, a ladder of rate and quality for `nervplay rd`."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.effort import Effort, effort_options
from app.cli.offers import offer_architectures
from app.cli.options import SIZE, SOURCE, SPAN, TARGET, device_option, json_option, parse_parameters
from nervplay.bitstream.precision import Precision
from nervplay.errors import UsageError

__all__ = ["Asked", "command", "parse_sizes"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    source: Path
    output: Path
    arch: str
    sizes: str
    bits: int
    embed_bits: int
    frames: str | None
    crop: tuple[int, int] | None
    scale: tuple[int, int] | None
    seed: int | None
    engine: str
    ray_address: str | None
    effort: Effort
    overwrite: bool
    as_json: bool
    device: str


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
@click.option("--arch", required=True, metavar="NAME", shell_complete=offer_architectures, help="An architecture.")
@click.option("--sizes", required=True, metavar="A,B,...", help="Stored parameters of the networks, as 350k or 1.5M.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option("--frames", type=SPAN, metavar="A:B", help="Only frames A to B - 1.")
@click.option("--crop", type=SIZE, metavar="WxH", help="Cut this size from the middle.")
@click.option("--scale", type=SIZE, metavar="WxH", help="Resize to this size, behind --crop.")
@click.option("--seed", type=int, metavar="N", help="Of initial weights and frame order; default: the preset's.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--ray-address", metavar="ADDRESS", help="A running cluster; default: one on this machine.")
@click.option("--overwrite", is_flag=True, help="Start again where fits of other settings lie in DIR.")
@json_option
@device_option
@effort_options
def command(**values: Any) -> None:
    """Fit networks of several sizes to the clip SRC and write a file for each, and a table of rate and quality.

    Stopped at any time, the same command goes on: finished files are kept, the others go on from their saved state.
    A time limit is that of each file.
    """
    asked = Asked(**values)
    for name in parse_sizes(asked.sizes):
        parse_parameters(name)
    Precision(bits=asked.bits, embed_bits=asked.embed_bits)
    from app.cli.work.sweep import sweep

    sweep(asked)


def parse_sizes(text: str) -> list[str]:
    """Return the sizes of a list with commas.

    Raises:
        UsageError: no size, or one twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"sizes '{text}' must be some different ones; write them as 100k,200k,400k")
    return names
