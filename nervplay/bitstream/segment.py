"""One segment's blob: side information, raw bits and the rANS stream of its tensors (clause 5.1)."""

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.entropy_model import TensorCoding, choose_coding, read_coding
from nervplay.bitstream.limits import MAX_LANES, MAX_ROWS
from nervplay.bitstream.packing import ByteCursor, pack_fields, packed_bytes, unpack_fields
from nervplay.bitstream.rans import RansStream, Sequence14, StreamDecoder, choose_lanes, encode_stream
from nervplay.bitstream.refusal import damaged

__all__ = ["CodedTensor", "RowBudget", "decode_segment", "encode_segment"]

_HEADER: Final = struct.Struct("<IIIH")  # bytes of side information, bytes of raw bits, words, lanes


class CodedTensor(NamedTuple):
    """What the head says about a tensor of integers: its length, the width of its codes and its entropy model."""

    weights: int
    bits: int
    model: str


class RowBudget:
    """Steps that the decoder may still take over all segments of a file: what bounds its time."""

    def __init__(self) -> None:
        self._left = MAX_ROWS

    def spend(self, rows: int) -> None:
        """Take `rows` steps.

        Raises:
            BitstreamError: more than are left.
        """
        self._left -= rows
        if self._left < 0:
            raise damaged(f"the weights ask for over {MAX_ROWS} decoding steps")


def encode_segment(tensors: Sequence[tuple[NDArray[Any], int]], *, segments: int = 1) -> tuple[bytes, list[str]]:
    """Return the blob of a segment and the entropy model of each tensor.

    Args:
        tensors: (codes, bits) in table order; codes are unsigned integers of any shape, each 0 .. 2**bits - 1.
        segments: number of segments of the file; many short ones get more lanes each, so that `MAX_ROWS` is kept.
    """
    sequences: list[Sequence14] = []
    codings: list[TensorCoding] = []
    raw: list[bytes] = []
    for codes, bits in tensors:
        flat = np.ascontiguousarray(codes).reshape(-1)
        coding = choose_coding(flat, bits)
        codings.append(coding)
        raw.append(pack_fields(flat, coding.raw_bits))
        if coding.is_coded:
            sequences.append(Sequence14((flat >> coding.raw_bits) - coding.first, coding.frequencies))
    lanes = choose_lanes(sum(s.symbols.size for s in sequences), segments) if sequences else 0
    stream = encode_stream(sequences, lanes)
    side, low = b"".join(c.side for c in codings), b"".join(raw)
    header = _HEADER.pack(len(side), len(low), stream.words.size, lanes)
    body = stream.states.astype("<u4").tobytes() + stream.words.astype("<u2").tobytes()
    return header + side + low + body, [c.model for c in codings]


def decode_segment(blob: bytes, tensors: Sequence[CodedTensor], name: str, budget: RowBudget) -> list[NDArray[Any]]:
    """Return the codes of all tensors, flat: uint8 (count,) for bits <= 8, uint16 (count,) above.

    Args:
        blob: the chunk of the segment, its CRC already checked.
        tensors: in table order; the caller has bounded the sum of their counts.
        name: the chunk's name, for messages.
        budget: what the file's other segments have left.

    Raises:
        VersionError: an entropy model that this version does not know.
        BitstreamError: a blob that breaks a rule of clauses 5 and 6.
    """
    parts = ByteCursor(blob, f"the chunk '{name}'")
    side_bytes, raw_bytes, word_count, lanes = _HEADER.unpack(parts.take(_HEADER.size))
    side = ByteCursor(parts.take(side_bytes), f"the side information of '{name}'")
    raw = ByteCursor(parts.take(raw_bytes), f"the raw bits of '{name}'")
    if lanes > MAX_LANES:
        raise damaged(f"'{name}' claims {lanes} lanes, over {MAX_LANES}")
    states = np.frombuffer(parts.take(4 * lanes), "<u4")
    words = np.frombuffer(parts.take(2 * word_count), "<u2")
    parts.finish()

    decoder = StreamDecoder(RansStream(states.astype(np.uint32), words.astype(np.uint16)))
    result: list[NDArray[Any]] = []
    for tensor in tensors:
        coding = read_coding(tensor.model, tensor.bits, side)
        if coding.is_coded:
            if lanes == 0:
                raise damaged(f"'{name}' has coded tensors but no lanes")
            budget.spend(-(-tensor.weights // lanes))
        result.append(_codes(tensor, coding, raw, decoder))
    decoder.finish()
    side.finish()
    raw.finish()
    return result


def _codes(tensor: CodedTensor, coding: TensorCoding, raw: ByteCursor, decoder: StreamDecoder) -> NDArray[Any]:
    """Return the codes of one tensor, (first + symbol) << raw_bits | raw (clause 5.3)."""
    dtype = np.uint8 if tensor.bits <= 8 else np.uint16
    low = raw.take(packed_bytes(tensor.weights, coding.raw_bits))
    if coding.is_coded:
        codes = decoder.decode(tensor.weights, coding.frequencies)
        codes += np.uint16(coding.first)
        codes <<= np.uint16(coding.raw_bits)
    else:
        codes = np.full(tensor.weights, coding.first << coding.raw_bits, np.uint16)
    if coding.raw_bits:
        codes |= unpack_fields(low, tensor.weights, coding.raw_bits)
    return codes.astype(dtype)
