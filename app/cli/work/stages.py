"""What `--convolutions` says: which stages of a network are not dense, and what they are."""

import re
from collections.abc import Sequence
from typing import get_args

from app.cli.options import CONVOLUTIONS_FORM
from nervplay.blocks.conv_kinds import ConvKind, StageConv
from nervplay.errors import UnknownNameError, UsageError

__all__ = ["parse_convolutions"]

_FORM_HINT = f"write {CONVOLUTIONS_FORM}, as low-rank:3-4:rho=0.25, ghost:0,2 or binary:all"


def parse_convolutions(texts: Sequence[str], count: int) -> tuple[StageConv, ...]:
    """Return the stages that are not dense, in rising order.

    Args:
        texts: each "KIND:STAGES" or "KIND:STAGES:rho=R". KIND is one of `ConvKind`; STAGES are numbers from 0 and
            ranges, joined by commas: "3-4" both ends included, "2-" up to the last, "all". R is the rank over the
            channels, which "low-rank" needs and the others do not have.
        count: stages of the network.

    Raises:
        UnknownNameError: another kind, or another parameter than rho.
        UsageError: text of another form, a stage that does not exist, or one that is named twice.
    """
    choices: dict[int, StageConv] = {}
    for text in texts:
        for choice in _parse(text, count):
            if choice.stage in choices:
                raise UsageError(
                    f"convolutions name stage {choice.stage} twice, as {choices[choice.stage].kind} and as "
                    f"{choice.kind}; name each stage once"
                )
            choices[choice.stage] = choice
    return tuple(choices[stage] for stage in sorted(choices))


def _parse(text: str, count: int) -> list[StageConv]:
    """Return what one value says, in the order in which it names the stages."""
    kind, *rest = text.strip().split(":")
    kinds: tuple[ConvKind, ...] = get_args(ConvKind)
    if kind not in kinds:
        raise UnknownNameError("kind of convolution", kind, kinds)
    if not 1 <= len(rest) <= 2:
        raise UsageError(f"convolutions '{text}' are not of the form that is known; {_FORM_HINT}")
    rho = _rho(rest[1], text) if len(rest) == 2 else None
    if kind == "low-rank" and rho is None:
        raise UsageError(f"convolutions '{text}' lack the rank over the channels; write {text}:rho=0.25, or another")
    return [StageConv(stage=stage, kind=kind, rho=rho) for stage in _stages(rest[0], text, count)]


def _rho(parameter: str, text: str) -> float:
    """Return R of "rho=R"."""
    name, _, value = parameter.partition("=")
    if name != "rho":
        raise UnknownNameError("parameter of convolutions", name, ("rho",))
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"rho is '{value}' in convolutions '{text}'; it must be a number, as rho=0.25") from None


def _stages(ranges: str, text: str, count: int) -> list[int]:
    """Return the numbers of the stages that `ranges` name."""
    if ranges == "all":
        return list(range(count))
    stages: list[int] = []
    for part in ranges.split(","):
        match = re.fullmatch(r"([0-9]{1,4})(?:(-)([0-9]{1,4})?)?", part)
        if match is None:
            raise UsageError(f"'{part}' in convolutions '{text}' names no stage; {_FORM_HINT}")
        first = int(match[1])
        last = int(match[3]) if match[3] else count - 1 if match[2] else first
        if max(first, last) >= count:
            raise UsageError(
                f"convolutions '{text}' name stage {max(first, last)}; the stages of this network are 0 to {count - 1}"
            )
        if last < first:
            raise UsageError(f"range '{part}' in convolutions '{text}' is empty; write {last}-{first}")
        stages += range(first, last + 1)
    return stages
