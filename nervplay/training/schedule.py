"""Learning-rate schedules by name: a name becomes a pure function from the position in the run to a factor of the rate.

    const              1
    cosine_U_P_M       HNeRV: from M to 1 in the first share U of the run, as a power P; then half a cosine to 0
    hybrid_U_P_Q_M_F   HNeRV: the same rise; then 1 - (1-F) v^Q, where v goes from 0 to 1
    nerv_W             NeRV: from 0.1 to 1 in int(W * epochs) epochs, linear; then half a cosine to 0
    nervconst_W        NeRV: the same rise, then 1
    nervstep_W_E...    NeRV: the same rise; then a tenth for every epoch E, counted from 0, that has been reached
    hinerv_U_S_M       HiNeRV: from S to 1 in round(U * epochs) epochs, linear; then the half cosine from 1 to M of the
                       whole run, of which the rise has used up a part: the rate falls where it begins. Every step has
                       the factor that belongs to the step before it

Sources: official HNeRV, hnerv_utils.py (adjust_lr); official NeRV, utils.py (adjust_lr, lr_type cosine, const, step);
official HiNeRV, whose scheduler (timm, per update) is asked before it has counted the step.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from nervplay.errors import UnknownNameError, UsageError

__all__ = ["Position", "Schedule", "parse_schedule"]


class Position(NamedTuple):
    """Where a run stands before a step.

    Args:
        epoch: finished epochs of the run, or of its phase, 0 .. epochs - 1.
        epochs: epochs of the whole run, or of the phase.
        step: finished steps of this epoch, 0 .. steps - 1.
        steps: steps per epoch.
        frame_count: T, frames (or patches) of the clip; steps = T // batch size.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    frame_count: int


Schedule = Callable[[Position], float]
"""Position -> factor of the learning rate, usually in [0, 1]."""


def _rise(share: float, up: float, power: float, minimum: float) -> float:
    """Return HNeRV's warm-up factor at `share` of the run, share < up."""
    return minimum + (1.0 - minimum) * math.pow(share / up, power)


def _share(position: Position) -> float:
    """Return the finished share of the run, in [0, 1)."""
    return (position.epoch + position.step / position.steps) / position.epochs


def _cosine(up: float, power: float, minimum: float) -> Schedule:
    def factor(position: Position) -> float:
        share = _share(position)
        if share < up:
            return _rise(share, up, power, minimum)
        return 0.5 * (math.cos(math.pi * (share - up) / (1.0 - up)) + 1.0)

    return factor


def _hybrid(up: float, power: float, down: float, minimum: float, final: float) -> Schedule:
    def factor(position: Position) -> float:
        share = _share(position)
        if share < up:
            return _rise(share, up, power, minimum)
        return 1.0 - (1.0 - final) * math.pow((share - up) / (1.0 - up), down)

    return factor


def _after_rise(warmup: float, fall: Callable[[float, int, int], float]) -> Schedule:
    """Return NeRV's warm-up followed by `fall`: (epoch and fraction, epochs of warm-up, epochs) -> factor."""

    def factor(position: Position) -> float:
        warm = int(warmup * position.epochs)
        # divided by the frames of the clip, not by the steps: with batch size b the fraction only gets to 1/b
        epoch = position.epoch + position.step / position.frame_count
        if epoch < warm:
            return 0.1 + 0.9 * epoch / warm
        return fall(epoch, warm, position.epochs)

    return factor


def _nerv(warmup: float) -> Schedule:
    def fall(epoch: float, warm: int, epochs: int) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * (epoch - warm) / (epochs - warm)))

    return _after_rise(warmup, fall)


def _nervconst(warmup: float) -> Schedule:
    return _after_rise(warmup, lambda *_: 1.0)


def _nervstep(warmup: float, *epochs: float) -> Schedule:
    return _after_rise(warmup, lambda epoch, *_: 0.1 ** sum(epoch >= step for step in epochs))


def _hinerv(up: float, start: float, minimum: float) -> Schedule:
    def factor(position: Position) -> float:
        warm, total = round(up * position.epochs) * position.steps, position.epochs * position.steps
        before = position.epoch * position.steps + position.step - 1
        if before < 0:
            return start if warm else 1.0
        if before < warm:
            return start + (1.0 - start) * before / warm
        return minimum + 0.5 * (1.0 - minimum) * (1.0 + math.cos(math.pi * before / total))

    return factor


def _const() -> Schedule:
    return lambda position: 1.0  # noqa: ARG005 - every schedule is asked with a position


_KINDS: dict[str, tuple[Callable[..., Schedule], str]] = {
    "const": (_const, ""),
    "cosine": (_cosine, "_U_P_M"),
    "hybrid": (_hybrid, "_U_P_Q_M_F"),
    "nerv": (_nerv, "_W"),
    "nervconst": (_nervconst, "_W"),
    "nervstep": (_nervstep, "_W_E..."),
    "hinerv": (_hinerv, "_U_S_M"),
}


def parse_schedule(name: str) -> Schedule:
    """Return the schedule that `name` writes out, e.g. "cosine_0.1_1_0.1", "nerv_0.2", "const".

    Raises:
        UnknownNameError: no such kind of schedule.
        UsageError: numbers missing, left over, unreadable or out of range.
    """
    kind, *texts = name.split("_")
    if kind not in _KINDS:
        raise UnknownNameError("schedule", kind, _KINDS)
    make, letters = _KINDS[kind]
    form = f"write it as {kind}{letters}"
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        raise UsageError(f"schedule '{name}' has a part that is not a number; {form}") from None
    count, more = letters.count("_"), letters.endswith("...")
    wrong = len(numbers) < count if more else len(numbers) != count
    if wrong or not all(0.0 <= number < math.inf for number in numbers):
        raise UsageError(f"schedule '{name}' needs {count} numbers of 0 or more; {form}")
    if numbers and numbers[0] >= 1.0:
        raise UsageError(f"schedule '{name}' has a warm-up share of {numbers[0]:g}; it must be under 1; {form}")
    return make(*numbers)
