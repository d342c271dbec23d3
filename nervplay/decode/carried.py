"""Calibration as a file carries it: integers of a few bits for each convolution (the specification, clause 11).

    varint                  convolutions of the network, whether they have integer products or not
    one bit each            whether it has, in order of execution, packed from the lowest bit on
    arrays                  what those need, one after the other (`bitstream.arrays`)

Each engine says what it needs, `Layout`. What a file says is untrusted: sizes come from the network, not from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream import NervFile, weights_sha256
from nervplay.bitstream.arrays import decode_arrays, encode_arrays
from nervplay.bitstream.calibration import decode_calibration
from nervplay.bitstream.packing import ByteCursor, varint
from nervplay.bitstream.sections import calibration_section
from nervplay.bitstream.segment import RowBudget
from nervplay.decode.lowering import Conv, Lowered
from nervplay.errors import BitstreamError

__all__ = [
    "Layout",
    "Records",
    "carried_records",
    "every_convolution",
    "from_powers",
    "from_record",
    "has_most",
    "to_powers",
    "to_record",
]

Codes = NDArray[Any]
Records = Mapping[str, bytes]
"""What a file carries, by name: the arithmetic that it is for."""


class Layout(Protocol):
    """What an engine stores of a convolution with integer products."""

    def numbered(self) -> Sequence[Conv]:
        """Return all convolutions of the network, in order of execution."""
        ...

    def convolutions(self) -> Sequence[Conv]:
        """Return those that could have integer products."""
        ...

    def sizes(self, conv: Conv) -> Sequence[tuple[int, int]]:
        """Return (count, bits) of the arrays of a convolution."""
        ...

    def to_codes(self, conv: Conv, found: NDArray[Any]) -> Sequence[Codes]:
        """Return these arrays."""
        ...

    def from_codes(self, conv: Conv, codes: Sequence[Codes]) -> NDArray[Any]:
        """Return what a convolution needs; what `to_codes` was given, where that came from `from_codes`."""
        ...


def every_convolution(lowered: Lowered) -> list[Conv]:
    """Return all convolutions of a network, in order of execution."""
    return [conv for step in lowered.steps if isinstance(step, list) for conv in step]


def has_most(lowered: Lowered, chosen: Iterable[Conv]) -> bool:
    """Return whether these convolutions of a network have more than half of its products."""
    part, whole = (sum(conv.multiplications for conv in convs) for convs in (chosen, every_convolution(lowered)))
    return 2 * part > whole


def to_powers(values: NDArray[Any], per_octave: int, bits: int) -> NDArray[np.uint16]:
    """Return the least codes whose powers, see `from_powers`, reach values of 0 or more."""
    with np.errstate(divide="ignore"):  # of zeros
        exact = np.ceil(per_octave * np.log2(values.astype(np.float64)) - 1e-6) + (1 << bits - 1)
    return np.asarray(np.clip(exact, 0, (1 << bits) - 1), np.uint16)


def from_powers(codes: Codes, per_octave: int, bits: int) -> NDArray[np.float32]:
    """Return 2**((code - 2**(bits - 1)) / per_octave), float32 of the codes' shape."""
    return np.asarray(np.exp2((codes.astype(np.float64) - (1 << bits - 1)) / per_octave), np.float32)


def to_record(layout: Layout, peaks: Mapping[Conv, NDArray[Any]]) -> bytes:
    """Return what a file carries of a calibration."""
    every = layout.numbered()
    flags = np.packbits([conv in peaks for conv in every], bitorder="little").tobytes()
    arrays = [
        (codes, bits)
        for conv in every
        if conv in peaks
        for codes, (_, bits) in zip(layout.to_codes(conv, peaks[conv]), layout.sizes(conv), strict=True)
    ]
    return varint(len(every)) + flags + (encode_arrays(arrays) if arrays else b"")


def from_record(data: bytes, layout: Layout) -> dict[Conv, NDArray[Any]] | None:
    """Return the calibration that a file carries, None where it is none of this network."""
    every = layout.numbered()
    try:
        cursor = ByteCursor(data, "a calibration")
        if cursor.varint() != len(every):
            return None
        packed = np.frombuffer(cursor.take(-(-len(every) // 8)), np.uint8)
        flags = np.unpackbits(packed, count=len(every), bitorder="little")
        chosen = [conv for conv, flag in zip(every, flags, strict=True) if flag]
        sizes = [size for conv in chosen for size in layout.sizes(conv)]
        arrays = iter(decode_arrays(cursor.rest(), sizes, "x.int8", RowBudget()) if sizes else ())
    except BitstreamError:
        return None
    codes = {conv: [next(arrays) for _ in layout.sizes(conv)] for conv in chosen}
    return {conv: layout.from_codes(conv, codes[conv]) for conv in layout.convolutions() if conv in codes}


def carried_records(file: NervFile) -> Records:
    """Return what the file of one segment carries for its own weights; nothing where that is damaged."""
    chunk = file.extras.get(calibration_section(0))
    if chunk is None:
        return {}
    try:
        return decode_calibration(chunk.data, weights_sha256(file.segments))
    except BitstreamError:
        return {}
