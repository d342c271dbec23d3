"""`nervplay compress`: a smaller .nerv file out of a .nerv file, at given settings or under a limit."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from app.cli.command import command as nervplay_command
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
from nervplay.errors import UsageError

__all__ = ["Asked", "command", "file_bytes"]


class Asked(NamedTuple):
    """What is asked for; see the options of the same names."""

    file: Path
    target: Path
    prune: float
    bits: int | None
    embed_bits: int | None
    target_bytes: str | None
    target_bpp: float | None
    target_psnr: float | None
    source: Path | None
    qat_epochs: int
    calibrate: bool
    as_json: bool
    device: str
    overwrite: bool


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
def command(**values: Any) -> None:
    """Write a smaller OUT.nerv out of IN.nerv.

    Without a target every tensor gets --bits or --embed-bits. With one, each tensor of each time segment gets the bits
    that it needs: how much an error in it shows in the frames is measured first; a file that is small enough already
    keeps its weights. Every setting that is tried is printed. Quality is that of the decoded frames against SRC, or,
    without a source, against what IN.nerv decodes to. --calibrate and nothing else keeps the weights as they are.
    """
    asked = Asked(**values)
    check_suffix(asked.target, ".nerv")
    check_target(asked.target, overwrite=asked.overwrite)
    if asked.qat_epochs and asked.source is None:
        raise UsageError(
            f"--qat-epochs {asked.qat_epochs} fits the network on, which needs the clip; give --source SRC"
        )
    _check_limits(asked)
    from app.cli.work.compress import compress

    compress(asked)


def _check_limits(asked: Asked) -> None:
    """Raise `UsageError` for more than one limit, or for one that makes no sense."""
    limits = (("bytes", asked.target_bytes), ("bpp", asked.target_bpp), ("psnr", asked.target_psnr))
    given = [name for name, value in limits if value is not None]
    if len(given) > 1:
        raise UsageError(f"--target-{given[0]} and --target-{given[1]} are two targets; give one")
    if asked.target_bytes is not None:
        file_bytes(asked.target_bytes)
    if asked.target_bpp is not None and not 0 < asked.target_bpp < float("inf"):
        raise UsageError(f"--target-bpp {asked.target_bpp:g} must be above 0 bits per pixel")
    if asked.target_psnr is not None and not 0 < asked.target_psnr < float("inf"):
        raise UsageError(f"--target-psnr {asked.target_psnr:g} must be above 0 dB, and finite")


def file_bytes(text: str) -> int:
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
