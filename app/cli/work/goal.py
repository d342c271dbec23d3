"""The network of `nervplay encode --target-...`: searched for by what the file shall be."""

from dataclasses import replace
from pathlib import Path

from app.cli.goal import Goal
from app.cli.output import note, progress
from app.cli.words import human_bytes, human_count
from app.cli.work.fitting import choose_network, progress_words
from app.encoding.attempts import Attempts, Made, reach_bytes, reach_psnr
from app.encoding.parts import Part
from app.encoding.targets import Choice
from nervplay.bitstream import Audio, NervFile, read_nerv
from nervplay.models import ModelConfig
from nervplay.training import Progress, stop_on_signals
from nervplay.video import FrameSource, VideoSpec

__all__ = ["encode_goal"]

_START_BPP = 0.1  # weights at 8 bits of the first network that is tried for a quality
_HEAD_BYTES = 1024  # what the facts about clip and fit may add to a file
_CALIBRATION_SHARE = 32  # of a file, one part, is what its calibration takes at most; left out where it is more


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
