"""From the codes of one tensor to what stands in a segment, and back (clauses 5.3, 5.9, 5.10 and 5.12).

A tensor is coded in one of four ways, whichever is smallest:

    MODEL            its codes, row-major, under one entropy model
    previous-MODEL   differences to the previous index of dimension 0: embeddings, of which neighbours in time are alike
    kernel-MODEL     differences to what neighbours in the same kernel foretell: smooth kernels of convolutions
    runs             runs of one frequent code: pruned weights
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.entropy_model import TensorCoding, base_model_names, choose_coding, read_coding
from nervplay.bitstream.kernels import NEIGHBOURS, fit_weights, foretell, is_kernel, undo, undo_steps
from nervplay.bitstream.limits import MAX_ROWS
from nervplay.bitstream.packing import ByteCursor, pack_fields, packed_bytes, unpack_fields, varint
from nervplay.bitstream.rans import Sequence14, StreamDecoder
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.zero_runs import GAP_BITS, LONGEST_GAP, Runs, join_runs, split_runs

__all__ = ["CodeReader", "CodedTensor", "RowBudget", "TensorParts", "decode_tensor", "encode_tensor", "model_names"]

PREVIOUS: Final = "previous-"
KERNEL: Final = "kernel-"
RUNS: Final = "runs"
_RUN_MODELS: Final = ("uniform", "histogram", "laplace", "gaussian")
"""The models of gaps and values, by the numbers that stand in the file."""

_FREQUENT = 8  # runs are tried where one code is at least every eighth
_MOST_RUNS = (1 << 28) - 1  # what a varint holds


_KERNEL_PAYS = 64  # bytes that foretelling must save by its share of the energy before it is tried


class CodedTensor(NamedTuple):
    """What the head and the maps say about a tensor of integers.

    Args:
        shape: of the tensor.
        bits: width of its codes.
        model: name of its entropy model.
        zero: zero points, int32, broadcasts to the shape; None where there are no maps.
    """

    shape: tuple[int, ...]
    bits: int
    model: str
    zero: NDArray[np.int32] | None = None

    @property
    def weights(self) -> int:
        """Number of codes."""
        return math.prod(self.shape)


class RowBudget:
    """Steps that the decoder may still take over all segments of a file: what bounds its time.

    Args:
        steps: at first; see `limits.allowance`.
    """

    def __init__(self, steps: int = MAX_ROWS) -> None:
        self._steps = self._left = steps

    def spend(self, rows: int) -> None:
        """Take `rows` steps.

        Raises:
            BitstreamError: more than are left.
        """
        self._left -= rows
        if self._left < 0:
            raise damaged(f"the weights ask for over {self._steps} decoding steps")


class TensorParts(NamedTuple):
    """What a tensor adds to its segment: name of the model, side information, raw bits, sequences for the coder, size.

    The size is that of all of it in bytes, as the writer reckons; a segment adds the states of its lanes.
    """

    model: str
    side: bytes
    raw: bytes
    sequences: Sequence[Sequence14]
    size: int


class CodeReader:
    """Reads coded sequences of a segment one after the other.

    Args:
        raw: the raw bits of the segment.
        decoder: its rANS stream.
        lanes: lanes of the stream.
        budget: steps that may still be taken.
    """

    def __init__(self, raw: ByteCursor, decoder: StreamDecoder, lanes: int, budget: RowBudget) -> None:
        self._raw, self._decoder, self._lanes, self._budget = raw, decoder, lanes, budget

    def spend(self, rows: int) -> None:
        """Take `rows` decoding steps from what is left.

        Raises:
            BitstreamError: more than are left.
        """
        self._budget.spend(rows)

    def read(self, coding: TensorCoding, count: int) -> NDArray[np.uint16]:
        """Return the next `count` codes, uint16 (count,): (first + symbol) << raw_bits | raw (clause 5.3).

        Raises:
            BitstreamError: raw bits or words end too early, or decoding would take too many steps.
        """
        low = self._raw.take(packed_bytes(count, coding.raw_bits))
        if coding.is_coded:
            if self._lanes == 0:
                raise damaged("there are coded tensors but no lanes")
            self._budget.spend(-(-count // self._lanes))
            codes = self._decoder.decode(count, coding.frequencies)
            codes += np.uint16(coding.first)
            codes <<= np.uint16(coding.raw_bits)
        else:
            codes = np.full(count, coding.first << coding.raw_bits, np.uint16)
        if coding.raw_bits:
            codes |= unpack_fields(low, count, coding.raw_bits)
        return codes


def model_names() -> list[str]:
    """Return the names of all models of a tensor that this version reads, sorted (clause 5.3)."""
    base = base_model_names()
    return sorted([*base, *(PREVIOUS + name for name in base), *(KERNEL + name for name in base), RUNS])


def encode_tensor(codes: NDArray[Any], bits: int, zero: NDArray[np.int32] | None = None) -> TensorParts:
    """Return the smallest coding of a tensor.

    Args:
        codes: unsigned integers of any shape, at least one, each 0 .. 2**bits - 1.
        bits: 1 .. 16.
        zero: zero points of its maps (`kernels.zero_points`), broadcasts to `codes`; None where it has none.
    """
    flat = np.ascontiguousarray(codes).reshape(-1)
    best = _parts("", flat, choose_coding(flat, bits))
    if codes.ndim > 1 and codes.shape[0] > 1:
        rows = flat.reshape(codes.shape[0], -1)
        before = np.concatenate([np.full_like(rows[:1], 1 << (bits - 1)), rows[:-1]])
        differences = _centred(rows, before, bits).reshape(-1)
        coding = choose_coding(differences, bits)
        if coding.size < best.size:
            best = _parts(PREVIOUS, differences, coding)
    if zero is not None and is_kernel(codes.shape):
        best = _by_kernels(codes, bits, zero, best)
    counts = np.bincount(flat)
    if 1 < flat.size <= _MOST_RUNS and flat.size < int(counts.max()) * _FREQUENT < flat.size * _FREQUENT:
        best = min(best, _runs(split_runs(flat, int(counts.argmax())), bits), key=lambda parts: parts.size)
    return best


def _by_kernels(codes: NDArray[Any], bits: int, zero: NDArray[np.int32], best: TensorParts) -> TensorParts:
    """Return the coding by neighbours in the kernel where it is smaller than `best`, which is returned otherwise."""
    weights, share = fit_weights(codes, zero)
    if -0.5 * math.log2(max(1 - share, 1e-9)) * codes.size < 8 * _KERNEL_PAYS:
        return best
    steps = _centred(codes, foretell(codes, zero, weights, bits), bits).reshape(-1)
    coding = choose_coding(steps, bits)
    if coding.size + len(NEIGHBOURS) >= best.size:
        return best
    parts = _parts(KERNEL, steps, coding)
    side = weights.astype(np.int8).tobytes() + parts.side
    return parts._replace(side=side, size=parts.size + len(NEIGHBOURS))


def _centred(codes: NDArray[Any], predicted: NDArray[Any], bits: int) -> NDArray[np.uint16]:
    """Return codes - predicted + 2**(bits - 1) modulo 2**bits."""
    difference = codes.astype(np.uint16) - predicted.astype(np.uint16) + np.uint16(1 << (bits - 1))
    return difference & np.uint16((1 << bits) - 1)


def _parts(prefix: str, codes: NDArray[Any], coding: TensorCoding) -> TensorParts:
    raw = pack_fields(codes, coding.raw_bits)
    return TensorParts(prefix + coding.model, coding.side, raw, _sequence(codes, coding), coding.size)


def _sequence(codes: NDArray[Any], coding: TensorCoding) -> list[Sequence14]:
    if not coding.is_coded:
        return []
    return [Sequence14((codes >> coding.raw_bits) - coding.first, coding.frequencies)]


def _runs(runs: Runs, bits: int) -> TensorParts:
    gaps, values = choose_coding(runs.gaps, GAP_BITS), choose_coding(runs.values, bits)
    models = _RUN_MODELS.index(gaps.model) | _RUN_MODELS.index(values.model) << 4
    side = varint(runs.code) + varint(runs.gaps.size) + varint(runs.values.size) + bytes([models])
    raw = pack_fields(runs.gaps, gaps.raw_bits) + pack_fields(runs.values, values.raw_bits)
    sequences = _sequence(runs.gaps, gaps) + _sequence(runs.values, values)
    size = gaps.size + values.size + len(side)
    return TensorParts(RUNS, side + gaps.side + values.side, raw, sequences, size)


def decode_tensor(tensor: CodedTensor, side: ByteCursor, codes: CodeReader) -> NDArray[np.uint16]:
    """Return the codes of one tensor, uint16 (weights,).

    Args:
        tensor: what the head says; the caller has bounded its length.
        side: stands at its side information.
        codes: stands at its raw bits and symbols.

    Raises:
        VersionError: an entropy model that this version does not know.
        BitstreamError: data that breaks a rule of clause 5.
    """
    if tensor.model == RUNS:
        return _read_runs(tensor, side, codes)
    if tensor.model.startswith(KERNEL):
        return _read_kernels(tensor, side, codes)
    name = tensor.model.removeprefix(PREVIOUS)
    plain = codes.read(read_coding(name, tensor.bits, side), tensor.weights)
    if name == tensor.model:
        return plain
    steps = (plain - np.uint16(1 << (tensor.bits - 1))).reshape(tensor.shape[0] if tensor.shape else 1, -1)
    steps[0] += np.uint16(1 << (tensor.bits - 1))
    summed = np.cumsum(steps, axis=0, dtype=np.uint16)  # modulo 2**16, and so modulo 2**bits
    return (summed & np.uint16((1 << tensor.bits) - 1)).reshape(-1)


def _read_kernels(tensor: CodedTensor, side: ByteCursor, codes: CodeReader) -> NDArray[np.uint16]:
    if tensor.zero is None or not is_kernel(tensor.shape):
        raise damaged(f"weights of the shape {tensor.shape} are coded as kernels")
    weights = np.frombuffer(side.take(len(NEIGHBOURS)), np.int8).astype(np.int32)
    codes.spend(undo_steps(tensor.shape))
    plain = codes.read(read_coding(tensor.model.removeprefix(KERNEL), tensor.bits, side), tensor.weights)
    steps = (plain - np.uint16(1 << (tensor.bits - 1))) & np.uint16((1 << tensor.bits) - 1)
    return undo(steps.reshape(tensor.shape), tensor.zero, weights, tensor.bits).reshape(-1)


def _read_runs(tensor: CodedTensor, side: ByteCursor, codes: CodeReader) -> NDArray[np.uint16]:
    code, gap_count, value_count, models = side.varint(), side.varint(), side.varint(), side.byte()
    numbers = models & 15, models >> 4
    if code >> tensor.bits or max(numbers) >= len(_RUN_MODELS):
        raise damaged(f"runs of the code {code} of {tensor.bits} bits under the models {numbers}")
    if not 1 <= value_count <= tensor.weights or gap_count > value_count + tensor.weights // LONGEST_GAP:
        raise damaged(f"{gap_count} runs with {value_count} codes between them in {tensor.weights} weights")
    gap_coding = read_coding(_RUN_MODELS[numbers[0]], GAP_BITS, side)
    value_coding = read_coding(_RUN_MODELS[numbers[1]], tensor.bits, side)
    gaps = codes.read(gap_coding, gap_count)
    return join_runs(Runs(code, gaps, codes.read(value_coding, value_count)), tensor.weights)
