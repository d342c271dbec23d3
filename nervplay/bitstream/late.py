"""Segments whose tensors are decoded when they are asked for: a long clip opens at once, and takes little memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from nervplay.bitstream.box import Box
from nervplay.bitstream.head import FLOAT_BITS as _PLAIN
from nervplay.bitstream.head import SegmentEntry
from nervplay.bitstream.layout import QuantisedTensor, Segment, StoredTensor
from nervplay.bitstream.segment import RowBudget
from nervplay.bitstream.tensors import Pairs, decode_tensors

__all__ = ["LateTensors", "Shelf", "Stored", "stored"]

_KEPT = 2
"""Segments whose tensors stay decoded: who reads two at a seam, or one tensor after the other, decodes each once."""


class Stored(NamedTuple):
    """What is known of a tensor without decoding it: number of its values, and bits of each (32 for plain floats)."""

    values: int
    bits: int


class Shelf:
    """The segments of an open file; callable from several threads.

    Args:
        open_box: opens the file anew; `BitstreamError`s inside get its name.
        pairs: minimum and scale of the quantised tensors of each segment.
        budget: steps that all segments together may take; decoding one again takes none of them.
    """

    def __init__(
        self, open_box: Callable[[], AbstractContextManager[Box]], pairs: Sequence[Pairs], budget: RowBudget
    ) -> None:
        self._open_box, self._pairs, self._budget = open_box, pairs, budget
        self._counted: set[int] = set()
        self._decoded: OrderedDict[int, Mapping[str, StoredTensor]] = OrderedDict()
        self._lock = threading.Lock()

    def tensors(self, number: int, entry: SegmentEntry) -> Mapping[str, StoredTensor]:
        """Return the tensors of a segment, decoded unless they are at hand.

        Raises:
            BitstreamError: the file is damaged there, or another one by now.
            MissingInputError: it is gone.
        """
        with self._lock:
            if number not in self._decoded:
                with self._open_box() as box:
                    budget = RowBudget(box.allowed.rows) if number in self._counted else self._budget
                    self._decoded[number] = decode_tensors(box, number, entry, self._pairs[number], budget)
                self._counted.add(number)
                while len(self._decoded) > _KEPT:
                    self._decoded.popitem(last=False)
            self._decoded.move_to_end(number)
            return self._decoded[number]


class LateTensors(Mapping[str, StoredTensor]):
    """Tensors of a segment by name; the first one that is asked for decodes them all.

    Args:
        shelf: of the file.
        number: of the segment.
        entry: what the head says of it.
    """

    def __init__(self, shelf: Shelf, number: int, entry: SegmentEntry) -> None:
        self._shelf, self._number, self._entry = shelf, number, entry
        self._names = frozenset(tensor.name for tensor in entry.tensors)

    def __getitem__(self, name: str) -> StoredTensor:
        if name not in self._names:
            raise KeyError(name)
        return self._shelf.tensors(self._number, self._entry)[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return (tensor.name for tensor in self._entry.tensors)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def stored(self) -> Iterator[Stored]:
        """What is known of the tensors without decoding them."""
        return (Stored(tensor.count, tensor.bits) for tensor in self._entry.tensors)


def stored(segment: Segment) -> Iterator[Stored]:
    """Return what is known of a segment's tensors, in table order; nothing is decoded for it."""
    if isinstance(segment.tensors, LateTensors):
        return segment.tensors.stored
    return (
        Stored(tensor.codes.size, tensor.bits) if isinstance(tensor, QuantisedTensor) else Stored(tensor.size, _PLAIN)
        for tensor in segment.tensors.values()
    )
