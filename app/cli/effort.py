"""How much work a fit is: the options that `encode` and `sweep` share."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from nervplay.choices import EFFORTS, SPEEDS
from nervplay.errors import UsageError

__all__ = ["Effort", "effort_options", "parse_bytes", "parse_seconds"]

_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What `effort_options` asks for.

    Args:
        level: one of `EFFORTS`; None keeps the preset's recipe.
        epochs: passes over the clip, None for the preset's.
        speed: see `nervplay.training.speed`.
        patience: see `Recipe.patience`.
        time_limit: seconds, None for no limit.
        frame_memory: bytes of main memory that decoded frames may take, None for a share of what is available.
        batch: frames per step, None for the preset's.
        accumulate: batches per update, None for the preset's.
    """

    level: str | None
    epochs: int | None
    speed: str
    patience: int | None
    time_limit: float | None
    frame_memory: int | None = None
    batch: int | None = None
    accumulate: int | None = None


def parse_seconds(text: str) -> float:
    """Return a duration: "90", "45s", "30m", "1h30m".

    Raises:
        UsageError: text of another form, or no time at all.
    """
    whole = re.fullmatch(r"(?:[0-9]+(?:\.[0-9]+)?[hms]?)+", text.strip())
    pieces = re.findall(r"([0-9]+(?:\.[0-9]+)?)([hms]?)", text) if whole else []
    seconds = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    if not seconds or (len(pieces) > 1 and any(not unit for _, unit in pieces)):
        raise UsageError(f"duration '{text}' is not one; write it as 90s, 30m or 1h30m")
    return seconds


def parse_bytes(text: str) -> int:
    """Return an amount of memory: "0", "800k", "512M", "4G", in powers of 1000.

    Raises:
        UsageError: text of another form.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)B?", text.strip())
    if match is None:
        raise UsageError(f"amount of memory '{text}' is not one; write it as 512M or 4G")
    return round(float(match[1]) * _SIZES[match[2]])


def effort_options(function: Function) -> Function:
    """Add the options about the amount of work to a command; it gets them as one argument, `effort`."""

    @functools.wraps(function)
    def with_effort(
        *,
        effort: str | None,
        epochs: int | None,
        speed: str,
        patience: int | None,
        time_limit: str | None,
        frame_memory: str | None,
        batch: int | None,
        accumulate: int | None,
        **rest: Any,
    ) -> Any:
        asked = Effort(
            level=effort,
            epochs=epochs,
            speed=speed,
            patience=patience,
            time_limit=None if time_limit is None else parse_seconds(time_limit),
            frame_memory=None if frame_memory is None else parse_bytes(frame_memory),
            batch=batch,
            accumulate=accumulate,
        )
        return function(effort=asked, **rest)

    options = (
        click.option(
            "--effort",
            type=click.Choice(tuple(EFFORTS)),
            help="Instead of the paper's recipe one that gets further in fewer epochs: about an eighth, half, or all.",
        ),
        click.option("--epochs", type=int, metavar="N", help="Passes over the clip; default: the preset's."),
        click.option(
            "--batch",
            type=int,
            metavar="N",
            help="Frames (or patches) per step; default: the preset's. The schedule counts epochs and fits any.",
        ),
        click.option(
            "--accumulate",
            type=int,
            metavar="N",
            help="Steps whose gradients are added up for one update: a batch N times as large in the memory of one.",
        ),
        click.option(
            "--speed",
            type=click.Choice(SPEEDS),
            default="exact",
            show_default=True,
            help="How steps are computed: as the official code does, in bfloat16 where that is fast, or that compiled.",
        ),
        click.option(
            "--time-limit",
            metavar="30m",
            help="Longest training time; the rate comes down to 0 in its last fifth. The best file so far is written.",
        ),
        click.option(
            "--patience", type=int, metavar="N", help="End early, in N epochs more, after N epochs without a gain."
        ),
        click.option(
            "--frame-memory",
            metavar="4G",
            help="Main memory for decoded frames; more of them lie in a file beside the target while the fit runs."
            " Default: half of what is free.",
        ),
    )
    result: Any = with_effort
    for option in reversed(options):
        result = option(result)
    wrapped: Function = result
    return wrapped
