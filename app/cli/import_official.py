"""`nervplay import`: a checkpoint of an official code becomes a .nerv file."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
from app.cli.options import (
    SOURCE,
    SPAN,
    TARGET,
    check_suffix,
    check_target,
    device_option,
    json_option,
    overwrite_option,
)
from nervplay.bitstream.precision import Precision
from nervplay.errors import UsageError

__all__ = ["Asked", "command"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    checkpoint: Path
    arguments: str
    source: Path | None
    frames: str | None
    output: Path
    bits: int
    embed_bits: int
    audio: str
    as_json: bool
    device: str
    overwrite: bool


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
@click.option("--frames", type=SPAN, metavar="A:B", help="Only frames A to B - 1 of the source.")
@click.option("--bits", type=int, default=8, show_default=True, metavar="N", help="Bits of a weight.")
@click.option("--embed-bits", type=int, default=6, show_default=True, metavar="N", help="Bits of an embedding.")
@click.option(
    "--audio", type=click.Choice(["copy", "none"]), default="copy", show_default=True, help="The clip's sound."
)
@json_option
@device_option
@overwrite_option
def command(**values: Any) -> None:
    """Turn CHECKPOINT of an official code into a .nerv file; whose it is shows in its tensors.

    The official command line supplies what no checkpoint holds; add "--frames N" to it where no --source is given.
    Known are NeRV, E-NeRV, FFNeRV, HNeRV, HNeRV-Boost, SNeRV, HiNeRV, DNeRV and PNeRV. A quant_vid.pth or a HiNeRV
    bitstream keeps its integers as they are: --bits and --embed-bits do not touch it.
    """
    asked = Asked(**values)
    check_suffix(asked.output, ".nerv")
    check_target(asked.output, overwrite=asked.overwrite)
    Precision(bits=asked.bits, embed_bits=asked.embed_bits)
    if asked.source is None and asked.frames is not None:
        raise UsageError(
            f"--frames {asked.frames} cuts the source; give --source, or add --frames N to the official arguments"
        )
    from app.cli.work.import_official import import_official

    import_official(asked)
