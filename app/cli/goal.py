"""`nervplay encode --target-bytes|--target-bpp|--target-psnr`: the network is chosen by what the file shall be."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from app.cli.effort import progress_words
from app.cli.fitting import choose_network
from app.cli.output import note, progress
from app.cli.words import human_bytes, human_count
from app.encoding.attempts import Attempts, Made, reach_bytes, reach_psnr
from app.encoding.parts import Part
from app.encoding.targets import Choice
from nervplay.bitstream import Audio, NervFile, read_nerv
from nervplay.errors import UsageError
from nervplay.models import ModelConfig
from nervplay.training import Progress, stop_on_signals
from nervplay.video import FrameSource, VideoSpec

__all__ = ["Goal", "encode_goal", "goal_options"]

_START_BPP = 0.1  # weights at 8 bits of the first network that is tried for a quality
_HEAD_BYTES = 1024  # what the facts about clip and fit may add to a file
_CALIBRATION_SHARE = 32  # of a file, one part, is what its calibration takes at most; left out where it is more
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
            type=click.FloatRange(min=0, min_open=True),
            metavar="R",
            help="Likewise, in bits per pixel.",
        ),
        click.option(
            "--target-psnr",
            type=click.FloatRange(min=1, max=80),
            metavar="DB",
            help="With --arch: a network that reaches this PSNR; its width is searched for.",
        ),
    )
    result: Any = with_goal
    for option in reversed(options):
        result = option(result)
    wrapped: Function = result
    return wrapped


def encode_goal(
    goal: Goal, folder: Path, pattern: Part, clip: FrameSource, audio: Audio | None, *, calibrate: bool = False
) -> NervFile:
    """Search for the network that meets a goal and return its file.

    Args:
        goal: what is wanted.
        folder: keeps the fits that are tried.
        pattern: the whole clip as one part; its network is replaced.
        clip: the clip as it is encoded.
        audio: its sound.
        calibrate: whether there is to be room for a calibration.

    Raises:
        UsageError: the goal cannot be met by this architecture.
        Interrupted: stopped; everything is saved.
    """

    def configure(parameters: int) -> ModelConfig:
        return choose_network(
            clip.spec, preset=None, arch=pattern.architecture, size=str(parameters), recipe=lambda it: it
        ).config

    with stop_on_signals() as stop, progress("fitting", pattern.recipe.total_epochs, "epochs") as show:

        def report(choice: Choice, now: Progress) -> None:
            name = f"{human_count(choice.parameters)} parameters, {choice.bits} bits: "
            show(now.epoch - 1 + now.step / now.steps, name + progress_words(now))

        attempts = Attempts(folder, pattern, clip, configure, report=report, stop=stop)
        made = _search(goal, attempts, pattern, clip.spec, audio, calibrate=calibrate)
    outcome, choice = made.outcome, made.choice
    note(
        f"chosen: {human_count(choice.parameters)} parameters at {choice.bits} bits, "
        f"{human_bytes(outcome.file_bytes)}, {outcome.psnr_db:.2f} dB"
    )
    if goal.psnr_db is not None and outcome.psnr_db < goal.psnr_db:
        note(f"no network that was tried reaches {goal.psnr_db:g} dB; more --epochs may")
    return replace(read_nerv(made.path), audio=audio)


def _search(
    goal: Goal, attempts: Attempts, pattern: Part, spec: VideoSpec, audio: Audio | None, *, calibrate: bool
) -> Made:
    limit = goal.limit(spec)
    if limit is not None:
        extra = (len(audio.data) if audio else 0) + _HEAD_BYTES
        return reach_bytes(attempts, limit, extra=extra + (limit // _CALIBRATION_SHARE if calibrate else 0))
    assert goal.psnr_db is not None
    start = max(1000, int(_START_BPP * spec.pixels / 8))
    return reach_psnr(attempts, goal.psnr_db, start=start, bits=pattern.precision.bits)
