"""One segment's blob: side information, raw bits and the rANS stream of its tensors (clause 5.1)."""

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.limits import MAX_LANES
from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.rans import RansStream, StreamDecoder, choose_lanes, encode_stream
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.tensor_code import CodedTensor, CodeReader, RowBudget, decode_tensor, encode_tensor

__all__ = ["CodedTensor", "RowBudget", "decode_segment", "encode_segment"]

_HEADER: Final = struct.Struct("<IIIH")  # bytes of side information, bytes of raw bits, words, lanes


Codes = tuple[NDArray[Any], int] | tuple[NDArray[Any], int, NDArray[np.int32] | None]
"""(codes, bits) of a tensor, or (codes, bits, zero points of its maps); `encode_tensor` says what they are."""


def encode_segment(tensors: Sequence[Codes], *, segments: int = 1) -> tuple[bytes, list[str]]:
    """Return the blob of a segment and the entropy model of each tensor.

    Args:
        tensors: in table order.
        segments: number of segments of the file; many short ones get more lanes each, so that `MAX_ROWS` is kept.
    """
    parts = [encode_tensor(*tensor) for tensor in tensors]
    sequences = [sequence for part in parts for sequence in part.sequences]
    lanes = choose_lanes(sum(s.symbols.size for s in sequences), segments) if sequences else 0
    stream = encode_stream(sequences, lanes)
    side, low = b"".join(p.side for p in parts), b"".join(p.raw for p in parts)
    header = _HEADER.pack(len(side), len(low), stream.words.size, lanes)
    body = stream.states.astype("<u4").tobytes() + stream.words.astype("<u2").tobytes()
    return header + side + low + body, [p.model for p in parts]


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
    codes = CodeReader(raw, decoder, lanes, budget)
    result = [
        decode_tensor(tensor, side, codes).astype(np.uint8 if tensor.bits <= 8 else np.uint16) for tensor in tensors
    ]
    decoder.finish()
    side.finish()
    raw.finish()
    return result
