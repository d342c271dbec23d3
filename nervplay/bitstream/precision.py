"""How finely the numbers of a network are stored."""

from dataclasses import dataclass

from nervplay.bitstream.head import FLOAT_BITS
from nervplay.errors import UsageError

__all__ = ["Precision"]


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How finely a network is stored.

    Args:
        bits: bits of a weight or bias, 2 .. 16, or 32 for float32.
        embed_bits: bits of a per-frame embedding, likewise.

    Raises:
        UsageError: another number of bits.
    """

    bits: int = 8
    embed_bits: int = 6

    def __post_init__(self) -> None:
        for name in ("bits", "embed_bits"):
            value = getattr(self, name)
            if value != FLOAT_BITS and not 2 <= value <= 16:
                raise UsageError(f"{name} is {value}; it must be 2 to 16, or {FLOAT_BITS} to keep float32")
