"""`nervplay encode --target-bytes|--target-bpp|--target-psnr`: what the file shall be, instead of a network."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from app.cli.options import Number
from nervplay.errors import UsageError
from nervplay.video import VideoSpec

__all__ = ["Goal", "goal_options"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What `goal_options` asks for; one field is not None.

    Args:
        file_bytes: largest size of the file.
        bpp: largest rate, in bits per pixel.
        psnr_db: least PSNR of what the file decodes to.
    """

    file_bytes: int | None
    bpp: float | None
    psnr_db: float | None

    def limit(self, spec: VideoSpec) -> int | None:
        """Return the largest size of the file in bytes; None where a quality is wanted."""
        return self.file_bytes if self.bpp is None else int(self.bpp * spec.pixels / 8)


def goal_options(function: Function) -> Function:
    """Add the options that choose a network by its file; the command gets them as `goal`, None without any.

    Raises:
        UsageError: more than one of them.
    """

    @functools.wraps(function)
    def with_goal(*, target_bytes: int | None, target_bpp: float | None, target_psnr: float | None, **rest: Any) -> Any:
        given = [it for it in (target_bytes, target_bpp, target_psnr) if it is not None]
        if len(given) > 1:
            raise UsageError("--target-bytes, --target-bpp and --target-psnr say different things; give one of them")
        goal = Goal(file_bytes=target_bytes, bpp=target_bpp, psnr_db=target_psnr) if given else None
        return function(goal=goal, **rest)

    options = (
        click.option(
            "--target-bytes",
            type=click.IntRange(min=1),
            metavar="N",
            help="With --arch: the best network whose file has at most N bytes; width and bits are searched for.",
        ),
        click.option(
            "--target-bpp",
            type=Number(min=0, min_open=True),
            metavar="R",
            help="Likewise, in bits per pixel.",
        ),
        click.option(
            "--target-psnr",
            type=Number(min=1, max=80),
            metavar="DB",
            help="With --arch: a network that reaches this PSNR; its width is searched for.",
        ),
    )
    result: Any = with_goal
    for option in reversed(options):
        result = option(result)
    wrapped: Function = result
    return wrapped
