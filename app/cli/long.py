"""`nervplay encode --segments`: how a long clip is cut, and who fits the segments."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from app.cli.options import Number
from nervplay.errors import UsageError

__all__ = ["Cutting", "segment_options"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How a clip is cut and who fits the segments.

    Args:
        segments: "auto", a number, or None for one network.
        seconds: longest segment of "auto".
        overlap: frames that a network learns beyond a seam inside a scene.
        engine: "local" or "ray".
        address: of a Ray cluster; None starts one on this machine.
    """

    segments: str | None
    seconds: float
    overlap: int
    engine: str
    address: str | None

    @property
    def long(self) -> bool:
        """Whether the clip is to be fitted in parts, or elsewhere."""
        return self.segments is not None or self.engine == "ray"


def segment_options(function: Function) -> Function:
    """Add the options about segments to a command; it gets them as one argument, `cutting`.

    Raises:
        UsageError: a word that is neither "auto" nor a number of segments.
    """

    @functools.wraps(function)
    def with_cutting(
        *,
        segments: str | None,
        segment_seconds: float,
        overlap: int,
        engine: str,
        ray_address: str | None,
        **rest: Any,
    ) -> Any:
        if not (segments is None or segments == "auto" or segments.isdecimal()):
            raise UsageError(
                f"--segments {segments} is neither a number nor auto; write --segments auto or --segments 4"
            )
        cutting = Cutting(
            segments=segments, seconds=segment_seconds, overlap=overlap, engine=engine, address=ray_address
        )
        return function(cutting=cutting, **rest)

    options = (
        click.option(
            "--segments",
            metavar="auto|N",
            help="Cut the clip in time, a network for each segment: at scene cuts, or into N equal parts.",
        ),
        click.option(
            "--segment-seconds",
            type=Number(min=0.1),
            default=10.0,
            show_default=True,
            metavar="S",
            help="Longest segment of --segments auto.",
        ),
        click.option(
            "--overlap",
            type=click.IntRange(min=0),
            default=2,
            show_default=True,
            metavar="N",
            help="Frames that a network learns beyond a seam inside a scene; there the two are blended.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Fit segments one by one here, or as tasks of a Ray cluster.",
        ),
        click.option("--ray-address", metavar="ADDRESS", help="A running cluster; default: one on this machine."),
    )
    result: Any = with_cutting
    for option in reversed(options):
        result = option(result)
    wrapped: Function = result
    return wrapped
