"""The best file under a limit: of bytes, or of quality. What was tried is reported as it happens."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nervplay.bitstream import NervFile, encode_nerv
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec.allocate import Choice, Hull
from nervplay.errors import UsageError

__all__ = ["Search", "Trial"]

_ROUNDS = 8
_MARGIN = 5000  # a share of the limit that is left free after a miss: the writer reckons within a few bytes per tensor
_DB_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting that was tried.

    Args:
        choices: how each tensor is stored.
        file_bytes: size of the whole file.
        psnr_db: mean PSNR of the sampled frames, in dB; inf for identical ones.
    """

    choices: Mapping[str, Choice]
    file_bytes: int
    psnr_db: float

    @property
    def tensors(self) -> dict[str, StoredTensor]:
        """What would be stored, by name."""
        return {name: choice.tensor for name, choice in self.choices.items()}

    @property
    def mean_bits(self) -> float:
        """Bits of a code, mean over all weights."""
        shapes = [choice.tensor for choice in self.choices.values()]
        counts = [math.prod(tensor.shape) for tensor in shapes]
        bits = [getattr(tensor, "bits", 32) for tensor in shapes]
        return sum(n * b for n, b in zip(counts, bits, strict=True)) / sum(counts)


class Search:
    """Tries settings on one network and one file.

    Args:
        build: tensors -> the file that would hold them.
        quality: tensors -> mean PSNR in dB of what they decode to.
        report: told every trial.
    """

    def __init__(
        self,
        build: Callable[[Mapping[str, StoredTensor]], NervFile],
        quality: Callable[[Mapping[str, StoredTensor]], float],
        report: Callable[[Trial], None],
    ) -> None:
        self._build, self._quality, self._report = build, quality, report

    def trial(self, choices: Mapping[str, Choice]) -> Trial:
        """Build the file of a setting and measure it."""
        tensors = {name: choice.tensor for name, choice in choices.items()}
        size = len(encode_nerv(self._build(tensors)))
        trial = Trial(choices=choices, file_bytes=size, psnr_db=self._quality(tensors))
        self._report(trial)
        return trial

    def within_bytes(self, hull: Hull, limit: int) -> Trial:
        """Return the setting of least error whose file has at most `limit` bytes.

        Raises:
            UsageError: no setting is that small; the message names the smallest.
        """
        smallest = hull.take(hull.steps)
        around = len(encode_nerv(self._build({n: c.tensor for n, c in smallest.items()}))) - hull.size(hull.steps)
        for number in range(_ROUNDS):
            choices = hull.within(limit - around)
            if choices is None:
                raise UsageError(
                    f"{limit} bytes cannot be reached: the smallest file of this network has about "
                    f"{hull.size(hull.steps) + around}; ask for more, prune, or fit a smaller network"
                )
            trial = self.trial(choices)
            if trial.file_bytes <= limit:
                return trial
            # more every time: a few bytes need not change the choice
            around += (trial.file_bytes - limit + limit // _MARGIN) * 2**number
        raise UsageError(f"{limit} bytes were not met in {_ROUNDS} trials; ask for some more")

    def at_quality(self, hull: Hull, psnr_db: float) -> Trial:
        """Return the smallest setting whose sampled frames have at least `psnr_db`.

        Raises:
            UsageError: even the finest setting is worse; the message names its quality.
        """
        best = self.trial(hull.take(0))
        if best.psnr_db + _DB_SLACK < psnr_db:
            raise UsageError(
                f"{psnr_db:g} dB cannot be reached: the finest setting has {best.psnr_db:.2f} dB; ask for less"
            )
        fine, coarse = 0, hull.steps + 1  # `fine` is good enough, `coarse` is not
        while coarse - fine > 1:
            middle = (fine + coarse) // 2
            tried = self.trial(hull.take(middle))
            if tried.psnr_db + _DB_SLACK >= psnr_db:
                fine, best = middle, tried
            else:
                coarse = middle
        return best
